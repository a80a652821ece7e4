"""The simulated X: what it answers, delivers, charges and gets wrong on request."""
