"""Complete bots, each in one file, each with its own test."""
