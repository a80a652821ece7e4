"""New events and cursors as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botkit.storage.sql.values import to_us, to_us_or_none

if TYPE_CHECKING:
    from collections.abc import Iterable

    from botkit.model.hearing import Checkpoint
    from botkit.model.records import NewEvent
    from botkit.storage.sql.transaction import Transaction

__all__ = ["EventRow", "event_rows", "insert_checkpoint"]

EventRow = tuple[tuple[Any, ...], tuple[int, int | None, bool]]
"""An event's columns, and those of its place in the inbox."""


def event_rows(events: Iterable[NewEvent], now_us: int) -> list[EventRow]:
    """Return the rows that `Transaction.record_events` takes; call it outside the job."""
    return [
        (
            (
                event.account_id,
                event.key,
                event.kind,
                event.lane,
                event.source,
                event.cause,
                to_us(event.at),
                now_us,
                event.body,
            ),
            (0 if event.not_before is None else 1, to_us_or_none(event.not_before), event.running),
        )
        for event in events
    ]


def insert_checkpoint(transaction: Transaction, checkpoint: Checkpoint) -> None:
    """Store how far a source has read."""
    transaction.execute(
        "INSERT INTO checkpoint (source, account_id, cursor, read_to) VALUES (?1, ?2, ?3, ?4) "
        "ON CONFLICT (source, account_id) DO UPDATE SET cursor = excluded.cursor, "
        "read_to = excluded.read_to",
        (
            checkpoint.source,
            checkpoint.account_id,
            checkpoint.cursor,
            to_us_or_none(checkpoint.read_to),
        ),
    )
