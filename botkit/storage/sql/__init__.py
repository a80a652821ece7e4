"""The store's jobs in SQL, written once for every driver."""
