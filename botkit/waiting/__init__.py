"""Waiting: backoff, retry, store outages, events with a time limit, locks by key."""
