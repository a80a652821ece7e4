"""Upkeep of logins by an operator: check, revoke, invalidate, transfer."""
