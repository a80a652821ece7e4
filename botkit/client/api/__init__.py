"""X's API as the core sees it: credential, rate window, bytes, answer, price."""
