"""The files that `botkit new` writes."""
