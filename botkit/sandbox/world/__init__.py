"""The simulated world: users, posts, apps, tokens, limits, and the users' actions."""
