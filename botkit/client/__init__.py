"""Calls out to X: the transport, the rate windows, the logins and the API for the core."""
