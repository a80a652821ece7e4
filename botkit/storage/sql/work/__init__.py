"""The jobs on events, the runs of their handlers, what handlers keep, and writes."""
