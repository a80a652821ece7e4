"""The logins of each kind, in memory and in the store, and their states."""
