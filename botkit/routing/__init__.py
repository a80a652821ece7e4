"""Which handler gets an event, and with which values: pure decisions, checked at the start."""
