"""The simulated X's answers, deliveries, prices and planned faults."""
