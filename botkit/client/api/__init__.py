"""X's API for the core: the credential, rate window, request, answer and price of each call."""
