"""Who handles what, and with which values: decided here, purely, before anything runs."""
