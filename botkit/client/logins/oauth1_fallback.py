"""Use an account's OAuth 1.0a token in place of its dead OAuth 2.0 login: the fallback.

The operator allows it by `[run] fallback`. Nothing stands in for a login that was handed over: it
lives on another machine, where another process acts for the account.
Source: docs/explanation/requirements.md, "The refresh of a login", Fallback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from msgspec import Struct

from botkit.client.logins.oauth2_login import HANDED_OVER, life_s
from botkit.model.tokens import CredentialKind, LoginState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from botkit.client.logins.login_book import LoginBook
    from botkit.client.logins.oauth2_login import OAuth2Login
    from botkit.model.records import CredentialRow
    from botkit.ports import Clock

__all__ = ["Fallback", "StandIn", "stand_in_of"]

_log = structlog.get_logger(__name__)

_ENDED = frozenset({LoginState.DEAD, LoginState.CONFIG})
_NONE: frozenset[CredentialKind] = frozenset()


class StandIn(Struct, frozen=True, kw_only=True):
    """State whether an account's OAuth 1.0a token replaces its OAuth 2.0 login, and why."""

    account_id: str
    username: str
    is_on: bool
    why: str = ""


class Fallback:
    """Decide which credential kinds are not used now, and report when a fallback begins or ends.

    `on_change` is called once at the beginning of each fallback, and once at its end.
    """

    def __init__(
        self,
        book: LoginBook,
        clock: Clock,
        *,
        allowed: bool,
        on_change: Callable[[StandIn], None] | None = None,
    ) -> None:
        self._book = book
        self._clock = clock
        self._allowed = allowed
        self._on_change = on_change
        self._on: dict[str, StandIn] = {}

    def resting(self, account_id: str) -> frozenset[CredentialKind]:
        """Return the credential kinds that the account has, but that cannot act for it now."""
        pair = self._book.oauth1_logins.get(account_id)
        if pair is None:
            return _NONE
        kinds: set[CredentialKind] = set()
        if pair.row.status is not LoginState.OK:
            kinds.add(CredentialKind.OAUTH1)
        grant = self._book.oauth2_logins.get(account_id)
        if grant is not None and self._allowed and self._has_ended(grant):
            kinds.add(CredentialKind.OAUTH2)
        return frozenset(kinds)

    def look(self, account_id: str) -> bool:
        """Return True if the OAuth 1.0a token replaces the login now; report a change of that."""
        resting = self.resting(account_id)
        is_on = CredentialKind.OAUTH2 in resting and CredentialKind.OAUTH1 not in resting
        was = self._on.get(account_id)
        if is_on and was is None:
            self._begin(self._book.oauth2_logins[account_id].row)
        elif not is_on and was is not None:
            del self._on[account_id]
            _log.info("oauth1_fallback.ended", account=account_id, username=was.username)
            self._tell(StandIn(account_id=account_id, username=was.username, is_on=False))
        return is_on

    def _begin(self, row: CredentialRow) -> None:
        why = row.reason or "the access token is over and cannot be renewed now"
        now = StandIn(account_id=row.account_id, username=row.username, is_on=True, why=why)
        self._on[row.account_id] = now
        _log.warning(
            "oauth1_fallback.started",
            account=row.account_id,
            username=row.username,
            why=why,
        )
        self._tell(now)

    def _tell(self, change: StandIn) -> None:
        if self._on_change is not None:
            self._on_change(change)

    def _has_ended(self, grant: OAuth2Login) -> bool:
        handed_over = grant.row.reason.startswith(HANDED_OVER)
        return not handed_over and not grant.can_act(self._clock)


def stand_in_of(rows: Sequence[CredentialRow], *, allowed: bool, now: datetime) -> str:
    """Return a note if an OAuth 1.0a token replaces or could replace an ended login, else "".

    For commands that list an account's logins.
    """
    by_kind = {row.kind: row for row in rows}
    grant, pair = by_kind.get(CredentialKind.OAUTH2), by_kind.get(CredentialKind.OAUTH1)
    if grant is None or pair is None or grant.reason.startswith(HANDED_OVER):
        return ""
    if grant.status not in _ENDED or pair.status is not LoginState.OK:
        return ""
    if grant.status is LoginState.CONFIG and life_s(grant, now) > 0:
        return ""
    if allowed:
        return "on: what X accepts with OAuth 1.0a goes on by that token"
    return "off by [run] fallback = false: all waits, though the OAuth 1.0a token works"
