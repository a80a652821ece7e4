"""Logins by invitation at the running bot."""
