"""What the simulated X pushes: the facts of its world, as lines for those who listen."""
