"""What a bot's handlers are made of: their parts, their names, the states they hold."""
