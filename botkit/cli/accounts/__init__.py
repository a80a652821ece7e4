"""`botkit setup` and `botkit accounts`: one module a command."""
