"""Sign-in: one login attempt, from the address to open to the sealed tokens."""
