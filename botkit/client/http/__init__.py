"""HTTP over aiohttp: connections, requests and their signatures."""
