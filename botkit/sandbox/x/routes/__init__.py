"""The routes of the simulated X by area: each module has a tuple `ROUTES`."""
