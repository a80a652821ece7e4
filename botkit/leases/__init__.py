"""Leases: roles that one process of a store holds at a time, and the names of processes."""
