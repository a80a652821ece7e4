"""Making and changing the vault key of a store."""
