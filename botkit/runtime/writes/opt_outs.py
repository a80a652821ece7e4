"""Recognises users who tell the account to stop, before any handler sees their event.

From then on the guard refuses every reply and message to them. Source: X developer guidelines,
"Requirements for automated accounts": an opt-out is honoured at once.
"""

from __future__ import annotations

from botkit.model.events import DirectMessage, Event, Mention, Reply
from botkit.protocol.rules.policy import is_stop_word

__all__ = ["who_opts_out"]

_LONGEST = 200
"""A stop word with the names before it is short; longer texts are not worth the look."""


def who_opts_out(event: Event) -> str:
    """Return the id of a user whose whole text tells the account to stop, else ""."""
    if isinstance(event, DirectMessage):
        user_id = event.sender.id
    elif isinstance(event, (Mention, Reply)):
        user_id = event.author.id
    else:
        return ""
    text = event.text
    return user_id if len(text) <= _LONGEST and is_stop_word(text) else ""
