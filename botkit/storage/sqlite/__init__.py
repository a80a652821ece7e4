"""The store on one SQLite file, WAL and synchronous FULL, for one machine."""
