"""From the inbox to the handler, and from the handler to the commit."""
