"""Rows of the store as frozen values: the arguments and results of the store's port.

Times are aware UTC datetimes. Bodies are JSON bytes. Ids of events are their keys.
"""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from botkit.model.tokens import CredentialKind, LoginState

__all__ = [
    "Attempt",
    "CredentialRow",
    "DeadLetter",
    "EventState",
    "Fence",
    "InboxItem",
    "InboxPage",
    "Intent",
    "KeepFor",
    "Mark",
    "MemoKey",
    "MissedRead",
    "NewEvent",
    "NewWrite",
    "OwnPost",
    "PostForgotten",
    "RunDead",
    "RunDone",
    "RunEnd",
    "RunParked",
    "RunRetried",
    "ScheduleRow",
    "StateChange",
    "StateRow",
    "StatusReport",
    "StoredEvent",
    "StoredOptOut",
    "StoredUser",
    "StoredWrite",
    "Wait",
    "WriteMove",
    "WritePolicy",
    "WriteState",
]


class EventState(enum.StrEnum):
    """The state of an event in the store."""

    WAITING = "waiting"
    DONE = "done"
    DEAD = "dead"
    DROPPED = "dropped"
    LATE = "late"
    """The state of an event that arrived too late to be answered: it runs only on request."""


class WriteState(enum.StrEnum):
    """The state of a write. Source: docs/explanation/requirements.md, "Writes"."""

    QUEUED = "QUEUED"
    SENDING = "SENDING"
    CONFIRMED = "CONFIRMED"
    REJECTED = "REJECTED"
    UNCERTAIN = "UNCERTAIN"
    ABSENT = "ABSENT"
    UNRESOLVED = "UNRESOLVED"
    EXPIRED = "EXPIRED"


class WritePolicy(enum.StrEnum):
    """How a write whose outcome is unknown is settled."""

    RECONCILE = "reconcile"
    HOLD = "hold"
    RESEND = "resend"


class Fence(Struct, frozen=True, gc=False):
    """Proof of a lease. The store refuses a write whose epoch is older than the lease row's."""

    name: str
    owner: str
    epoch: int


class NewEvent(Struct, frozen=True, kw_only=True, gc=False):
    """An event on its way into the inbox.

    `kind` is the event class's tag (`mention`, `tick`, ...) or `signal/<class name>`.
    `cause` is the key of the event whose handler emitted this one, "" for events from outside.
    `not_before` is None for an event that is due at once. `running` records it as running in the
    same commit; it saves a call of `mark_running`.
    """

    account_id: str
    key: str
    kind: str
    lane: str
    body: bytes
    at: datetime
    source: str = ""
    cause: str = ""
    not_before: datetime | None = None
    running: bool = False


class InboxItem(Struct, frozen=True, kw_only=True, gc=False):
    """An event that waits in the inbox.

    `seq` grows with arrival. `attempts` counts failed tries, `unclean` counts crashes of the
    process while the event ran, `run` counts deliberate replays. `waiting_for` is the cause for
    which the event is parked, "" if it is not parked. `asked` is True if a person put it back.
    """

    seq: int
    account_id: str
    key: str
    kind: str
    lane: str
    body: bytes
    at: datetime
    source: str = ""
    cause: str = ""
    attempts: int = 0
    unclean: int = 0
    run: int = 0
    not_before: datetime | None = None
    waiting_for: str = ""
    recorded_at: datetime | None = None
    asked: bool = False


class InboxPage(Struct, frozen=True, kw_only=True, gc=False):
    """Events that are due, and the time at which the next one becomes due."""

    items: list[InboxItem]
    next_at: datetime | None


class Wait(Struct, frozen=True, kw_only=True, gc=False):
    """Hold a cause that events wait for: their number, and the latest time if it is known."""

    waiting_for: str
    events: int
    until: datetime | None


class StoredEvent(Struct, frozen=True, kw_only=True, gc=False):
    """The record of an event, kept for seven days at least after it was recorded."""

    seq: int
    account_id: str
    key: str
    kind: str
    lane: str
    body: bytes
    at: datetime
    recorded_at: datetime
    source: str
    cause: str
    state: EventState
    note: str = ""
    """How the event ended: the handler's name, the reason of a drop, `no handler`, ..."""
    attempts: int = 0
    run: int = 0
    not_before: datetime | None = None
    waiting_for: str = ""


class DeadLetter(Struct, frozen=True, kw_only=True, gc=False):
    """An event that was given up. `reason` is `failed`, `refused`, `timeout`, `crashed`, ..."""

    account_id: str
    key: str
    kind: str
    reason: str
    error: str
    trace: str
    handler: str
    attempts: int
    at: datetime


class StateChange(Struct, frozen=True, kw_only=True, gc=False):
    """A new value for a piece of the author's state; a `value` of None deletes it.

    `expected_rev` is the revision that was read, 0 if there was none. The store raises `Conflict`
    if it has another revision by now.
    """

    scope: str
    key: str
    value: bytes | None
    expected_rev: int


class StateRow(Struct, frozen=True, kw_only=True, gc=False):
    """A stored piece of the author's state."""

    value: bytes
    rev: int


class RunDone(Struct, frozen=True, kw_only=True, gc=False):
    """The event is done (or dropped), with the state it changed and the events it emitted."""

    seq: int
    state: EventState = EventState.DONE
    note: str = ""
    changes: tuple[StateChange, ...] = ()
    emitted: tuple[NewEvent, ...] = ()


class RunRetried(Struct, frozen=True, kw_only=True, gc=False):
    """The try failed and is counted; the next one starts at `not_before`."""

    seq: int
    not_before: datetime
    reason: str


class RunParked(Struct, frozen=True, kw_only=True, gc=False):
    """The event waits for `waiting_for`, at most until `until`; no try is counted."""

    seq: int
    waiting_for: str
    until: datetime | None


class RunDead(Struct, frozen=True, kw_only=True, gc=False):
    """The event is given up; the dead letter has the cause."""

    seq: int
    letter: DeadLetter


RunEnd = RunDone | RunRetried | RunParked | RunDead
"""How one run of an event ended."""


class GoneHandler(Struct, frozen=True, kw_only=True, gc=False):
    """A handler that is not there any more, and the events that it began and did not finish."""

    name: str
    keys: tuple[str, ...]


class MemoKey(Struct, frozen=True, kw_only=True, gc=False):
    """The name of a result that is computed once per event (`act.once`)."""

    account_id: str
    event_key: str
    run: int
    handler: str
    name: str
    n: int = 0


class NewWrite(Struct, frozen=True, kw_only=True, gc=False):
    """A write about to be sent.

    `id` is the step's key as text, unique. `interaction` is the id of the answered post's first
    version, "" if the write is no reply. `text_hash` is the hash of the normalised text, "" if
    the write has no text. `thread` names the conversation and the author that a reply answers.
    """

    id: str
    account_id: str
    operation: str
    target: str
    body: bytes
    event_key: str = ""
    run: int = 0
    handler: str = ""
    text: str = ""
    text_hash: str = ""
    interaction: str = ""
    thread: str = ""
    policy: WritePolicy = WritePolicy.RECONCILE
    cost_usd: Decimal = Decimal(0)
    expires_at: datetime | None = None


class OwnPost(Struct, frozen=True, kw_only=True, gc=False):
    """Hold a post of the account that X shows and that no recorded write made.

    `target` is the id of the post that it answers, "" if it answers none. `body` is the JSON of
    `Post`.
    """

    account_id: str
    post_id: str
    target: str
    body: bytes
    at: datetime


class Attempt(Struct, frozen=True, kw_only=True, gc=False):
    """One attempt to send a write. `outcome` is "" while it is under way."""

    n: int
    started: datetime
    epoch: int
    outcome: str = ""
    ended: datetime | None = None


class StoredWrite(Struct, frozen=True, kw_only=True, gc=False):
    """A write as the journal stores it. `result` is the step's return value as JSON."""

    id: str
    account_id: str
    operation: str
    target: str
    body: bytes
    state: WriteState
    event_key: str = ""
    run: int = 0
    handler: str = ""
    text: str = ""
    text_hash: str = ""
    interaction: str = ""
    policy: WritePolicy = WritePolicy.RECONCILE
    cost_usd: Decimal = Decimal(0)
    created_at: datetime
    first_sent_at: datetime | None = None
    last_sent_at: datetime | None = None
    next_read_at: datetime | None = None
    reads: int = 0
    clean_reads: int = 0
    first_clean_at: datetime | None = None
    last_clean_at: datetime | None = None
    result_id: str = ""
    result: bytes | None = None
    reason: str = ""
    expires_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()
    fresh: bool = False
    """Whether the call that returned this row made or re-opened it for sending."""


class Rivals(Struct, frozen=True, kw_only=True, gc=False):
    """Writes that may forbid another one.

    `answers` answer the same interaction. `same_text` carry the same text to the same target, and
    were sent within the time that was asked for.
    """

    answers: tuple[StoredWrite, ...] = ()
    same_text: tuple[StoredWrite, ...] = ()


class WriteMove(Struct, frozen=True, kw_only=True, gc=False):
    """A change of a write's state, as `botkit.model.write_moves` allows it.

    `result_id` and `result` come with CONFIRMED, `next_read_at` with UNCERTAIN.
    """

    to: WriteState
    reason: str = ""
    next_read_at: datetime | None = None
    result_id: str = ""
    result: bytes | None = None


class MissedRead(Struct, frozen=True, kw_only=True, gc=False):
    """A reading that did not show an UNCERTAIN write.

    `clean` is True if the reading was complete and recent enough to have shown the write.
    """

    clean: bool
    next_read_at: datetime | None


class Intent(Struct, frozen=True, kw_only=True, gc=False):
    """The record of a refresh that will spend a token or has. Synced before the token is sent."""

    id: str
    gen: int
    refresh_hash: str
    owner: str
    boot_id: str
    started: datetime
    sent: bool = False


class CredentialRow(Struct, frozen=True, kw_only=True, gc=False):
    """A login: one row per account, app and kind. App-only rows have `account_id` ""."""

    account_id: str
    app: str
    kind: CredentialKind
    gen: int
    sealed: bytes
    """Tokens, sealed by the vault; bound to account, app, kind, generation, origin and client."""
    origin: str = ""
    """The origin of X's API that granted the login; "" in a row of an older botkit."""
    client_id: str = ""
    """The app's client id, for OAuth 1.0a and app-only its API key; "" if it is not known."""
    user_id: str = ""
    username: str = ""
    scopes: tuple[str, ...] = ()
    level: str = ""
    """The last `x-access-level` that X sent, "" if it sent none."""
    status: LoginState = LoginState.OK
    reason: str = ""
    since: datetime
    granted_at: datetime
    access_until: datetime | None = None
    last_success: datetime | None = None
    config_fingerprint: str = ""
    intent: Intent | None = None


class Mark(Struct, frozen=True, kw_only=True, gc=False):
    """A checklist step that the operator confirmed."""

    account_id: str
    step: str
    at: datetime


class ScheduleRow(Struct, frozen=True, kw_only=True, gc=False):
    """The next time of a schedule, for one account."""

    id: str
    account_id: str
    spec: str
    next_at: datetime


class PostForgotten(Struct, frozen=True, kw_only=True, gc=False):
    """Say what a deleted post has ended: the keys of events, and the ids of writes."""

    ended: tuple[str, ...] = ()
    dropped_writes: tuple[str, ...] = ()


class StoredOptOut(Struct, frozen=True, kw_only=True, gc=False):
    """Hold the opt-out of a user, to whom the account must not write.

    `cause` is the key of the event with the request, "" if an operator recorded it.
    """

    account_id: str
    user_id: str
    username: str = ""
    at: datetime
    cause: str = ""


class StoredUser(Struct, frozen=True, kw_only=True, gc=False):
    """A cached user. `body` is the JSON of `User`."""

    id: str
    username: str
    body: bytes
    fetched_at: datetime


class StatusReport(Struct, frozen=True, kw_only=True, gc=False):
    """The state of one part of the running bot, for `botkit status` and `/readyz`.

    `part` is `runner`, `source/activity`, `login/<account>`, ...; `state` is one word.
    """

    part: str
    state: str
    detail: str = ""
    at: datetime
    data: dict[str, str] = {}


class KeepFor(Struct, frozen=True, kw_only=True, gc=False):
    """Set how long finished records are kept.

    `deliverable` is for events that a source may deliver again, longer than `events`.
    """

    events: timedelta
    deliverable: timedelta
    dead: timedelta
    writes: timedelta
    invitations: timedelta
    users: timedelta
    gaps: timedelta
    ledger: timedelta
