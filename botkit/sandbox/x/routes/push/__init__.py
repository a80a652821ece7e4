"""The routes of what X pushes: subscriptions, rules, connections."""
