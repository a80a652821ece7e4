"""Build requests to X's API, look up its operations, and read its answers."""
