"""Requests and responses of the simulated X, and X's error bodies."""
