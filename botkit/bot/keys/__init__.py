"""Make and change the vault key of a store."""
