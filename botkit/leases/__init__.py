"""Roles that one process of a store holds at a time, and the names of those processes."""
