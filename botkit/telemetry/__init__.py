"""Logs: one line an event, secrets never, text from outside escaped."""
