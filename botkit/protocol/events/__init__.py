"""From the bytes X delivers to typed events, and back for the store."""
