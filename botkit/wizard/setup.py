"""The authorization of an account, from the settings to the proof, for `botkit setup`.

Everything that can fail without a browser is checked before one opens. Messages go to the caller's
`tell`, X's address to its `show`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from botkit.bot.accounts.authorized import keep_with_event, run_authorized
from botkit.bot.compose_client import apps_of, endpoints_of, keys_of, open_the_vault, open_x
from botkit.bot.definition import Bot
from botkit.client.logins.app_tokens import forget_bearer, is_bearer_kept, keep_bearer
from botkit.client.logins.login_rows import LoginRows
from botkit.client.signin.attempt import Login, LoginWish
from botkit.client.signin.oauth1_attempt import adopt_pair
from botkit.errors import StateError
from botkit.model.events import Authorized
from botkit.model.records import WritePolicy
from botkit.model.tokens import CredentialKind, Secret
from botkit.model.users import User
from botkit.protocol.oauth.oauth1_flow import PIN_CALLBACK
from botkit.system import SystemClock
from botkit.wizard.oauth1_steps import begin_oauth1, check_signing_app, log_in_by_pin
from botkit.wizard.proofs import Proof, prove_access, prove_stream
from botkit.wizard.steps import Ways, begin_oauth2, check_app, log_in, log_in_by_paste

if TYPE_CHECKING:
    from botkit.bot.compose_client import X
    from botkit.bot.plan import Plan
    from botkit.client.logins.context import LoginContext
    from botkit.config import Settings
    from botkit.model.records import CredentialRow
    from botkit.model.tokens import TokenPair
    from botkit.ports import Store, Transport

__all__ = ["SetUp", "SetupOptions", "check_settings", "set_up", "set_up_from_pair"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SetupOptions:
    """Hold the operator's choices for one login.

    Attributes:
        app: The app's name in the settings.
        account: The account that must consent, by name or id; "" for any.
        confirmed: True if another account than the stored one may log in.
        adds: True if an account may be added to those that the store has.
        may_add: Asks the person for permission to add an account, if `adds` is False.
        timeout_s: The time that the person has, in seconds.
        paste: Asks the person for the redirect address; None to listen on the loopback address.
        ask_bearer: Asks the person for the app's bearer token and returns "" to go on without
            one; None not to ask.
        way: `oauth2`, `oauth1` (OAuth 1.0a with a callback) or `pin` (OAuth 1.0a, by PIN).
        ask_pin: Asks the person for the PIN that X shows; for `pin`.
    """

    app: str = "default"
    account: str = ""
    confirmed: bool = False
    adds: bool = True
    may_add: Callable[[User], Awaitable[bool]] | None = None
    timeout_s: float = 300.0
    paste: Callable[[str], Awaitable[str]] | None = None
    ask_bearer: Callable[[str], Awaitable[str]] | None = None
    way: Literal["oauth2", "oauth1", "pin"] = "oauth2"
    ask_pin: Callable[[str], Awaitable[str]] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SetUp:
    """The login that was stored, and the proofs of its access."""

    login: Login
    proofs: tuple[Proof, ...]

    @property
    def complete(self) -> bool:
        """True if the account may do everything that the bot may."""
        return not self.login.missing and self.proofs[0].fine


def check_settings(settings: Settings, asked: SetupOptions) -> list[str]:
    """Check the settings that the login needs, without store or network, and return warnings.

    Raises:
        ConfigError: A setting is missing or wrong; the error names all of them.
    """
    app = settings.app_named(asked.app)
    listens = asked.paste is None
    if asked.way == "oauth2":
        return check_app(keys_of(app), app.redirect_uri, name=asked.app, listens=listens)
    callback = None if asked.way == "pin" else app.redirect_uri
    return check_signing_app(keys_of(app), callback, name=asked.app, listens=listens)


async def set_up(
    settings: Settings,
    store: Store,
    bot: Bot | None,
    asked: SetupOptions,
    *,
    show: Callable[[str], Awaitable[None]],
    tell: Callable[[str], None],
    transport: Transport | None = None,
) -> SetUp:
    """Authorize an account, store its login, and prove its access.

    Raises:
        ConfigError: The callback port is taken, or the store is one for another X; no address was
            shown.
        VaultKeyError: The vault key is missing, or is not the key of this store.
        AuthError: The person or X refused the login, or it timed out; nothing was stored.
    """
    app = settings.app_named(asked.app)
    vault = await open_the_vault(settings, store)
    rows = LoginRows(
        store,
        vault,
        SystemClock(),
        apps=apps_of(settings),
        endpoints=endpoints_of(settings),
    )
    keep = keep_with_event(None if bot is None else bot.plan, rows, SystemClock())
    if bot is None:
        if asked.way == "oauth2":
            tell("no bot is named, so the scopes of one that may post and reply are asked for")
        bot = Bot("botkit")
    plan = bot.plan
    wish = LoginWish(
        redirect_uri=PIN_CALLBACK if asked.way == "pin" else app.redirect_uri,
        scopes=plan.scopes if asked.way == "oauth2" else (),
        app=asked.app,
        account=asked.account,
        confirmed=asked.confirmed,
        adds=asked.adds,
        may_add=asked.may_add,
    )
    given = False
    await _check_origin(store, rows, wish)
    await _warn_of_moving(store, wish, tell)
    if asked.way == "oauth2":
        await _warn_of_replacing(store, wish, tell)
        given = await _take_bearer(settings, rows, asked, tell)
    async with open_x(settings, store, vault, transport=transport) as x:
        setup = _Flow(settings, plan, x, tell)
        ways = Ways(show=show, finished=setup.finished, keep=keep, timeout_s=asked.timeout_s)
        login = await _log_in(x.keeper.context, wish, ways, asked, tell)
        proofs = await setup.prove(login)
        if given and proofs[-1].state == "wrong":
            await forget_bearer(rows, asked.app)
        return SetUp(login=login, proofs=proofs)


async def set_up_from_pair(
    settings: Settings,
    store: Store,
    bot: Bot | None,
    asked: SetupOptions,
    pair: TokenPair,
    *,
    tell: Callable[[str], None],
    transport: Transport | None = None,
) -> SetUp:
    """Ask X whose access token and secret from its console are, then store them.

    Raises:
        VaultKeyError: The vault key is missing, or is not the key of this store.
        AuthError: X refuses the pair, or it belongs to another account; nothing was stored.
        XError: X could not be asked; nothing was stored.
    """
    check_signing_app(keys_of(settings.app_named(asked.app)), None, name=asked.app, listens=False)
    vault = await open_the_vault(settings, store)
    wish = LoginWish(
        redirect_uri=PIN_CALLBACK,
        scopes=(),
        app=asked.app,
        account=asked.account,
        confirmed=asked.confirmed,
        adds=asked.adds,
        may_add=asked.may_add,
    )
    async with open_x(settings, store, vault, transport=transport) as x:
        setup = _Flow(settings, (bot or Bot("botkit")).plan, x, tell)
        await _check_origin(store, x.keeper.context.rows, wish)
        keep = keep_with_event(None if bot is None else bot.plan, x.keeper.context.rows, x.clock)
        login = await adopt_pair(x.keeper.context, wish, pair, keep=keep)
        await setup.finished(login)
        return SetUp(login=login, proofs=await setup.prove(login))


async def _log_in(
    context: LoginContext,
    wish: LoginWish,
    ways: Ways,
    asked: SetupOptions,
    tell: Callable[[str], None],
) -> Login:
    """Announce the login, and run it in the way that the operator chose."""
    what = f"asking for {' '.join(wish.scopes)}" if wish.scopes else "by OAuth 1.0a"
    if asked.way == "pin" and asked.ask_pin is not None:
        tell("by OAuth 1.0a with a PIN; open the address in any browser")
        return await log_in_by_pin(context, wish, ways, ask=asked.ask_pin)
    begin = begin_oauth2 if asked.way == "oauth2" else begin_oauth1
    if asked.paste is not None:
        tell(f"{what}; open the address in any browser")
        return await log_in_by_paste(context, wish, ways, ask=asked.paste, begin=begin)
    listening = f"listening on {wish.redirect_uri}, {what}"
    return await log_in(context, wish, ways, begin=begin, on_listening=lambda: tell(listening))


class _Flow:
    """The steps of a setup that follow once the login is stored."""

    def __init__(self, settings: Settings, plan: Plan, x: X, tell: Callable[[str], None]) -> None:
        self._settings = settings
        self._plan = plan
        self._x = x
        self._tell = tell

    async def finished(self, login: Login) -> tuple[tuple[str, str], ...]:
        """Report the login, run the `Authorized` handlers, and return the facts for the page."""
        account = login.account
        self._tell(f"@{account.username} (id {account.id}) authorized, {_tokens(login.row)}")
        facts = [("Account", f"@{account.username}"), _granted(login)]
        if login.missing:
            missing = " ".join(login.missing)
            self._tell(f"X did not grant {missing}; what needs them will be refused")
            facts.append(("Not granted", missing))
        if self._plan.handles(Authorized):
            for handler, outcome in await self._handle(login):
                self._tell(f"{handler}: {outcome}")
                facts.append((handler, outcome))
        return tuple(facts)

    async def _handle(self, login: Login) -> list[tuple[str, str]]:
        """Run the bot's handlers, and return the outcome of each.

        If the store fails meanwhile, login and event stay stored, and `botkit run` goes on.
        """
        try:
            return await run_authorized(
                self._plan,
                self._x,
                login.account,
                login.row,
                policy=WritePolicy(self._settings.run.write_policy),
            )
        except StateError as error:
            return [("Authorized handlers", f"left to botkit run, not run to their end: {error}")]

    async def prove(self, login: Login) -> tuple[Proof, ...]:
        """Prove the account's access, and the stream if the app has a bearer token."""
        account = login.account
        proofs = [await prove_access(self._x.sender, account, self._plan.may)]
        held = await self._x.sender.kinds(account.id)
        if CredentialKind.OAUTH2 not in held:
            self._tell("an account with OAuth 1.0a only polls its mentions every 15 s")
        elif self._x.keeper.app_can_serve(account.app):
            prefix = f"botkit:{self._plan.name}:"
            kinds = self._plan.stream_kinds
            proofs.append(await prove_stream(self._x.sender, account, kinds, prefix=prefix))
        else:
            self._tell(
                "no bearer_token (or api_key and api_secret) of the app is set: the bot polls its"
                " mentions every 15 s; with it, it hears at once"
            )
        return tuple(proofs)


async def _take_bearer(
    settings: Settings, rows: LoginRows, asked: SetupOptions, tell: Callable[[str], None]
) -> bool:
    """Ask for the bearer token that the activity stream needs, unless the app has one already.

    Return True if a token was given and stored.
    """
    keys = keys_of(settings.app_named(asked.app))
    if asked.ask_bearer is None or keys.can_act_as_app:
        return False
    if await is_bearer_kept(rows, asked.app):
        return False
    token = (
        await asked.ask_bearer(
            "The app's bearer token, so that the bot hears at once (Enter to go on without): "
        )
    ).strip()
    if not token:
        return False
    await keep_bearer(rows, asked.app, Secret(token), now=SystemClock().now())
    tell("bearer token kept sealed")
    return True


async def _check_origin(store: Store, rows: LoginRows, wish: LoginWish) -> None:
    """Refuse a store of another X, unless an account in it is to be authorized again.

    That account's id keeps a user of another X from taking its place.

    Raises:
        ConfigError: Every login in the store came from another X.
    """
    is_known = bool(wish.account) and await store.accounts.get(wish.account) is not None
    if wish.confirmed or not is_known:
        await rows.check_origin()


async def _warn_of_moving(store: Store, wish: LoginWish, tell: Callable[[str], None]) -> None:
    """Warn if the account will act through another app: it acts through its last login's."""
    account = await store.accounts.get(wish.account) if wish.account else None
    if account is not None and account.app != wish.app:
        tell(
            f"@{account.username} acts through app {account.app!r}; with this login it acts"
            f" through app {wish.app!r} from now on"
        )


async def _warn_of_replacing(store: Store, wish: LoginWish, tell: Callable[[str], None]) -> None:
    """Warn of each login that a new one ends: X keeps one grant for an app and an account."""
    for account in await store.accounts.listing():
        wanted = wish.account.removeprefix("@").casefold()
        names = {account.id, account.username.casefold(), account.alias.casefold()}
        if wanted and wanted not in names:
            continue
        if account.app != wish.app:
            continue
        if await store.credentials.get(account.id, account.app, CredentialKind.OAUTH2):
            tell(
                f"@{account.username} has a login through this app; if it authorizes again, X ends"
                " the old login, and a running bot takes the new one over"
            )


def _granted(login: Login) -> tuple[str, str]:
    """Return the scopes or the access level of the login, as a fact for the page."""
    if login.row.kind is CredentialKind.OAUTH1:
        return "Access level", login.row.level or "not told by X"
    return "Scopes", " ".join(login.scopes)


def _tokens(row: CredentialRow) -> str:
    if row.kind is CredentialKind.OAUTH1:
        level = row.level or "not told by X"
        return f"access token and secret kept sealed, they do not expire; access level {level}"
    refresh = "refresh token kept sealed" if "offline.access" in row.scopes else "NO refresh token"
    if row.access_until is None:
        return refresh
    minutes = round((row.access_until - row.granted_at).total_seconds() / 60)
    return f"{refresh}, access token good for {minutes // 60} h {minutes % 60:02d} m"
