"""The store's port: everything durable, in a few groups of short transactions.

Each method is one transaction, synced when it returns. A method that takes a `Fence` changes
nothing and raises `LeaseLost` when the lease has another epoch by then. Every method raises
`StoreUnavailable` when the store cannot be used now (disk full, read-only, locked for too long).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta
    from decimal import Decimal

    from botkit.model.records import (
        BudgetEntry,
        Checkpoint,
        CredentialRow,
        DeadLetter,
        EventState,
        Fence,
        Finish,
        Gap,
        InboxItem,
        Intent,
        Mark,
        MemoKey,
        NewEvent,
        NewWrite,
        ScheduleRow,
        StateRow,
        StatusReport,
        StoredEvent,
        StoredUser,
        StoredWrite,
        WriteState,
    )
    from botkit.model.tokens import CredentialKind, LoginState
    from botkit.model.users import Account

__all__ = [
    "Accounts",
    "Credentials",
    "Events",
    "Leases",
    "Ledger",
    "Progress",
    "States",
    "Store",
    "Vault",
    "Writes",
]


class Events(Protocol):
    """The inbox, the record of events and the dead letters."""

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        checkpoint: Checkpoint | None = None,
        fence: Fence | None = None,
    ) -> list[int | None]:
        """Record events and move the checkpoint, together.

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

        `new_run` raises the run, so that its steps happen anew. False when there is none such.
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
    """The journal of writes. Source: reliability, "Writes"."""

    async def begin(self, write: NewWrite, *, now: datetime, fence: Fence) -> StoredWrite:
        """Make the row SENDING, or re-open it when it is QUEUED; with a new attempt.

        `fresh` is True when the caller must send now. A row in any other state comes back as it
        is, `fresh` False, nothing changed.
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
        self, write_id: str, state: WriteState, *, reason: str, now: datetime
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


class Credentials(Protocol):
    """Logins. Tokens are sealed before they come here. Source: reliability 3.4."""

    async def get(self, account_id: str, app: str, kind: CredentialKind) -> CredentialRow | None:
        """One login."""
        ...

    async def listing(self, account_id: str | None = None) -> list[CredentialRow]:
        """All logins, or those of one account."""
        ...

    async def replace(self, row: CredentialRow) -> CredentialRow:
        """A new grant from setup: stored with the next generation and no intent.

        `row.sealed` must have been sealed for `row.gen`; a `Conflict` when that is not the next.
        """
        ...

    async def intend(self, row: CredentialRow, intent: Intent, *, reserve_bytes: int) -> None:
        """Write an intent, padded so that the result will fit; `Conflict` on another `gen`."""
        ...

    async def mark_sent(self, row: CredentialRow, intent_id: str) -> None:
        """The token's bytes leave now; `Conflict` when the intent is not there any more."""
        ...

    async def clear_intent(self, row: CredentialRow, intent_id: str) -> None:
        """The token was surely not spent."""
        ...

    async def store_result(self, row: CredentialRow, intent_id: str) -> None:
        """The new generation (`row.gen`), which clears the intent; `Conflict` if one is there."""
        ...

    async def set_status(
        self,
        row: CredentialRow,
        status: LoginState,
        *,
        reason: str,
        now: datetime,
        config_fingerprint: str = "",
    ) -> None:
        """Change the state of this generation; does nothing to a newer one."""
        ...

    async def note_level(self, row: CredentialRow, level: str) -> None:
        """Keep the `x-access-level` that an answer showed."""
        ...

    async def remove(self, account_id: str, app: str, kind: CredentialKind) -> bool:
        """Delete a login and overwrite its bytes."""
        ...


class Accounts(Protocol):
    """The accounts the bot acts for, what is known of users, and the operator's checklist."""

    async def put(self, account: Account) -> None:
        """Add or update an account."""
        ...

    async def get(self, account: str) -> Account | None:
        """By id or by username, case-insensitive, with or without the @."""
        ...

    async def listing(self) -> list[Account]:
        """All accounts, oldest first."""
        ...

    async def remove(self, account_id: str) -> bool:
        """Delete an account and all its credentials."""
        ...

    async def cached_users(self, ids: Sequence[str], *, since: datetime) -> list[StoredUser]:
        """Users fetched since then."""
        ...

    async def cache_users(self, users: Sequence[StoredUser]) -> None:
        """Keep what was fetched."""
        ...

    async def opted_out(self, account_id: str, user_id: str) -> bool:
        """Whether the user asked the account to stop."""
        ...

    async def set_opt_out(
        self, account_id: str, user_id: str, *, out: bool, now: datetime
    ) -> None:
        """Record that a user opted out, or in again."""
        ...

    async def marks(self, account_id: str) -> list[Mark]:
        """Checklist steps that were confirmed."""
        ...

    async def set_mark(self, mark: Mark) -> None:
        """Confirm a checklist step."""
        ...

    async def clear_mark(self, account_id: str, step: str) -> bool:
        """Take a confirmation back."""
        ...


class Leases(Protocol):
    """Roles that one process holds at a time."""

    async def acquire(
        self, name: str, owner: str, *, ttl: timedelta, now: datetime
    ) -> Fence | None:
        """Take a free or expired lease, with the next epoch; None when another holds it."""
        ...

    async def renew(self, fence: Fence, *, ttl: timedelta, now: datetime) -> None:
        """Hold it longer; `LeaseLost` when it is gone."""
        ...

    async def release(self, fence: Fence) -> None:
        """Give it back; does nothing when it is gone."""
        ...

    async def holder(self, name: str, *, now: datetime) -> str | None:
        """Who holds it now."""
        ...


class Progress(Protocol):
    """Checkpoints, gaps, schedules and what the running parts say of themselves."""

    async def checkpoint(self, source: str, account_id: str) -> str | None:
        """A source's cursor, None at first start."""
        ...

    async def set_checkpoint(self, checkpoint: Checkpoint, *, fence: Fence | None = None) -> None:
        """Move a cursor without events."""
        ...

    async def open_gap(self, gap: Gap) -> int:
        """Record that a source does not listen; gives the gap's id."""
        ...

    async def close_gap(self, gap_id: int, *, until: datetime, state: str, reason: str) -> None:
        """Record its end and whether it could be filled."""
        ...

    async def gaps(self, *, limit: int = 100) -> list[Gap]:
        """Gaps, newest first."""
        ...

    async def schedules(self, account_id: str) -> list[ScheduleRow]:
        """When each schedule fires next."""
        ...

    async def fire(
        self, row: ScheduleRow, events: Sequence[NewEvent], *, fence: Fence
    ) -> list[int | None]:
        """Store the schedule's next time and the tick(s) that are due, together."""
        ...

    async def report(self, reports: Sequence[StatusReport]) -> None:
        """Replace what these parts say of themselves."""
        ...

    async def reports(self) -> list[StatusReport]:
        """What all parts last said."""
        ...

    async def clear_reports(self) -> None:
        """At start and at a clean end."""
        ...


class Ledger(Protocol):
    """Money and calls, by account and hour."""

    async def spend(
        self, account_id: str, *, now: datetime, reads_usd: Decimal, writes_usd: Decimal
    ) -> None:
        """Add to the hour's entry."""
        ...

    async def spent(self, account_id: str, *, since: datetime) -> list[BudgetEntry]:
        """The entries since then, oldest first."""
        ...


class Store(Protocol):
    """All of it. `url` names the store without any secret."""

    url: str
    store_id: str
    events: Events
    states: States
    writes: Writes
    credentials: Credentials
    accounts: Accounts
    leases: Leases
    progress: Progress
    ledger: Ledger

    async def vault_check(self) -> bytes | None:
        """The value that proves the vault key, None while no key was used yet."""
        ...

    async def set_vault_check(self, value: bytes, *, expected: bytes | None) -> bytes:
        """Store the proof unless another one than `expected` is there; gives what is there."""
        ...

    async def changed(self) -> bool:
        """Whether another process changed the store since the last call (cheap; poll it)."""
        ...

    async def close(self) -> None:
        """Finish what was asked for and close."""
        ...


class Vault(Protocol):
    """Seals tokens for the store. What is sealed for one row cannot be opened for another."""

    def seal(
        self,
        tokens: Mapping[str, str],
        /,
        *,
        account_id: str,
        app: str,
        kind: CredentialKind,
        gen: int,
    ) -> bytes:
        """The tokens, encrypted and bound to that row and generation."""
        ...

    def open(
        self, sealed: bytes, /, *, account_id: str, app: str, kind: CredentialKind, gen: int
    ) -> dict[str, str]:
        """What was sealed for this row.

        Raises:
            VaultKeyError: It was sealed with a key that we do not have.
            Corrupt: It was damaged, or belongs to another row or deployment.
        """
        ...
