"""Start, schedules, status and stop of the running process."""
