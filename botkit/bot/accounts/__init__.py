"""Manage a running bot's accounts: check access, follow login changes, add new accounts."""
