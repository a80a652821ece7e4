"""How X reads the text of a post: its weighted length and its links."""
