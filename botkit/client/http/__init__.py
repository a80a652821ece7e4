"""HTTP over aiohttp: connections, bytes, signatures."""
