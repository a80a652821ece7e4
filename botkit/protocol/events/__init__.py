"""Turn the bytes that X delivers into typed events, and events into bodies for the store."""
