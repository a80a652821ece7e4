"""Keeping OAuth 2.0 logins alive: one refresh at a time, with room for the token that follows."""
