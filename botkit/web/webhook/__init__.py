"""Receives X's deliveries to a webhook, and answers X's challenges."""
