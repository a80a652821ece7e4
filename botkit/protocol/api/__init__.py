"""Requests to X's API, the operations table, and how to read the answers."""
