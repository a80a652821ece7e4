"""From an awaited action to the settled write."""
