"""Move a login to another machine, so that never two copies of a rotating token are in use.

This machine marks the login as handed over before its copy leaves; the other machine stores and
checks it. A login that was handed over refreshes nothing and sends nothing. Source:
docs/explanation/requirements.md, S9.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
import structlog
from msgspec import Struct

from botkit.client.logins.endpoints import API_URL, AppKeys, Endpoints
from botkit.client.logins.oauth2_login import HANDED_OVER
from botkit.errors import ConfigError, Conflict, Corrupt, VaultKeyError
from botkit.model.records import CredentialRow
from botkit.model.tokens import CredentialKind, LoginState, Secret
from botkit.model.users import Account
from botkit.telemetry.times import rfc3339

if TYPE_CHECKING:
    from botkit.client.logins.login_rows import LoginRows
    from botkit.client.refresh.token_keeper import TokenKeeper

__all__ = ["Parcel", "hand_over", "pack", "read_parcel", "take_back", "take_over"]

_log = structlog.get_logger(__name__)

_ENDED = frozenset({LoginState.DEAD, LoginState.CONFIG})


class PackedLogin(Struct, frozen=True, kw_only=True):
    """Hold one login with its tokens unsealed: for the inside of an encrypted parcel only."""

    kind: CredentialKind
    tokens: dict[str, str]
    scopes: tuple[str, ...]
    level: str
    status: LoginState
    reason: str
    granted_at: datetime
    access_until: datetime | None
    last_success: datetime | None

    def __repr__(self) -> str:
        return f"PackedLogin({self.kind.value})"


class Parcel(Struct, frozen=True, kw_only=True):
    """Hold an account with its logins.

    `client_id` and `api_key` name the app they belong to, `origin` the X that granted them; it is
    "" in a parcel of an older botkit, whose logins came from X itself.
    """

    account: Account
    client_id: str
    api_key: str
    at: datetime
    logins: tuple[PackedLogin, ...]
    origin: str = ""


def read_parcel(content: bytes) -> Parcel:
    """Return the parcel in these bytes. Raise `ConfigError` if there is none."""
    try:
        return msgspec.json.decode(content, type=Parcel)
    except msgspec.MsgspecError as fault:
        raise ConfigError("The file was made by another version of botkit.") from fault


async def pack(keeper: TokenKeeper, account: Account, rows: list[CredentialRow]) -> Parcel:
    """Return a parcel of the account and its logins, with the tokens unsealed."""
    context = keeper.context
    keys = context.apps.get(account.app, AppKeys())
    logins = [
        PackedLogin(
            kind=row.kind,
            tokens=_in_the_open(context.rows, row),
            scopes=row.scopes,
            level=row.level,
            status=LoginState.OK if row.reason.startswith(HANDED_OVER) else row.status,
            reason="" if row.reason.startswith(HANDED_OVER) else row.reason,
            granted_at=row.granted_at,
            access_until=row.access_until,
            last_success=row.last_success,
        )
        for row in rows
    ]
    return Parcel(
        account=account,
        client_id=keys.client_id,
        api_key=keys.api_key,
        at=context.clock.now(),
        logins=tuple(logins),
        origin=context.endpoints.origin,
    )


def _in_the_open(rows: LoginRows, row: CredentialRow) -> dict[str, str]:
    return {name: token.reveal() for name, token in rows.open(row).items()}


async def hand_over(
    keeper: TokenKeeper, account: Account, *, again: bool = False
) -> list[CredentialRow]:
    """Mark the account's OAuth 2.0 login as handed over.

    Return all logins that leave, as they were before. With `again`, a login that was handed over
    already leaves once more, because its file was lost.

    Raises:
        ConfigError: The account has no login that can leave.
        StoreUnavailable: Another process refreshes the login and does not finish.
    """
    rows = keeper.context.rows
    leaving: list[CredentialRow] = []
    for seen in await rows.listing(account.id):
        if seen.app != account.app or seen.kind is CredentialKind.APP_ONLY:
            continue
        async with keeper.lock(seen) as held:
            row = await rows.again(seen)
            if row is None:
                continue
            _refuse_dead(row, again=again)
            if row.kind is CredentialKind.OAUTH2:
                reason = f"{HANDED_OVER} on {rfc3339(keeper.context.clock.now())}"
                await rows.set_state(row, LoginState.DEAD, reason, fence=held.fence)
                _log.info("login.handed_over", account=row.account_id, gen=row.gen)
            leaving.append(row)
    if not leaving:
        raise ConfigError(f"@{account.username} has no login that could leave.")
    return leaving


def _refuse_dead(row: CredentialRow, *, again: bool) -> None:
    if row.reason.startswith(HANDED_OVER):
        if not again:
            raise ConfigError(
                f"The login of @{row.username} was {row.reason}; a second copy would end it.",
                hint="If that copy was never imported: --again.",
            )
    elif row.status in _ENDED or (row.intent is not None and row.intent.sent):
        why = row.reason or "the answer to a refresh was lost"
        raise ConfigError(
            f"The {row.kind.value} login of @{row.username} is not fit to travel: {why}.",
            hint=f"Cure it first: botkit accounts check {row.username}",
        )


async def take_back(keeper: TokenKeeper, rows: list[CredentialRow]) -> None:
    """Give the logins their former states again, because the copy did not leave."""
    for row in rows:
        if row.kind is CredentialKind.OAUTH2:
            await keeper.context.rows.set_state(row, row.status, row.reason)


async def take_over(keeper: TokenKeeper, parcel: Parcel, *, app: str) -> Account:
    """Store a parcel's logins as the account's newest, without a check at X; return the account.

    Raises:
        ConfigError: The logins belong to another app than the one here, or to another X.
        Conflict: The login here is newer than the one in the parcel.
    """
    account = msgspec.structs.replace(parcel.account, app=app, alias="")
    _refuse_other_x(keeper.context.endpoints, parcel)
    _refuse_other_app(keeper.context.apps.get(app, AppKeys()), parcel, app)
    store, rows = keeper.context.store, keeper.context.rows
    for login in parcel.logins:
        _refuse_older(await rows.get(account.id, app, login.kind), login, account)
    await store.accounts.put(account)
    for login in parcel.logins:
        await _take_in(keeper, account, login)
    if parcel.account.alias:
        try:
            await store.accounts.rename(account.id, parcel.account.alias)
        except Conflict as taken:
            _log.warning("alias.not_taken_over", account=account.id, why=taken.message)
    return account


def _refuse_other_x(here: Endpoints, parcel: Parcel) -> None:
    origin = parcel.origin or API_URL
    if origin != here.origin:
        raise ConfigError(
            f"The login came from {origin}, and the settings name {here.origin}; nothing was"
            " changed and nothing was sent.",
            hint="Import it where x.api_url is the address that it came from.",
        )


def _beginning(key: str) -> str:
    """Return the first characters of a key: a setting may hold a secret by mistake."""
    return f"begins with {key[:6]}" if key else "is not set"


def _refuse_other_app(keys: AppKeys, parcel: Parcel, app: str) -> None:
    kinds = {login.kind for login in parcel.logins}
    named = {CredentialKind.OAUTH2: "client_id", CredentialKind.OAUTH1: "api_key"}
    theirs = {CredentialKind.OAUTH2: parcel.client_id, CredentialKind.OAUTH1: parcel.api_key}
    ours = {CredentialKind.OAUTH2: keys.client_id, CredentialKind.OAUTH1: keys.api_key}
    for kind in sorted(kinds & named.keys()):
        if ours[kind] != theirs[kind]:
            raise ConfigError(
                f"The login is of another app: its {named[kind]} is {theirs[kind] or 'not set'}, "
                f"that of app {app!r} here {_beginning(ours[kind])}.",
                hint="Set the same app here, or name it by --app.",
            )


def _refuse_older(known: CredentialRow | None, login: PackedLogin, account: Account) -> None:
    """Raise `Conflict` if the parcel's login is older than the one here: its token is spent."""
    if known is None or _has_ended(known):
        return
    if (known.last_success or known.granted_at) > (login.last_success or login.granted_at):
        raise Conflict(
            f"The {known.kind.value} login of @{account.username} here is newer than the one of "
            "the file, which has ended therefore; nothing was changed."
        )


def _has_ended(row: CredentialRow) -> bool:
    """Return True if the login has ended, and does not live on another machine either."""
    return row.status is LoginState.DEAD and not row.reason.startswith(HANDED_OVER)


def _is_here(rows: LoginRows, known: CredentialRow | None, login: PackedLogin) -> bool:
    """Return True if the parcel's tokens are stored already.

    Storing them again would hide a refresh that is under way or whose answer was lost.
    """
    if known is None or known.status is LoginState.DEAD or known.kind is CredentialKind.OAUTH1:
        return False
    with suppress(Corrupt, VaultKeyError):  # stored tokens that cannot be opened: use the file's
        return _in_the_open(rows, known) == login.tokens
    return False


async def _take_in(keeper: TokenKeeper, account: Account, login: PackedLogin) -> None:
    context = keeper.context
    now = context.clock.now()
    row = CredentialRow(
        account_id=account.id,
        app=account.app,
        kind=login.kind,
        gen=0,
        sealed=b"",
        user_id=account.id,
        username=account.username,
        scopes=login.scopes,
        level=login.level,
        status=login.status,
        reason=login.reason,
        since=now,
        granted_at=login.granted_at,
        access_until=login.access_until,
        last_success=login.last_success,
    )
    async with keeper.lock(row):
        known = await context.rows.again(row)
        _refuse_older(known, login, account)
        if _is_here(context.rows, known, login):
            _log.info("login.already_here", account=account.id, kind=login.kind.value)
            return
        tokens = {name: Secret(token) for name, token in login.tokens.items()}
        row = await context.rows.add(row, tokens)
    _log.info("login.taken_over", account=account.id, gen=row.gen, kind=login.kind.value)
