"""The rules of every login attempt: single use, a few seconds of retries, and how to store it.

Source: docs/explanation/requirements.md, C2 and C8.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog
from msgspec import Struct

from botkit.errors import (
    AuthError,
    AuthorizationDenied,
    Conflict,
    LoginExpired,
    OutcomeUnknown,
    StateError,
    StateMismatch,
    StoreUnavailable,
    TransportError,
)
from botkit.model.bookings import Booking
from botkit.model.records import CredentialRow
from botkit.model.tokens import CredentialKind, Secret
from botkit.model.users import Account
from botkit.protocol.rules.pricing import charge_of_owner_check
from botkit.waiting.backoff import Ladder
from botkit.waiting.retry import retry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botkit.client.logins.context import LoginContext
    from botkit.client.logins.login_rows import LoginRows
    from botkit.model.users import User
    from botkit.ports import Clock
    from botkit.ports.io import HttpResponse

__all__ = [
    "NOTHING_STORED",
    "Keep",
    "Login",
    "LoginWish",
    "SingleUse",
    "exchange",
    "keep_in",
    "persist",
    "store_login",
]

T = TypeVar("T")

_log = structlog.get_logger(__name__)

NOTHING_STORED = "Nothing was stored: start again."
"""The hint for an attempt that ended at X without a login."""
_LIFE = timedelta(minutes=10)
_LADDER = Ladder(steps_s=(0.25, 0.5, 1.0, 2.0))
"""The waits between retries; X accepts an OAuth 2.0 code for only 30 seconds."""

Keep = Callable[[Account, CredentialRow], Awaitable[CredentialRow]]
"""Stores an account and its login; raises `Conflict` if the row's generation is not the next."""


def keep_in(rows: LoginRows) -> Keep:
    """Return a `Keep` that stores account and login in one transaction, and nothing else."""

    async def keep(account: Account, row: CredentialRow) -> CredentialRow:
        return await rows.put(row, account=account)

    return keep


class LoginWish(Struct, frozen=True, kw_only=True):
    """Describe the login that is wanted.

    `account` is the id or the username of the account that must consent, "" for any. `confirmed`
    is True if a person has agreed that any account may consent, whatever `account` says.
    """

    redirect_uri: str
    scopes: tuple[str, ...]
    app: str = "default"
    account: str = ""
    confirmed: bool = False


class Login(Struct, frozen=True, kw_only=True):
    """Hold a stored login. `missing` are the scopes that were asked for and not granted."""

    account: Account
    row: CredentialRow
    scopes: tuple[str, ...]
    missing: tuple[str, ...]


class SingleUse:
    """Let an attempt be ended once, within ten minutes of its beginning."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._used = False
        self._ends_s = clock.monotonic() + _LIFE.total_seconds()

    @property
    def is_over(self) -> bool:
        """True if the attempt was ended, or its ten minutes are over."""
        return self._used or self._is_late

    def use_up(self, by: str, read: Callable[[], str]) -> Secret:
        """Read a redirect or PIN with `read`; if it is of this attempt, end the attempt with it.

        `by` names what is read, for the error. There is no await between reading and ending, so
        that two redirects cannot both end the attempt.

        Raises:
            StateMismatch: The redirect or PIN is not of this attempt, or the attempt was ended
                before.
            AuthorizationDenied: The person declined.
            LoginExpired: The ten minutes are over.
        """
        try:
            found = Secret(read())
        except AuthorizationDenied:
            self._end(by)
            raise
        self._end(by)
        return found

    def _end(self, by: str) -> None:
        if self._used:
            raise StateMismatch(f"This login was ended by an earlier {by}.")
        self._used = True
        if self._is_late:
            raise LoginExpired(
                "The login took longer than ten minutes; nothing was exchanged.",
                hint="Start again.",
            )

    @property
    def _is_late(self) -> bool:
        return self._clock.monotonic() >= self._ends_s


async def persist(clock: Clock, call: Callable[[], Awaitable[T]], *passing: type[Exception]) -> T:
    """Return the result of `call`; repeat it a few times within seconds while it fails.

    An error of a class in `passing` means that the call did nothing: repeat it only then, and
    raise any other error at once.
    """
    return await retry(call, *passing, ladder=_LADDER, clock=clock)


async def exchange(
    clock: Clock, send: Callable[[], Awaitable[HttpResponse]], *, lost: str
) -> HttpResponse:
    """Return the answer to a request that works only once.

    Send it again only if surely none of its bytes have left.

    Raises:
        AuthError: The answer was lost (with the text `lost`), or it is a redirect.
        TransportError: X could not be reached; nothing was sent.
    """

    async def attempt() -> HttpResponse:
        try:
            return await send()
        except OutcomeUnknown as error:
            raise AuthError(lost, hint="Start again.") from error
        except TransportError as error:
            if error.kind != "redirect":
                raise
            raise AuthError(error.message, hint=f"{error.hint} Then start again.") from error

    return await persist(clock, attempt, TransportError)


async def store_login(
    context: LoginContext,
    wish: LoginWish,
    user: User,
    kind: CredentialKind,
    tokens: Mapping[str, Secret],
    *,
    keep: Keep | None,
    scopes: tuple[str, ...] = (),
    level: str = "",
    life: timedelta | None = None,
) -> Login:
    """Store the tokens that X granted as the user's newest login of this kind; return the login.

    `life` is how long the access token works, None for a token that does not expire.

    Raises:
        StateError: The login could not be stored.
    """
    account = Account(id=user.id, username=user.username, name=user.name, app=wish.app)
    stored = partial(keep or keep_in(context.rows), account)

    async def store() -> CredentialRow:
        now = context.clock.now()
        draft = CredentialRow(
            account_id=account.id,
            app=account.app,
            kind=kind,
            gen=0,
            sealed=b"",
            user_id=account.id,
            username=account.username,
            scopes=scopes,
            level=level,
            since=now,
            granted_at=now,
            access_until=None if life is None else now + life,
            last_success=now,
        )
        return await context.rows.add(draft, tokens, keep=stored)

    row = await persist(context.clock, store, Conflict, StoreUnavailable)
    await _book_look_up(context, account)
    _log.info(
        "login.authorized",
        account=account.id,
        username=account.username,
        kind=kind.value,
        gen=row.gen,
        scopes=" ".join(scopes),
        level=level,
    )
    asked = wish.scopes if kind is CredentialKind.OAUTH2 else ()
    missing = tuple(scope for scope in asked if scope not in scopes)
    return Login(account=account, row=row, scopes=scopes, missing=missing)


async def _book_look_up(context: LoginContext, account: Account) -> None:
    """Book what X charges for telling whose the login is. The login is kept in any case."""
    charge = charge_of_owner_check(account.id)
    bookings = [
        Booking(
            account_id=account.id,
            at=context.clock.now(),
            app=account.app,
            resource=name,
            reads_usd=charge.each_usd,
        )
        for name in charge.resources
    ]
    try:
        await context.store.ledger.book(bookings)
    except StateError as error:
        _log.warning("store.unavailable", waiting="spending", why=str(error))
