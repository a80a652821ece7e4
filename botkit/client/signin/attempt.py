"""The rules of every login attempt: single use, a few seconds of retries, and how to store it.

Source: docs/explanation/requirements.md, C2 and C8.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypedDict, TypeVar

import structlog
from msgspec import Struct

from botkit.client.logins.identity import NOTHING_STORED_END, check_owner
from botkit.client.logins.oauth2_login import HANDED_OVER
from botkit.errors import (
    AuthError,
    AuthorizationDenied,
    Conflict,
    LoginExpired,
    MalformedAnswer,
    OutcomeUnknown,
    PaymentRequired,
    RateLimited,
    ServerError,
    StateError,
    StateMismatch,
    StoreUnavailable,
    TransportError,
    WrongAccount,
)
from botkit.model.bookings import Booking
from botkit.model.records import CredentialRow
from botkit.model.tokens import CredentialKind, Secret
from botkit.model.users import Account, User
from botkit.protocol.rules.pricing import charge_of_owner_check
from botkit.waiting.backoff import Ladder
from botkit.waiting.retry import retry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack

    from botkit.client.logins.context import LoginContext
    from botkit.client.logins.login_rows import LoginRows
    from botkit.ports import Clock, Store
    from botkit.ports.io import HttpResponse

__all__ = [
    "NOTHING_STORED",
    "PASSING",
    "Keep",
    "Login",
    "LoginWish",
    "SingleUse",
    "exchange",
    "keep_in",
    "persist",
    "persist_after_grant",
    "take_login",
]

T = TypeVar("T")

_log = structlog.get_logger(__name__)

NOTHING_STORED = "Nothing was stored: start again."
"""The hint for an attempt that ended at X without a login."""
_LIFE = timedelta(minutes=10)
_LADDER = Ladder(steps_s=(0.25, 0.5, 1.0, 2.0))
"""The waits between retries; X accepts an OAuth 2.0 code for only 30 seconds."""
_AFTER_GRANT = Ladder(steps_s=(0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, *(30.0,) * 31))
"""The waits once X has granted a login: 16 minutes in all, longer than X's longest rate window."""
PASSING = (TransportError, ServerError, RateLimited, PaymentRequired, MalformedAnswer)
"""The errors of X that pass by themselves, or once a person has paid; none condemns a login."""

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
    is True if a person has agreed that another account than `account` may consent, too. With
    neither `account` nor `adds`, a store that has accounts takes a further one only if `may_add`
    allows it.
    """

    redirect_uri: str
    scopes: tuple[str, ...]
    app: str = "default"
    account: str = ""
    confirmed: bool = False
    adds: bool = True
    may_add: Callable[[User], Awaitable[bool]] | None = None


class Login(Struct, frozen=True, kw_only=True):
    """Hold a stored login. `missing` are the scopes that were asked for and not granted."""

    account: Account
    row: CredentialRow
    scopes: tuple[str, ...]
    missing: tuple[str, ...]


class _Granted(TypedDict, total=False):
    """Hold X's further values beside the tokens; a token that never expires has no `life`."""

    scopes: tuple[str, ...]
    level: str
    life: timedelta | None


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


async def persist_after_grant(
    clock: Clock, call: Callable[[], Awaitable[T]], *passing: type[Exception]
) -> T:
    """Do as `persist`, for minutes: X has granted the login, and what failed must not lose it."""
    is_said = False

    async def attempt() -> T:
        nonlocal is_said
        try:
            return await call()
        except passing as error:
            if not is_said:
                _log.warning("login.not_stored_yet", why=str(error))
            is_said = True
            raise

    return await retry(attempt, *passing, ladder=_AFTER_GRANT, clock=clock)


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


async def take_login(
    context: LoginContext,
    wish: LoginWish,
    user: User,
    kind: CredentialKind,
    tokens: Mapping[str, Secret],
    *,
    keep: Keep | None,
    **more: Unpack[_Granted],
) -> Login:
    """Store the login of the user who consented, if it is an account that was wished for.

    Raises:
        WrongAccount: Another account consented. If its old login is stored here, the new one
            was stored for it; otherwise nothing was stored.
        StateError: The login could not be stored.
    """
    try:
        if not wish.confirmed:
            await check_owner(context.store, user, wanted=wish.account)
            await _check_addition(context.store, user, wish)
    except WrongAccount as wrong:
        known = await context.rows.get(user.id, wish.app, kind)
        if known is None or kind is not CredentialKind.OAUTH2:  # OAuth 1.0a ends no earlier token
            raise
        if known.reason.startswith(HANDED_OVER):
            wrong.hint += f" X ended the login of @{user.username} that was moved from here, too."
            raise
        await _store_login(context, wish, user, kind, tokens, keep=_keep_alone(context), **more)
        consented = wrong.message.removesuffix(NOTHING_STORED_END)
        raise WrongAccount(
            f"{consented}; the new login of @{user.username} was kept for it, because X had ended"
            " its old one.",
            hint=wrong.hint,
            kept=user.username,
        ) from None
    return await _store_login(context, wish, user, kind, tokens, keep=keep, **more)


def _keep_alone(context: LoginContext) -> Keep:
    """Return a `Keep` that stores a login and leaves the account's record as it is."""

    async def keep(account: Account, row: CredentialRow) -> CredentialRow:
        del account
        return await context.rows.put(row)

    return keep


async def _check_addition(store: Store, user: User, wish: LoginWish) -> None:
    """Check that a further account may be added to the store's.

    Raises:
        WrongAccount: No person has allowed it; nothing was stored.
    """
    if wish.account or wish.adds:
        return
    known = await store.accounts.listing()
    if not known or any(account.id == user.id for account in known):
        return
    if wish.may_add is not None and await wish.may_add(user):
        return
    names = ", ".join(f"@{account.username}" for account in known)
    raise WrongAccount(
        f"@{user.username} (id {user.id}) consented, and this store acts for {names}"
        f"{NOTHING_STORED_END}",
        hint=f"To act for @{user.username} too, start again with --account {user.username};"
        f" else log in to X as {names} in that browser, then start again.",
    )


async def _store_login(
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

    row = await persist_after_grant(
        context.clock,
        lambda: persist(context.clock, store, Conflict),
        StoreUnavailable,
    )
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
    """Book X's charge for naming the login's user; keep the login even if that fails."""
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
