"""Frozen values: events, posts, users, messages, tokens and the store's rows. No I/O."""
