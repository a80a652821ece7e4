"""Sealed tokens, and the keys that open them."""
