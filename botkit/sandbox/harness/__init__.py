"""What a test holds: the sandbox, its virtual time, and bots running in it."""
