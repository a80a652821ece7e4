"""What an operator does with a login: check, revoke, invalidate, transfer."""
