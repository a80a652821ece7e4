"""Apply the rules of OAuth 2.0 and OAuth 1.0a as X applies them."""
