"""The record that a bot's `on_error` functions get of a failed handler."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from botkit.model.events import Event

__all__ = ["Failure"]


class Failure(Struct, frozen=True, kw_only=True):
    """Hold the facts about a failed run of a handler.

    Attributes:
        event: The event; None if it cannot be read any more.
        key: The event's key, for `botkit events show`.
        account_id: The account that the event is for.
        handler: The handler's name; "" if none ran.
        error: The exception that the handler raised, or its time-out; None if there is neither.
        reason: The reason why the event was given up: `failed`, `timeout`, `refused`, ...; "" if
            it was not.
        attempt: The number of this try, from 1.
        again_at: The time of the next try; None if the event became a dead letter.
    """

    event: Event | None
    key: str
    account_id: str
    handler: str
    error: BaseException | None
    reason: str = ""
    attempt: int
    again_at: datetime | None = None

    @property
    def will_retry(self) -> bool:
        """Return True if the event is tried again."""
        return self.again_at is not None
