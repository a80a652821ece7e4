"""Frozen values: events, posts, users, messages, tokens and the store's rows. No behaviour, no I/O."""
