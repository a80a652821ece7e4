"""Receives what other software tells the bot: `POST /hooks/NAME`."""
