"""What is checked before a write is sent: the guard, its limits and the budget."""
