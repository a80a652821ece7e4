"""What the simulated X answers, area by area: each module has a tuple `ROUTES`."""
