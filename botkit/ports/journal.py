"""The store's port for a running bot: the inbox, the author's state and the journal of writes.

`botkit.ports.store` says what holds for every method: transactions, fences and errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from botkit.model.answers import SentAnswer
    from botkit.model.bookings import Booking
    from botkit.model.hearing import Checkpoint
    from botkit.model.records import (
        DeadLetter,
        EventState,
        Fence,
        InboxItem,
        InboxPage,
        MemoKey,
        MissedRead,
        NewEvent,
        NewWrite,
        OwnPost,
        PostForgotten,
        Rivals,
        RunEnd,
        StateRow,
        StoredEvent,
        StoredWrite,
        Wait,
        WriteMove,
        WriteState,
    )

__all__ = ["Events", "OwnPosts", "States", "Writes"]


class Events(Protocol):
    """The inbox, the record of events and the dead letters.

    An event is on record from `append` until `Store.prune` forgets it. It waits in the inbox
    until a run ends it as done, dropped or dead. Its number, `seq`, grows with arrival.
    """

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        checkpoint: Checkpoint | None = None,
        ends: Sequence[RunEnd] = (),
        bookings: Sequence[Booking] = (),
        fence: Fence | None = None,
    ) -> list[int | None]:
        """Record events, move the checkpoint, settle ended runs and book money, all or nothing.

        Return for each event, in order, its number, or None if an event with its key is on
        record for the account already. A repeated call therefore returns None for each event.

        Raises:
            Conflict: As in `settle`.
        """
        ...

    async def due(self, now: datetime, *, after_seq: int = 0, limit: int = 500) -> InboxPage:
        """Return the events whose time has come, numbered above `after_seq`, in that order.

        The page also has the earliest time after `now` for which any event waits. An event that
        is parked without a time counts for neither.
        """
        ...

    async def settle(self, ends: Sequence[RunEnd], *, fence: Fence) -> None:
        """Record how runs ended, all or nothing; each event at most once in `ends`.

        `RunDone` takes the event out of the inbox, changes the state and records the emitted
        events. `RunRetried` counts the try and sets the time of the next. `RunParked` sets the
        event aside for a cause. `RunDead` moves it to the dead letters. Each clears the running
        mark. An end whose event has left the inbox does nothing. In a repeated call, therefore,
        only `RunRetried` has an effect: it counts one more try.

        Raises:
            Conflict: A piece of state has another revision than was read; nothing was written.
        """
        ...

    async def amend(self, seq: int, body: bytes, *, fence: Fence) -> None:
        """Replace the body of an event in the inbox; do nothing if the event has left it."""
        ...

    async def mark_running(self, seqs: Sequence[int], *, fence: Fence) -> None:
        """Mark events in the inbox as running; clear their waiting time and cause."""
        ...

    async def count_unclean(self, *, fence: Fence) -> list[InboxItem]:
        """Count an unclean end for each event that is marked as running, and clear the marks.

        Return those events in order of `seq`. Call this at the start of the only process that
        runs handlers.
        """
        ...

    async def unpark(self, waiting_for: str, *, account_id: str | None = None) -> int:
        """Make all events due that wait for this cause; return their number."""
        ...

    async def waits(self) -> list[Wait]:
        """Return the causes that events wait for, in alphabetical order."""
        ...

    async def dead(
        self, *, account_id: str | None = None, key: str | None = None, limit: int = 100
    ) -> list[DeadLetter]:
        """Return dead letters, newest first; with `key`, those of the events with that key."""
        ...

    async def revive_dead(
        self, *, account_id: str | None = None, before: datetime, limit: int = 1000
    ) -> int:
        """Revive the oldest dead letters that were made before a time; return how many.

        Call it again until it returns less than `limit`.
        """
        ...

    async def drop_dead(
        self, note: str, *, account_id: str | None = None, before: datetime, limit: int = 1000
    ) -> int:
        """Drop the oldest dead letters from before a time; return their number.

        Call it again until it returns less than `limit`.
        """
        ...

    async def listing(
        self,
        *,
        state: EventState | None = None,
        account_id: str | None = None,
        limit: int = 100,
    ) -> list[StoredEvent]:
        """Return recorded events, newest first."""
        ...

    async def get(self, key: str, *, account_id: str | None = None) -> list[StoredEvent]:
        """Return the events with that key, one for each account, in order of account id."""
        ...

    async def revive(self, account_id: str, key: str, *, new_run: bool = False) -> bool:
        """Put a dead or late event back into the inbox; with `new_run`, any that has ended.

        Without `new_run`, the run's writes that X refused are sent again, and its other steps
        keep their results. If the handler that began the event is gone since the last start, hold
        the event as `Store.take_over_handlers` does. With `new_run`, the run gets the next number,
        so that all its steps happen anew. Return False if there is no such event.
        """
        ...

    async def drop(self, account_id: str, key: str, note: str) -> bool:
        """End a waiting, dead or late event as dropped; return False if there is none."""
        ...

    async def forget_post(self, account_id: str, post_id: str, *, fence: Fence) -> PostForgotten:
        """Take the content of a deleted post of or for the account out of the store.

        Its events keep their keys and lose their bodies' content and their `act.once` results.
        Those that are dead, late, or wait without running end as dropped. The write that made the
        post, and a post of `OwnPosts`, lose their texts. QUEUED and ABSENT writes that answer the
        post become EXPIRED. A repeated call changes nothing.
        """
        ...

    async def counts(self) -> Mapping[str, int]:
        """Return how many events are `waiting`, `parked`, `dead`, `done`, `dropped` and `late`."""
        ...


class States(Protocol):
    """The bot author's state, which `Events.settle` changes, and the results of `act.once`."""

    async def read(self, scope: str, key: str) -> StateRow | None:
        """Return one piece of state with its revision, None if there is none."""
        ...

    async def scopes(self) -> list[str]:
        """Return the scopes that have any state, sorted."""
        ...

    async def sample(self, scope: str, *, limit: int) -> list[bytes]:
        """Return up to `limit` values of this scope."""
        ...

    async def memo(self, key: MemoKey) -> bytes | None:
        """Return the stored result of an `act.once` call, None if there is none."""
        ...

    async def keep(self, key: MemoKey, value: bytes, *, fence: Fence) -> None:
        """Store the result of an `act.once` call; do nothing if one is stored already."""
        ...


class Writes(Protocol):
    """The journal of writes. Source: docs/explanation/requirements.md, "Writes"."""

    async def begin(self, write: NewWrite, *, now: datetime, fence: Fence) -> StoredWrite:
        """Create the row as SENDING, or re-open it if it is QUEUED, with a new attempt.

        Return the row. Its `fresh` is True if the caller must send now. It is False if the row was
        in another state, as in a repeated call; then nothing has changed.
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
        """Record a write that is not sent: REJECTED (refused here) or EXPIRED (dry run).

        No attempt is counted. A QUEUED row changes; a row in any other state stays as it is.
        """
        ...

    async def move(
        self,
        write_id: str,
        move: WriteMove | MissedRead,
        *,
        now: datetime,
        bookings: Sequence[Booking] = (),
        fence: Fence | None = None,
    ) -> None:
        """Change a write's state, or count a timeline reading that did not show it; book money.

        `botkit.model.write_moves` says which moves are allowed. A move to the state that the row
        has already changes nothing: the step goes on returning the first result. A move ends the
        attempt that is under way. A reading of a write that is no longer UNCERTAIN changes
        nothing; a repeated reading is counted again.

        Raises:
            Conflict: The write is not on record, or the move is not allowed; nothing was written.
        """
        ...

    async def recover(self, *, now: datetime, fence: Fence) -> list[StoredWrite]:
        """Make every SENDING row UNCERTAIN, due to be read now; return all UNCERTAIN rows.

        The rows come in order of their first `begin`. Call this at the start of the only process
        that writes.
        """
        ...

    async def answers(self, *, since: datetime) -> list[SentAnswer]:
        """Return each `begin` of a write with a `thread` from then on, oldest first."""
        ...

    async def expire_moot(self) -> list[str]:
        """Make each QUEUED write EXPIRED that no run can ask for again; return their ids.

        The event of such a write, or that run of the event, is over: it is neither in the inbox
        nor a dead letter.
        """
        ...

    async def get(self, write_id: str) -> StoredWrite | None:
        """Return one write with its attempts, None if it is not on record."""
        ...

    async def listing(
        self,
        *,
        states: Sequence[WriteState] = (),
        account_id: str | None = None,
        event_key: str | None = None,
        limit: int = 100,
    ) -> list[StoredWrite]:
        """Return writes with their attempts, newest first; without `states`, in any state.

        With `event_key`, return those of the events with that key only.
        """
        ...

    async def unfinished(self) -> Mapping[WriteState, int]:
        """Return how many writes are in each state that is not final."""
        ...

    async def owner_of(self, account_id: str, result_id: str) -> str | None:
        """Return the id of the write that made that post, None if no write on record did."""
        ...

    async def rivals(self, write: NewWrite, *, since: datetime) -> Rivals:
        """Return the account's other writes that may forbid this one, as of one moment.

        Only writes that happened or may have happened count.
        """
        ...


class OwnPosts(Protocol):
    """Keep the posts of an account that X shows and that no recorded write made.

    A store that was restored from a backup lacks what its bot wrote after the backup.
    """

    async def newest(self, account_id: str) -> str:
        """Return the id of the account's newest known post, "" if none is known."""
        ...

    async def keep(self, posts: Sequence[OwnPost], *, fence: Fence) -> None:
        """Record posts; leave those that are on record already unchanged."""
        ...

    async def count(self, account_id: str) -> int:
        """Return the number of the account's posts on record."""
        ...

    async def to(self, account_id: str, target: str) -> list[OwnPost]:
        """Return the posts that answer the post `target` ("" for none), oldest first."""
        ...

    async def answers(self, account_id: str, target: str) -> list[str]:
        """Return the ids of the posts by which confirmed writes answered `target`."""
        ...

    async def adopt(
        self, write: NewWrite, post: OwnPost, *, now: datetime, fence: Fence
    ) -> StoredWrite:
        """Record the write as CONFIRMED by that post, and forget the post; return the write.

        A write that was sent stays as it is.
        """
        ...
