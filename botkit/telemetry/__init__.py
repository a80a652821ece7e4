"""Logs: one line per event, no secrets, text from outside escaped."""
