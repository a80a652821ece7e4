"""End an event that no run ends, and count how many events have ended in each state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.model.records import EventState

if TYPE_CHECKING:
    from botkit.storage.sql.transaction import Transaction

__all__ = ["drop", "tally"]

_DROP = """
INSERT INTO ended SELECT seq, 'dropped', ?2, 0 FROM event WHERE seq = ?1
ON CONFLICT (seq) DO UPDATE SET state = excluded.state, note = excluded.note
"""


def drop(transaction: Transaction, seq: int, ended: str | None, note: str) -> None:
    """End an event as dropped; `ended` is the state in which it had ended before, if it had."""
    transaction.execute(_DROP, (seq, note))
    transaction.execute("DELETE FROM dead WHERE seq = ?1", (seq,))
    transaction.execute("DELETE FROM inbox WHERE queue IN (0, 1) AND seq = ?1", (seq,))
    tally(transaction, EventState.DROPPED.value, 1)
    if ended is not None:
        tally(transaction, ended, -1)


def tally(transaction: Transaction, state: str, change: int) -> None:
    """Change the number of events that have ended in this state."""
    transaction.execute("UPDATE tally SET events = events + ?2 WHERE state = ?1", (state, change))
