"""The logins in memory and in the store, of each kind, and their state."""
