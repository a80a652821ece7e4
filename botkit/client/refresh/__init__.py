"""The refresh of OAuth 2.0 logins: one at a time, with room for the new token reserved first."""
