"""The commands that need no account: they run on the simulated X."""
