"""Run bots in a sandbox with virtual time; tests use this room."""
