"""One OAuth 2.0 login in memory: its access token, the token's life, and when to refresh it.

Times in memory are on the clock that never goes back; the wall clock counts only across restarts.
Source: docs/explanation/requirements.md, "The refresh of a login" and F17.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from botkit.client.logins.rescue_file import Rescued
from botkit.model.records import CredentialRow
from botkit.model.tokens import CredentialKind, LoginState, Secret

if TYPE_CHECKING:
    import asyncio

    from botkit.ports.io import Clock, Entropy

__all__ = [
    "HANDED_OVER",
    "NOT_GRANTED",
    "LoginStatus",
    "OAuth2Login",
    "Outcome",
    "is_asked_again",
    "life_s",
]

HANDED_OVER = "handed over"
"""The first words of the `reason` of a login that was moved to another machine."""
NOT_GRANTED = "the refresh was not granted"
"""The first words of the `reason` of a login whose refresh X refused, its token not spent."""
_FULL_LIFE_S = 7200.0
_MARGIN = (1 / 6, 1 / 3)
"""The share of a token's life left when its refresh is due: 20 to 40 minutes of two hours."""
_URGENT_S = 60.0
_LATE_S = 120.0
_GAP_S = 60.0
_LONGEST_GAP_S = 900.0


def life_s(row: CredentialRow, now: datetime) -> float:
    """Return the seconds that the row's access token still lives, by the wall clock.

    Return at most the life that X granted, so that a clock that is slow does not extend it.
    """
    if row.access_until is None:
        return 0.0
    whole = row.access_until - (row.last_success or row.granted_at)
    left = min(row.access_until - now, whole)
    return max(left, timedelta(0)).total_seconds()


def _rest_s(row: CredentialRow, now: datetime) -> float:
    """Return the seconds to wait after the last refresh, by any process, before the next one.

    They hold regardless of the token's life as X states it, and of errors of the wall clock.
    """
    if row.last_success is None:
        return 0.0
    age_s = (now - row.last_success).total_seconds()
    return min(max(_GAP_S - age_s, 0.0), _GAP_S)


def is_asked_again(row: CredentialRow) -> bool:
    """Return True if an UNCERTAIN login may be refreshed before its access token ends.

    X refused its last refresh and gave no known reason, so the refresh token is not spent.
    """
    return row.status is LoginState.UNCERTAIN and row.reason.startswith(NOT_GRANTED)


class Outcome(Struct, frozen=True, kw_only=True):
    """Hold how one attempt to refresh ended.

    `kind` is `renewed`, `adopted` (another process had refreshed), `kept` (nothing was changed),
    `uncertain`, `dead`, `config`, `later` (X surely did not carry it out), `blocked` (the store
    failed and nothing was sent), `unsaved` (renewed, but the store could not save it) or `gone`
    (removed from the store). `row` is the login after the attempt. `reason` says of `later` and
    `unsaved` why. `wait_s`, if it is set, is how long to wait before the next attempt.
    """

    kind: str
    row: CredentialRow
    access: Secret | None = None
    reason: str = ""
    wait_s: float | None = None
    error: Exception | None = None
    unsaved: Rescued | None = None


class LoginStatus(Struct, frozen=True, kw_only=True):
    """Describe one login for the operator.

    `left_s` is the rest of the access token's life, 0 if it has expired, None if it never does.
    `saved` is False while the newest token is only in memory and in the rescue file. `next_step`
    is the exact command to run, "" if there is nothing to do. `account_id` is "" for an app's own
    bearer token, which belongs to no account.
    """

    account_id: str
    username: str
    app: str
    status: LoginState
    since: datetime
    gen: int
    left_s: float | None
    last_success: datetime | None
    reason: str = ""
    saved: bool = True
    next_step: str = ""
    kind: CredentialKind = CredentialKind.OAUTH2
    is_gone: bool = False
    """True if the login was removed from the store: `status` is DEAD then."""

    @property
    def works(self) -> bool:
        """Return True if calls can use it: UNCERTAIN and CONFIG stop only refreshes."""
        return self.status is LoginState.OK or (
            self.status is not LoginState.DEAD and bool(self.left_s)
        )


class OAuth2Login:
    """Hold one login in memory, small enough that ten thousand fit into one process."""

    __slots__ = (
        "access",
        "doubt",
        "error",
        "fresh_until_s",
        "gap_s",
        "is_gone",
        "last_refresh_s",
        "late_s",
        "margin_s",
        "next_try_s",
        "refresh_task",
        "row",
        "tries",
        "unsaved",
        "until_s",
        "urgent_s",
        "waited",
    )

    def __init__(self, row: CredentialRow) -> None:
        self.row: CredentialRow = _without_secrets(row)
        self.access: Secret = Secret("")
        self.until_s: float = 0.0
        self.fresh_until_s: float = 0.0
        self.margin_s: float = 0.0
        self.late_s: float = 0.0
        self.urgent_s: float = 0.0
        self.gap_s: float = _GAP_S
        self.next_try_s: float = 0.0
        self.last_refresh_s: float = float("-inf")
        self.tries: int = 0
        self.waited: bool = False
        self.error: Exception | None = None
        self.refresh_task: asyncio.Task[None] | None = None
        self.unsaved: Rescued | None = None
        self.is_gone: bool = False
        self.doubt: bool = False
        """True if another process was refreshing the login when it was last read."""

    def take(
        self, row: CredentialRow, access: Secret, *, left_s: float, clock: Clock, entropy: Entropy
    ) -> None:
        """Switch to this generation and its access token, and draw its refresh margin once."""
        whole_s = _FULL_LIFE_S
        if row.access_until is not None:
            span = row.access_until - (row.last_success or row.granted_at)
            whole_s = min(max(span.total_seconds(), 1.0), _FULL_LIFE_S)
        self.keep(row)
        self.access = access
        self.until_s = clock.monotonic() + left_s
        self.margin_s = whole_s * entropy.uniform(*_MARGIN)
        self.urgent_s = min(_URGENT_S, whole_s / 20)
        self.late_s = min(_LATE_S, whole_s / 10)
        self.fresh_until_s = self._fresh_until_s()
        self.tries = 0
        self.waited = False
        self.next_try_s = clock.monotonic() + _rest_s(row, clock.now())
        self.error = None

    def keep(self, row: CredentialRow) -> None:
        """Take over another state of the login, without its sealed tokens."""
        self.row = _without_secrets(row)
        self.fresh_until_s = self._fresh_until_s()

    def shorten(self, left_s: float, clock: Clock) -> None:
        """End the access token in at most `left_s` seconds: X refuses it before its time."""
        self.until_s = min(self.until_s, clock.monotonic() + left_s)
        self.next_try_s = 0.0  # only the process that X refused waits
        self.fresh_until_s = self._fresh_until_s()

    def _fresh_until_s(self) -> float:
        """Return the time until which the access token is returned without any further check."""
        is_ok = self.row.status is LoginState.OK
        return self.until_s - self.margin_s if is_ok else 0.0

    def left_s(self, clock: Clock) -> float:
        """Return the seconds that the access token in memory still lives."""
        return max(self.until_s - clock.monotonic(), 0.0)

    def due_s(self) -> float | None:
        """Return the time of the next try, on the steady clock; None if only a person can help."""
        if self.unsaved is not None:
            return self.next_try_s
        status = self.row.status
        if status is LoginState.OK:
            due_s = self.until_s - self.margin_s
        elif status is LoginState.UNCERTAIN:
            due_s = 0.0 if is_asked_again(self.row) else self.until_s - self.late_s
        else:
            return None
        next_s = self.next_try_s
        return due_s if due_s > next_s else next_s  # noqa: FURB136 - max() takes twice as long

    def can_act(self, clock: Clock) -> bool:
        """Return True if calls can use the login: its access token lives or may be renewed now."""
        if self.row.status is LoginState.DEAD or self.is_gone:
            return False
        if self.left_s(clock) > 0 or self.refresh_task is not None:
            return True
        return self.row.status is not LoginState.CONFIG and self.next_try_s <= clock.monotonic()

    def may_follow_401(self, now_s: float) -> bool:
        """Return True if a 401 may start a refresh now.

        Such refreshes are at least 60 s apart; the gap doubles, up to 15 min, while they go on.
        """
        since_s = now_s - self.last_refresh_s
        if since_s < self.gap_s:
            return False
        self.gap_s = (
            _GAP_S if since_s > 4 * _LONGEST_GAP_S else min(2 * self.gap_s, _LONGEST_GAP_S)
        )
        return True


def _without_secrets(row: CredentialRow) -> CredentialRow:
    return structs.replace(row, sealed=b"") if row.sealed else row
