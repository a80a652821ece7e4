"""Out to X: the transport, the rate windows, the logins and the API as the core sees it."""
