"""What a bot's `on_error` functions are told of a handler that failed."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from botkit.model.events import Event

__all__ = ["Failure"]


class Failure(Struct, frozen=True, kw_only=True):
    """A run of a handler that failed, as it was recorded.

    Attributes:
        event: The event; None if it cannot be read any more.
        key: The event's key, for `botkit events show`.
        account_id: The account that the event is for.
        handler: The handler's name; "" if none ran.
        error: What the handler raised, or the time limit that it hit; None if there is none.
        reason: Why the event was given up: `failed`, `timeout`, `refused`, ...; "" if it was not.
        attempt: Which try it was, from 1.
        again_at: When the event is tried again; None if it was given up, as a dead letter.
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
        """Whether the event is tried again."""
        return self.again_at is not None
