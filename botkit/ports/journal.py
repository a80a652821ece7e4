"""The part of the store's port that a running bot lives on: inbox, state and journal of writes.

Transactions, fences and errors are as `botkit.ports.store` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from botkit.model.records import (
        Checkpoint,
        DeadLetter,
        EventState,
        Fence,
        Finish,
        InboxItem,
        MemoKey,
        NewEvent,
        NewWrite,
        StateRow,
        StoredEvent,
        StoredWrite,
        WriteState,
    )

__all__ = ["Events", "States", "Writes"]


class Events(Protocol):
    """The inbox, the record of events and the dead letters."""

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        checkpoint: Checkpoint | None = None,
        ended: Sequence[Finish] = (),
        fence: Fence | None = None,
    ) -> list[int | None]:
        """Record events and move the checkpoint, together; with them what `finish_many` stores.

        Gives for each event its sequence number, None for a duplicate of an event that is still
        on record for the account.
        """
        ...

    async def due(self, now: datetime, *, after_seq: int = 0, limit: int = 500) -> list[InboxItem]:
        """Events that wait and whose time has come, in order of `seq`, from after `after_seq`."""
        ...

    async def next_due(self, now: datetime) -> datetime | None:
        """The earliest `not_before` after now, None when nothing waits for a time."""
        ...

    async def amend(self, seq: int, body: bytes, *, fence: Fence) -> None:
        """Replace an inbox event's body: what the delivery lacked was looked up."""
        ...

    async def mark_running(self, seqs: Sequence[int], *, fence: Fence) -> None:
        """Say that these events' handlers start now (for counting unclean ends)."""
        ...

    async def count_unclean(self, *, fence: Fence) -> list[InboxItem]:
        """At start: raise `unclean` of all that were running, clear the marks, give them."""
        ...

    async def finish(self, finish: Finish, *, fence: Fence) -> None:
        """Done mark, state changes and emitted events, in one transaction.

        Raises:
            Conflict: A piece of state has moved on; nothing was written.
        """
        ...

    async def finish_many(self, finishes: Sequence[Finish], *, fence: Fence) -> None:
        """Done marks of events that changed no state and emitted nothing, in one transaction."""
        ...

    async def retry_later(
        self, seq: int, *, not_before: datetime, reason: str, fence: Fence
    ) -> None:
        """Count a failed try and set the time of the next; clears the running mark."""
        ...

    async def park(
        self, seq: int, *, waiting_for: str, until: datetime | None, fence: Fence
    ) -> None:
        """Make the event wait for a cause; no try is counted; clears the running mark."""
        ...

    async def unpark(self, waiting_for: str, *, account_id: str | None = None) -> int:
        """The cause is gone: all events that wait for it are due now; gives how many."""
        ...

    async def bury(self, seq: int, letter: DeadLetter, *, fence: Fence) -> None:
        """Move the event to the dead letters."""
        ...

    async def dead(self, *, account_id: str | None = None, limit: int = 100) -> list[DeadLetter]:
        """Dead letters, newest first."""
        ...

    async def listing(
        self,
        *,
        state: EventState | None = None,
        account_id: str | None = None,
        limit: int = 100,
    ) -> list[StoredEvent]:
        """Recorded events, newest first."""
        ...

    async def get(self, key: str, *, account_id: str | None = None) -> list[StoredEvent]:
        """The events with that key (one for each account)."""
        ...

    async def revive(self, account_id: str, key: str, *, new_run: bool = False) -> bool:
        """Put a dead (or, with `new_run`, any finished) event back into the inbox.

        What refused its steps is asked again; what they did stands. `new_run` raises the run, so
        that all its steps happen anew. False when there is none such.
        """
        ...

    async def drop(self, account_id: str, key: str, note: str) -> bool:
        """Give up a waiting or dead event for good."""
        ...

    async def counts(self) -> Mapping[str, int]:
        """How many events are `waiting`, `parked`, `dead`, `done`, `dropped`."""
        ...

    async def prune(self, *, before: datetime, limit: int = 1000) -> int:
        """Forget finished events recorded before that time; gives how many."""
        ...


class States(Protocol):
    """The author's state and the results of `act.once`."""

    async def read(self, scope: str, key: str) -> StateRow | None:
        """A piece of state."""
        ...

    async def memo(self, key: MemoKey) -> bytes | None:
        """A kept result, None when there is none."""
        ...

    async def keep(self, key: MemoKey, value: bytes, *, fence: Fence) -> None:
        """Keep a result; the first one stays."""
        ...


class Writes(Protocol):
    """The journal of writes. Source: docs/explanation/requirements.md, "Writes"."""

    async def begin(self, write: NewWrite, *, now: datetime, fence: Fence) -> StoredWrite:
        """Make the row SENDING, or re-open it when it is QUEUED; with a new attempt.

        `fresh` is True when the caller must send now. A row in any other state comes back as it
        is, `fresh` False, nothing changed.
        """
        ...

    async def put_aside(
        self,
        write: NewWrite,
        state: WriteState,
        *,
        reason: str,
        now: datetime,
        fence: Fence,
    ) -> None:
        """Put a write on record that is not sent: REJECTED (refused here), EXPIRED (dry run).

        No attempt is counted. A QUEUED row changes; a row in any other state stays as it is.
        """
        ...

    async def confirm(
        self,
        write_id: str,
        *,
        result_id: str,
        result: bytes,
        now: datetime,
        fence: Fence | None,
    ) -> None:
        """CONFIRMED, with what the step returns."""
        ...

    async def reject(
        self, write_id: str, *, reason: str, now: datetime, fence: Fence | None
    ) -> None:
        """REJECTED: X said no for good."""
        ...

    async def requeue(
        self, write_id: str, *, reason: str, now: datetime, fence: Fence | None
    ) -> None:
        """QUEUED again: it was surely not carried out (not sent, 429, or ABSENT)."""
        ...

    async def uncertain(
        self,
        write_id: str,
        *,
        reason: str,
        now: datetime,
        next_read_at: datetime,
        fence: Fence,
    ) -> None:
        """UNCERTAIN: the outcome is not known; says when to read first."""
        ...

    async def record_read(
        self,
        write_id: str,
        *,
        clean: bool,
        now: datetime,
        next_read_at: datetime | None,
    ) -> None:
        """One reading did not show the write."""
        ...

    async def set_state(
        self,
        write_id: str,
        state: WriteState,
        *,
        reason: str,
        now: datetime,
        fence: Fence | None = None,
    ) -> None:
        """ABSENT, UNRESOLVED, EXPIRED, or a person's decision."""
        ...

    async def recover(self, *, now: datetime, fence: Fence) -> list[StoredWrite]:
        """At start: every SENDING row becomes UNCERTAIN; gives all UNCERTAIN rows."""
        ...

    async def get(self, write_id: str) -> StoredWrite | None:
        """One write, with its attempts."""
        ...

    async def listing(
        self,
        *,
        states: Sequence[WriteState] = (),
        account_id: str | None = None,
        limit: int = 100,
    ) -> list[StoredWrite]:
        """Writes, newest first."""
        ...

    async def owner_of(self, account_id: str, result_id: str) -> str | None:
        """The id of the write that made that post, None when none of ours did."""
        ...

    async def answered(self, account_id: str, interaction: str) -> list[StoredWrite]:
        """Writes that answer that interaction and happened or may have happened."""
        ...

    async def same_text(
        self, account_id: str, text_hash: str, target: str, *, since: datetime
    ) -> list[StoredWrite]:
        """Writes of the same text to the same target that happened or may have happened."""
        ...

    async def prune(self, *, before: datetime, limit: int = 1000) -> int:
        """Forget final writes made before that time; gives how many."""
        ...
