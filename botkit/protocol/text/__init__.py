"""Read a post's text as X does: its weighted length, its names and its links."""
