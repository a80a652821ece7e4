"""Check each write before it is sent: the guard, its limits and the budget."""
