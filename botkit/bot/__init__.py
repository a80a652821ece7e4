"""Bots: what an author writes, and the only place that joins ports to implementations."""
