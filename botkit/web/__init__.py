"""The running bot's own HTTP server: health, and logins by invitation."""
