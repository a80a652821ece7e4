"""From a delivery to the committed event in its lane."""
