"""Check rules of the filtered stream and search queries before X sees them."""
