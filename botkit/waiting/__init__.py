"""How long to wait, and for what: backoff, retry, store outages, events with a time limit."""
