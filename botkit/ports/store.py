"""The store's port: everything durable, in a few groups of short transactions.

Each method is one transaction, synced when it returns. A method that takes a `Fence` changes
nothing and raises `LeaseLost` when the lease has another epoch by then. Every method raises
`StoreUnavailable` when the store cannot be used now (disk full, read-only, locked for too long).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from botkit.ports.journal import Events, States, Writes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta
    from decimal import Decimal

    from botkit.model.invitations import Invitation
    from botkit.model.records import (
        BudgetEntry,
        Checkpoint,
        CredentialRow,
        Fence,
        Gap,
        Intent,
        Mark,
        NewEvent,
        ScheduleRow,
        StatusReport,
        StoredUser,
    )
    from botkit.model.tokens import CredentialKind, LoginState, Secret
    from botkit.model.users import Account

__all__ = [
    "Accounts",
    "Credentials",
    "Events",
    "Invitations",
    "Leases",
    "Ledger",
    "Progress",
    "States",
    "Store",
    "VaultPort",
    "Writes",
]


class Credentials(Protocol):
    """Logins. Tokens are sealed before they come here.

    Source: docs/explanation/requirements.md, "The refresh of a login".
    """

    async def get(self, account_id: str, app: str, kind: CredentialKind) -> CredentialRow | None:
        """One login."""
        ...

    async def listing(self, account_id: str | None = None) -> list[CredentialRow]:
        """All logins, or those of one account."""
        ...

    async def replace(
        self,
        row: CredentialRow,
        *,
        account: Account | None = None,
        events: Sequence[NewEvent] = (),
    ) -> CredentialRow:
        """A new grant from setup: stored with the next generation and no intent.

        With it, all or nothing, its account is put and the events are recorded. `row.sealed` must
        have been sealed for `row.gen`; a `Conflict` when that is not the next, or when it was
        sealed with another key than the store has now.
        """
        ...

    async def make_room(self) -> None:
        """Return when a new login could be written and synced now."""
        ...

    async def intend(
        self,
        row: CredentialRow,
        intent: Intent,
        *,
        reserve_bytes: int,
        fence: Fence | None = None,
    ) -> None:
        """Write an intent, padded so that the result will fit; `Conflict` on another `gen`."""
        ...

    async def mark_sent(
        self, row: CredentialRow, intent_id: str, *, fence: Fence | None = None
    ) -> None:
        """The token's bytes leave now; `Conflict` when the intent is not there any more."""
        ...

    async def clear_intent(self, row: CredentialRow, intent_id: str) -> None:
        """The token was surely not spent. Needs no fence: it is about that intent and no other."""
        ...

    async def store_result(
        self, row: CredentialRow, intent_id: str, *, fence: Fence | None = None
    ) -> bool:
        """The new generation (`row.gen`), which clears the intent; `Conflict` if one is there.

        Gives whether the fence still held; an old one is no reason to refuse. The token that
        this one follows is spent, so whoever took the lease meanwhile could only send a dead one:
        the result is stored, and the other's intent ends with it, before or after it was sent.
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
        """Change the state of this generation; does nothing to a newer one."""
        ...

    async def expire(self, row: CredentialRow, *, now: datetime) -> None:
        """The access token of this generation ends now: X refuses it. Nothing to a newer one."""
        ...

    async def note_level(self, row: CredentialRow, level: str) -> None:
        """Keep the `x-access-level` that an answer showed."""
        ...

    async def reseal(self, row: CredentialRow, sealed: bytes) -> bool:
        """The same tokens under another key; False when they are not those of `row` any more."""
        ...

    async def remove(self, account_id: str, app: str, kind: CredentialKind) -> bool:
        """Delete a login and overwrite its bytes."""
        ...


class Accounts(Protocol):
    """The accounts the bot acts for, what is known of users, and the operator's checklist."""

    async def put(self, account: Account) -> None:
        """Add or update an account; its alias stays as it is."""
        ...

    async def rename(self, account_id: str, alias: str) -> None:
        """Give an account an alias, "" for none; `Conflict` when another is called so."""
        ...

    async def get(self, account: str) -> Account | None:
        """By id, alias or username, case-insensitive, with or without the @."""
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

    async def forget_users(self, *, before: datetime) -> int:
        """Drop those fetched before then; who opted out stays so. Gives how many."""
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


class Invitations(Protocol):
    """Invitations to authorize an account through the running bot; each lets one login in.

    Source: docs/explanation/requirements.md, "Invitations".
    """

    async def add(self, invitation: Invitation) -> None:
        """Keep a new one."""
        ...

    async def get(self, invitation_id: str) -> Invitation | None:
        """By its id."""
        ...

    async def listing(self) -> list[Invitation]:
        """All that are kept, newest first."""
        ...

    async def hold(
        self, invitation_id: str, holder: str, *, before: str, until: datetime, now: datetime
    ) -> Invitation | None:
        """Keep an open one for a login that begins now; gives it as it is then.

        One that is held already stays so (None), unless the one who held it, `before`, begins
        again.
        """
        ...

    async def free(self, invitation_id: str, holder: str) -> None:
        """The holder's login came to nothing: the invitation is open again."""
        ...

    async def free_all(self) -> None:
        """No login is under way: at the start of the only process that lets any begin."""
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
        """Store the login, record the events and use the invitation up, all or nothing.

        Raises:
            Conflict: `row.gen` is not the login's next generation.
            InvitationRefused: The holder does not hold it any more, or it was revoked.
        """
        ...

    async def revoke(self, invitation_id: str, *, now: datetime) -> bool:
        """End one that was not used yet; False when there was none to end."""
        ...

    async def prune(self, *, before: datetime) -> int:
        """Forget those that were over before then; gives how many."""
        ...


class Leases(Protocol):
    """Roles that one process holds at a time. They run out by the store's clock, not the caller's.

    Source: docs/decisions/2026-11-25-refresh-lease.md.
    """

    async def acquire(
        self, name: str, owner: str, *, ttl: timedelta, ended: str = "", patient: bool = False
    ) -> Fence | None:
        """Take a free or expired lease, with the next epoch; None when another holds it.

        `ended` names an owner whose process is known to be no more: what it holds is free.
        `patient` leaves an expired one to a holder in another process of this machine for as long
        as the store sees that process live.
        """
        ...

    async def renew(self, fence: Fence, *, ttl: timedelta) -> None:
        """Hold it longer; `LeaseLost` when it is gone."""
        ...

    async def release(self, fence: Fence) -> None:
        """Give it back; does nothing when it is gone."""
        ...

    async def holder(self, name: str) -> str | None:
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

    async def prune_gaps(self, *, before: datetime) -> int:
        """Forget gaps that ended before then; gives how many."""
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

    async def prune(self, *, before: datetime) -> int:
        """Forget the entries of hours before then; gives how many."""
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
    invitations: Invitations
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


class VaultPort(Protocol):
    """Seals tokens for the store. What is sealed for one row cannot be opened for another."""

    def seal(
        self,
        tokens: Mapping[str, Secret | str],
        /,
        *,
        account_id: str,
        app: str,
        kind: CredentialKind,
        gen: int,
    ) -> bytes:
        """The tokens, encrypted and bound to that row and generation."""
        ...

    def is_current(self, sealed: bytes, /) -> bool:
        """Whether it was sealed with the newest key."""
        ...

    def sign(self, message: bytes, /, *, purpose: str) -> bytes:
        """A tag that only this deployment's key makes, for this purpose only."""
        ...

    def verify(self, message: bytes, tag: bytes, /, *, purpose: str) -> bool:
        """Whether the tag is one of `sign`, by any key that we have; in constant time."""
        ...

    def learn(self, key: bytes, /, *, previous: bytes | None = None) -> None:
        """Seal with this key from now on."""
        ...

    def open(
        self, sealed: bytes, /, *, account_id: str, app: str, kind: CredentialKind, gen: int
    ) -> dict[str, Secret]:
        """What was sealed for this row.

        Raises:
            VaultKeyError: It was sealed with a key that we do not have.
            Corrupt: It was damaged, or belongs to another row or deployment.
        """
        ...

    def open_access(
        self, sealed: bytes, /, *, account_id: str, app: str, kind: CredentialKind, gen: int
    ) -> dict[str, Secret]:
        """As `open`, but what is needed to refresh stays shut: for whoever is not the keeper."""
        ...
