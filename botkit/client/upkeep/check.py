"""Check logins: ask X to which user each belongs, after a refresh if one is due.

Source: docs/explanation/requirements.md, C8 and "The refresh of a login".
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct

from botkit.client.http.signed_calls import SignedCalls
from botkit.client.logins.identity import owner_of_pair, who_am_i
from botkit.client.logins.oauth1_logins import blame_for, verdict_of
from botkit.errors import (
    BotkitError,
    ConfigError,
    InvalidClient,
    InvalidGrant,
    Parked,
    Unauthorized,
)
from botkit.model.tokens import CredentialKind, LoginState
from botkit.model.users import User
from botkit.protocol.oauth.oauth1_flow import Blame
from botkit.protocol.rules.pricing import may_have_charged
from botkit.telemetry.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

    from botkit.client.refresh.token_keeper import TokenKeeper
    from botkit.model.records import CredentialRow
    from botkit.model.users import Account

__all__ = ["REFUSED_FRESH", "Checked", "check_logins"]

_log = structlog.get_logger(__name__)

REFUSED_FRESH = "X refuses a fresh access token"
"""The reason of a login to which X answers 401 although its token should be good."""

_APART_S = 5.0
"""The seconds between the two checks of a token that X refuses."""


class Checked(Struct, frozen=True, kw_only=True):
    """Hold the result of checking one login.

    `owner` is the user to whom the login belongs by X's answer; None if X did not say, and then
    `error` tells why. `left_s` is the rest of the access token's life, None if it never expires.
    """

    kind: CredentialKind
    status: LoginState
    reason: str
    since: datetime
    gen: int
    left_s: float | None = None
    owner: User | None = None
    error: BotkitError | None = None


async def check_logins(
    keeper: TokenKeeper, account: Account, *, on_asked: Callable[[], None]
) -> list[Checked]:
    """Check each login that the account has through its app; return the results.

    `on_asked` is called for each check that X may have answered, because X bills it as a
    `users/me` call.

    Raises:
        StateError: The store or the vault cannot be used.
    """
    rows = await keeper.context.rows.listing(account.id)
    # Load the logins: an access level that X shows is stored only for a loaded token.
    await keeper.holdings(account.id)
    checked: list[Checked] = []
    for row in (row for row in rows if row.app == account.app):
        if row.kind is CredentialKind.OAUTH2:
            checked.append(await _check_grant(keeper, account, on_asked))
        elif row.kind is CredentialKind.OAUTH1:
            checked.append(await _check_pair(keeper, account, row, on_asked))
    return checked


async def _check_grant(
    keeper: TokenKeeper, account: Account, on_asked: Callable[[], None]
) -> Checked:
    owner: User | None = None
    error: BotkitError | None = None
    status = await keeper.settled(account.id)
    if status.status is not LoginState.DEAD:
        try:
            owner = await _ask(keeper, account.id)
            on_asked()
        except Parked as parked:
            until = f" until {rfc3339(parked.until)}" if parked.until else ""
            error = BotkitError(f"the access token is over and cannot be renewed{until}")
        except BotkitError as trouble:
            error = trouble
            if may_have_charged(trouble):
                on_asked()
    if owner is not None and owner.id != account.id:
        await keeper.mark_dead(
            account.id, f"X says the token is of another user, @{owner.username} ({owner.id})"
        )
    status = await keeper.settled(account.id)
    refused = isinstance(error, Unauthorized) and status.status is LoginState.OK
    return Checked(
        kind=CredentialKind.OAUTH2,
        # X refuses a token that should be good: the login may be dead or OK.
        status=LoginState.UNCERTAIN if refused else status.status,
        reason=REFUSED_FRESH if refused else status.reason,
        since=status.since,
        gen=status.gen,
        left_s=status.left_s,
        owner=owner,
        error=None if isinstance(error, InvalidGrant | InvalidClient) else error,
    )


async def _ask(keeper: TokenKeeper, account_id: str) -> User:
    token = await keeper.access_token(account_id)
    try:
        return await who_am_i(keeper.context, token)
    except Unauthorized:
        fresh = await keeper.report_unauthorized(account_id, token)
        if fresh is None:
            raise
        return await who_am_i(keeper.context, fresh)


async def _check_pair(
    keeper: TokenKeeper, account: Account, row: CredentialRow, on_asked: Callable[[], None]
) -> Checked:
    """Check an OAuth 1.0a token, which does not expire, by X's answer alone.

    Check again some seconds after a first refusal; only a second refusal counts.
    """
    status, reason = row.status, row.reason
    owner: User | None = None
    error: BotkitError | None = None
    if keeper.context.rows.why_foreign(row):
        return Checked(kind=row.kind, status=status, reason=reason, since=row.since, gen=row.gen)
    try:
        owner, level = await _ask_twice(keeper, row)
        on_asked()
        await keeper.context.rows.bind(row)
        await keeper.oauth1_logins.note_level(account.id, level)
        status, reason = LoginState.OK, ""
    except Unauthorized as refused:
        status, reason, error = await _verdict(keeper, row, refused)
    except ConfigError as wrong:
        status, reason = LoginState.CONFIG, wrong.message
    except BotkitError as trouble:
        error = trouble
        if may_have_charged(trouble):
            on_asked()
    if owner is not None and owner.id != account.id:
        status, reason = LoginState.DEAD, f"the token is of another user, @{owner.username}"
    since = row.since
    if (status, reason) != (row.status, row.reason):
        since = (await keeper.context.rows.set_state(row, status, reason)).since
        _log.warning(
            "login.state_changed", account=row.account_id, status=status.value, reason=reason
        )
    return Checked(
        kind=row.kind,
        status=status,
        reason=reason,
        since=since,
        gen=row.gen,
        owner=owner,
        error=error,
    )


async def _ask_twice(keeper: TokenKeeper, row: CredentialRow) -> tuple[User, str]:
    context = keeper.context
    pair, calls = context.rows.token_pair(row), SignedCalls(context, row.app)
    try:
        return await owner_of_pair(context, calls, pair)
    except Unauthorized:
        await context.clock.sleep(_APART_S)
        return await owner_of_pair(context, calls, pair)


async def _verdict(
    keeper: TokenKeeper, row: CredentialRow, refused: Unauthorized
) -> tuple[LoginState, str, BotkitError | None]:
    """Return the state, the reason and the error that follow from a second refusal."""
    try:
        blame = await blame_for(keeper.context, row.app, refused)
    except BotkitError as trouble:
        return (*verdict_of(Blame.UNSAID, refused), trouble)
    return (*verdict_of(blame, refused), None)
