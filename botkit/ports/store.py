"""The store's port: all durable data, in a few groups of short transactions.

Every method keeps these promises, unless its own docstring says otherwise:

- It is one transaction. A method that writes has its change on the disk when it returns, or it
  raises and has changed nothing. A read sees every write that returned before.
- A method that takes a `Fence` raises `LeaseLost`, and changes nothing, if the lease has another
  epoch by then. With None it checks no lease.
- It raises `StoreUnavailable` if the store cannot be used now (disk full, read-only, locked for
  too long) and `Corrupt` if it is damaged; `StoreGone`, a kind of it, if its file was removed or
  replaced.
- Cancelling the caller does not take a write back.
- It may be called again with the same arguments; the repeated call changes nothing more.

Drivers do not repeat these promises. `tests/storage/conformance` tests that each driver keeps
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from botkit.ports.journal import Events, OwnPosts, States, Writes
from botkit.ports.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from botkit.errors import StateError
    from botkit.model.hearing import Checkpoint, GapRow
    from botkit.model.invitations import Invitation
    from botkit.model.records import (
        CredentialRow,
        Fence,
        GoneHandler,
        Intent,
        KeepFor,
        Mark,
        NewEvent,
        ScheduleRow,
        StatusReport,
        StoredOptOut,
        StoredUser,
    )
    from botkit.model.tokens import CredentialKind, LoginState
    from botkit.model.users import Account

__all__ = [
    "Accounts",
    "Credentials",
    "Events",
    "Invitations",
    "Leases",
    "Ledger",
    "OwnPosts",
    "Progress",
    "States",
    "Store",
    "Writes",
]


class Credentials(Protocol):
    """Logins: one row for each account, app and kind, whose tokens the caller has sealed.

    A row changes by compare-and-set on its generation `gen` and its intent.
    Source: docs/explanation/requirements.md, "The refresh of a login".
    """

    async def get(self, account_id: str, app: str, kind: CredentialKind) -> CredentialRow | None:
        """Return one login, None if there is none."""
        ...

    async def listing(self, account_id: str | None = None) -> list[CredentialRow]:
        """Return all logins, or those of one account, in order of account, app and kind."""
        ...

    async def replace(
        self,
        row: CredentialRow,
        *,
        account: Account | None = None,
        events: Sequence[NewEvent] = (),
    ) -> CredentialRow:
        """Store a new login from setup as the next generation, without an intent; return the row.

        In the same transaction, put its account and record the events. `row.sealed` must have
        been sealed for `row.gen`. A repeated call raises `Conflict`.

        Raises:
            Conflict: `row.gen` is not the next generation, or the tokens were sealed with
                another key than the store has now; nothing was written.
        """
        ...

    async def make_room(self) -> None:
        """Check that a login could be written and synced now; else raise `StoreUnavailable`."""
        ...

    async def intend(
        self,
        row: CredentialRow,
        intent: Intent,
        *,
        reserve_bytes: int,
        fence: Fence | None = None,
    ) -> None:
        """Record the intent to refresh, and reserve `reserve_bytes` of room for the result.

        Raises:
            Conflict: The login has another generation or intent than `row`, or its token was
                sent since `row` was read; nothing was written.
        """
        ...

    async def mark_sent(
        self, row: CredentialRow, intent_id: str, *, fence: Fence | None = None
    ) -> None:
        """Record that the token's bytes leave now.

        Raises:
            Conflict: The login has another generation than `row`, or the intent is gone; nothing
                was written.
        """
        ...

    async def clear_intent(self, row: CredentialRow, intent_id: str) -> None:
        """Remove the intent of a token that was surely not spent; do nothing if it is gone.

        It needs no fence, because it is about that intent and no other.
        """
        ...

    async def store_result(
        self, row: CredentialRow, intent_id: str, *, fence: Fence | None = None
    ) -> bool:
        """Store X's answer as the next generation, which ends any intent.

        Return True if the fence still held. Store the answer even if the lease was lost, and end
        the new holder's intent: the token before this answer is spent, so the new holder could
        only send a dead one. A repeated call raises `Conflict`.

        Raises:
            Conflict: `row.gen` is not the next generation; nothing was written.
        """
        ...

    async def set_status(
        self,
        row: CredentialRow,
        status: LoginState,
        *,
        reason: str,
        now: datetime,
        config_fingerprint: str = "",
        fence: Fence | None = None,
    ) -> None:
        """Change the state of this generation; do nothing to a newer one.

        `since` stays if the state is the same as before.
        """
        ...

    async def expire(self, row: CredentialRow, *, now: datetime) -> None:
        """End the access token of this generation now; do nothing to a newer one."""
        ...

    async def note_level(self, row: CredentialRow, level: str) -> None:
        """Keep the `x-access-level` that an answer showed; do nothing to a newer generation."""
        ...

    async def reseal(self, row: CredentialRow, fresh: CredentialRow) -> bool:
        """Replace the row's sealed tokens and its origin by those of `fresh`: the same tokens.

        Return False, and change nothing, if the store has other tokens than `row` by now.
        """
        ...

    async def remove(self, account_id: str, app: str, kind: CredentialKind) -> bool:
        """Delete a login and overwrite its bytes; return False if there was none."""
        ...


class Accounts(Protocol):
    """The accounts the bot acts for, what is known of users, and the operator's checklist."""

    async def put(self, account: Account) -> None:
        """Add or update an account; its alias stays as it is."""
        ...

    async def rename(self, account_id: str, alias: str) -> None:
        """Set the alias of an account, "" for none.

        Raises:
            Conflict: Another account has that alias as its id, username or alias; nothing was
                written.
        """
        ...

    async def get(self, account: str) -> Account | None:
        """Return the account with that id, alias or username, None if there is none.

        Ignore case and a leading @. The id takes precedence over the alias, the alias over the
        username, and a newer account over an older one.
        """
        ...

    async def listing(self) -> list[Account]:
        """Return all accounts, oldest first."""
        ...

    async def remove(self, account_id: str) -> bool:
        """Delete an account and all its logins; return False if there was none."""
        ...

    async def cached_users(self, ids: Sequence[str], *, since: datetime) -> list[StoredUser]:
        """Return the cached users of these ids that were fetched since then."""
        ...

    async def cache_users(self, users: Sequence[StoredUser]) -> None:
        """Store fetched users in the cache, except those it has from a later fetch."""
        ...

    async def opted_out(self, account_id: str, user_id: str) -> StoredOptOut | None:
        """Return the user's opt-out, None if the account may write to the user."""
        ...

    async def opt_outs(self, *, account_id: str = "", limit: int) -> list[StoredOptOut]:
        """Return the opt-outs of one account or of all, the newest first."""
        ...

    async def opt_out(self, row: StoredOptOut) -> StoredOptOut:
        """Record that a user opted out; return the opt-out that stands: the first one."""
        ...

    async def opt_in(self, account_id: str, user_id: str) -> bool:
        """Forget that a user opted out; return False if there was no opt-out."""
        ...

    async def cached_user(self, username: str) -> StoredUser | None:
        """Return the cached user of that name, whatever its case, the one fetched last."""
        ...

    async def marks(self, account_id: str) -> list[Mark]:
        """Return the checklist steps that were confirmed, oldest first."""
        ...

    async def set_mark(self, mark: Mark) -> None:
        """Confirm a checklist step."""
        ...

    async def clear_mark(self, account_id: str, step: str) -> bool:
        """Take a confirmation back; return False if there was none."""
        ...


class Invitations(Protocol):
    """Invitations to authorize an account through the running bot; each lets one login in.

    Source: docs/explanation/requirements.md, "Invitations".
    """

    async def add(self, invitation: Invitation) -> None:
        """Keep a new invitation; its id must be new."""
        ...

    async def get(self, invitation_id: str) -> Invitation | None:
        """Return an invitation, None if it is not kept."""
        ...

    async def listing(self) -> list[Invitation]:
        """Return all invitations, newest first."""
        ...

    async def hold(
        self, invitation_id: str, holder: str, *, before: str, until: datetime, now: datetime
    ) -> Invitation | None:
        """Reserve an open invitation for a login that begins now; return the changed invitation.

        Return None, and change nothing, if the invitation is not open. One that is reserved counts
        as open if `before` is its holder: that login begins again.
        """
        ...

    async def free(self, invitation_id: str, holder: str) -> None:
        """Open the invitation again if that holder has reserved it and did not use it."""
        ...

    async def free_all(self) -> None:
        """Open all reserved invitations again.

        Call this at the start of the only process that reserves any.
        """
        ...

    async def redeem(
        self,
        invitation_id: str,
        holder: str,
        account: Account,
        row: CredentialRow,
        events: Sequence[NewEvent],
        *,
        now: datetime,
        fence: Fence,
    ) -> CredentialRow:
        """Use the invitation up, put the account, store the login and record the events.

        Do all of it or nothing; return the login's row. A repeated call raises
        `InvitationRefused`.

        Raises:
            Conflict: As in `Credentials.replace`.
            InvitationRefused: The holder's reservation has ended, or the invitation was revoked.
        """
        ...

    async def revoke(self, invitation_id: str, *, now: datetime) -> bool:
        """End an invitation that is not used yet; return False if there is none to end."""
        ...


class Leases(Protocol):
    """Leases: roles that one process holds at a time.

    Leases run out by the store's clock, not the caller's. The epoch of a role only grows.

    Source: docs/decisions/2026-11-25-refresh-lease.md.
    """

    async def acquire(
        self, name: str, owner: str, *, ttl: timedelta, ended: str = "", patient: bool = False
    ) -> Fence | None:
        """Take a free or expired lease with the next epoch; return None if another holds it.

        `ended` names an owner whose process is known to have ended: a lease that it holds counts
        as free. With `patient`, leave an expired lease to its holder, another process of this
        machine, for as long as the store sees that process live.
        """
        ...

    async def renew(self, fence: Fence, *, ttl: timedelta) -> None:
        """Extend the lease to `ttl` from now, even if it has run out and no process took it.

        Raises:
            LeaseLost: Another process took the lease, or it was released.
        """
        ...

    async def release(self, fence: Fence) -> None:
        """Give the lease back; do nothing if it is gone."""
        ...

    async def holder(self, name: str) -> str | None:
        """Return the owner that holds the lease now, None if it is free."""
        ...


class Progress(Protocol):
    """Checkpoints, gaps, schedules and the status reports of the running parts."""

    async def checkpoint(self, source: str, account_id: str) -> Checkpoint | None:
        """Return how far a source has read; None if it has never run."""
        ...

    async def set_checkpoint(self, checkpoint: Checkpoint, *, fence: Fence | None = None) -> None:
        """Store how far a source has read without recording events."""
        ...

    async def open_gap(self, gap: GapRow) -> int:
        """Record a gap, in which a source may have missed events; return the gap's id.

        A repeated call opens another gap.
        """
        ...

    async def change_gap(self, gap: GapRow) -> None:
        """Replace the record of the gap with this id, if it is still open."""
        ...

    async def gaps(self, *, state: str | None = None, limit: int = 100) -> list[GapRow]:
        """Return the gaps in a state, or all, newest first."""
        ...

    async def schedules(self, account_id: str | None = None) -> list[ScheduleRow]:
        """Return the next time of each schedule, of one account or all, the earliest first."""
        ...

    async def fire(
        self, row: ScheduleRow, events: Sequence[NewEvent], *, fence: Fence
    ) -> list[int | None]:
        """Store the schedule's next time and the ticks that are due, all or nothing.

        Return as `Events.append` does.
        """
        ...

    async def report(self, reports: Sequence[StatusReport], *, fence: Fence | None = None) -> None:
        """Replace the status reports of these parts."""
        ...

    async def reports(self) -> list[StatusReport]:
        """Return the last status report of each part, in order of the parts' names."""
        ...

    async def clear_reports(self, *, fence: Fence | None = None) -> None:
        """Remove all status reports.

        Call this at the start and the clean end of the only process that reports.
        """
        ...


class Store(Protocol):
    """The whole store, by groups of methods. `url` names it without any secret."""

    url: str
    store_id: str
    events: Events
    states: States
    writes: Writes
    own_posts: OwnPosts
    credentials: Credentials
    accounts: Accounts
    invitations: Invitations
    leases: Leases
    progress: Progress
    ledger: Ledger

    @property
    def fault(self) -> StateError | None:
        """Return the error of the last write or call of `changed`; None if writes work."""
        ...

    async def vault_check(self) -> bytes | None:
        """Return the value that proves the vault key, None while no key was used yet."""
        ...

    async def set_vault_check(self, value: bytes, *, expected: bytes | None) -> bytes:
        """Store the proof if the present one is `expected`; return the proof stored afterwards."""
        ...

    async def take_over_handlers(
        self, names: Collection[str], renamed: Mapping[str, str], *, fence: Fence
    ) -> list[GoneHandler]:
        """Move the results and writes of unfinished events to the present names of handlers.

        `names` are the present handler names; `renamed` maps older names to them. An event is
        unfinished while it is in the inbox or a dead letter. If a handler in neither argument has
        kept a result of such an event, or may have written for it, the event waits for
        `handler/<name>` until a later call knows the name. Return those handlers, sorted by name.
        """
        ...

    async def changed(self) -> bool:
        """Return True if another process changed the store since the last call. The call is cheap.

        Raises:
            StoreGone: The store was removed, or another one is in its place.
        """
        ...

    async def prune(self, keep_for: KeepFor, *, now: datetime) -> Mapping[str, int]:
        """Delete rows that have been over for longer than `keep_for`; return counts by kind.

        Delete events that are done, dropped or late, and dead letters with their events, with the
        data of their runs, except those that a source of the account may deliver again, which no
        `Checkpoint.read_to` has passed: they are kept up to `keep_for.deliverable`. Delete writes
        that are CONFIRMED, REJECTED or EXPIRED, of events that cannot run any more; posts that no
        write made; invitations; cached users (an opt-out stays); gaps that are not open; hours of
        the ledger; the names of resources that were charged on days before yesterday. Run as
        several short transactions, so that others can write between them; it may end after any of
        them.
        One call deletes a tenth of the events and of the writes on record at most (10,000 at
        least); the count `bounded` is above 0 if some are left for the next call.
        """
        ...

    async def close(self) -> None:
        """Finish the calls that were made, then close the store."""
        ...
