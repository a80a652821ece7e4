"""Rows of the store that say what the sources have read of X, and what they may have missed."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

__all__ = ["BY_HAND", "GIVEN_UP", "Checkpoint", "GapRow"]

GIVEN_UP = "given up"
"""The state of a gap that a person closed, or that nothing can read."""
BY_HAND = "closed by hand"
"""The reason of such a gap."""


class Checkpoint(Struct, frozen=True, kw_only=True, gc=False):
    """How far a source has read, for one account. `cursor` is the source's own text.

    `read_to` is a time by X's clock: the source has read all that was made before it, without a
    hole, so that it never delivers again what was made before. None if the source does not know.
    """

    source: str
    account_id: str
    cursor: str
    read_to: datetime | None = None


class GapRow(Struct, frozen=True, kw_only=True, gc=False):
    """Times by X's clock between which events were made that may not have been heard.

    `until` is None while the gap grows. `state` is `open`, `closed` (it was read since) or
    `given up` (a person closed it, or nothing can read it). `cause` is `stopped`, `disconnected`
    or `reach`; `tried` names the means by which it was read in vain; `reason` says why it is open,
    or how it was closed.
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
