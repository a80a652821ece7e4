"""The store's rows on sources: how far each has read, and the gaps it may have missed."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

__all__ = ["BY_HAND", "GIVEN_UP", "Checkpoint", "GapRow"]

GIVEN_UP = "given up"
"""The state of a gap that a person closed, or that nothing can read."""
BY_HAND = "closed by hand"
"""The `reason` of a gap that a person closed."""


class Checkpoint(Struct, frozen=True, kw_only=True, gc=False):
    """Hold how far a source has read for one account. `cursor` is the source's own text.

    `read_to` is a time by X's clock. The source has read everything that was made before it, and
    never delivers it again. None if the source does not know such a time.
    """

    source: str
    account_id: str
    cursor: str
    read_to: datetime | None = None


class GapRow(Struct, frozen=True, kw_only=True, gc=False):
    """Hold a gap: the times, by X's clock, between which the bot may have missed events.

    `until` is None while the gap grows. `state` is `open`, `closed` (it was read since) or
    `given up` (a person closed it, or nothing can read it). `cause` is `stopped`, `disconnected`
    or `reach`; `tried` names the means that failed to read it; `reason` says why it is open, or
    how it was closed.
    """

    source: str
    account_id: str
    since: datetime
    until: datetime | None = None
    state: str = "open"
    cause: str = ""
    tried: str = ""
    reason: str = ""
    id: int = 0
