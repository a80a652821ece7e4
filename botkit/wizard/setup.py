"""The one-time authorization, from the settings to the proof: what `botkit setup` does.

Everything that can fail without a browser fails before one opens. Words go to the teller, the
address to whoever shows it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from botkit.bot.accounts.authorized import keep_with_event, run_authorized
from botkit.bot.compose_client import keys_of, open_the_vault, open_x
from botkit.bot.definition import Bot
from botkit.client.logins.app_tokens import forget_bearer, is_bearer_kept, keep_bearer
from botkit.client.logins.login_rows import LoginRows
from botkit.client.signin.attempt import Login, LoginWish
from botkit.client.signin.oauth1_attempt import adopt_pair
from botkit.errors import StateError
from botkit.model.events import Authorized
from botkit.model.records import WritePolicy
from botkit.model.tokens import CredentialKind, Secret
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
    """What the operator asked for.

    Attributes:
        account: Who must consent, "" for whoever does.
        confirmed: Another account than the stored one is wanted on purpose.
        paste: Asks for the redirect address; None to listen on the loopback address.
        ask_bearer: Asks for the app's bearer token, "" to go on without; None not to ask.
        way: `oauth2`, `oauth1` (OAuth 1.0a with a callback) or `pin` (OAuth 1.0a, by PIN).
        ask_pin: Asks for the PIN that X shows; for `pin`.
    """

    app: str = "default"
    account: str = ""
    confirmed: bool = False
    timeout_s: float = 300.0
    paste: Callable[[str], Awaitable[str]] | None = None
    ask_bearer: Callable[[str], Awaitable[str]] | None = None
    way: Literal["oauth2", "oauth1", "pin"] = "oauth2"
    ask_pin: Callable[[str], Awaitable[str]] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SetUp:
    """What came of it. `complete` when the account may do everything the bot may."""

    login: Login
    proofs: tuple[Proof, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing that the bot needs is missing."""
        return not self.login.missing and self.proofs[0].fine


def check_settings(settings: Settings, asked: SetupOptions) -> list[str]:
    """Check what the login needs, before a store or a network; gives warnings.

    Raises:
        ConfigError: With everything that is missing or wrong.
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
    """Authorize an account and prove it.

    Raises:
        ConfigError: The port is taken; nothing was shown.
        VaultKeyError: The key is the wrong one, or gone.
        AuthError: The login ended without one; nothing was stored.
    """
    app = settings.app_named(asked.app)
    vault = await open_the_vault(settings, store)
    rows = LoginRows(store, vault, SystemClock())
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
    )
    given = False
    await _warn_of_moving(store, wish, tell)
    if asked.way == "oauth2":
        await _warn_of_replacing(store, wish, tell)
        given = await _take_bearer(settings, rows, asked, tell)
    async with open_x(settings, store, vault, transport=transport) as x:
        setup = _Flow(settings, plan, x, tell)
        ways = Ways(show=show, finished=setup.finished, keep=keep, timeout_s=asked.timeout_s)
        login = await _log_in(x.keeper.around, wish, ways, asked, tell)
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
    """Prove an access token and secret from X's console and take them over.

    Raises:
        VaultKeyError: The key is the wrong one, or gone.
        AuthError: X does not take them, or they are another account's; nothing was stored.
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
    )
    async with open_x(settings, store, vault, transport=transport) as x:
        setup = _Flow(settings, (bot or Bot("botkit")).plan, x, tell)
        keep = keep_with_event(None if bot is None else bot.plan, x.keeper.around.rows, x.clock)
        login = await adopt_pair(x.keeper.around, wish, pair, keep=keep)
        await setup.finished(login)
        return SetUp(login=login, proofs=await setup.prove(login))


async def _log_in(
    around: LoginContext,
    wish: LoginWish,
    ways: Ways,
    asked: SetupOptions,
    tell: Callable[[str], None],
) -> Login:
    """Say what happens next and meet the person in the way that was asked for."""
    what = f"asking for {' '.join(wish.scopes)}" if wish.scopes else "by OAuth 1.0a"
    if asked.way == "pin" and asked.ask_pin is not None:
        tell("by OAuth 1.0a with a PIN; open the address in any browser")
        return await log_in_by_pin(around, wish, ways, ask=asked.ask_pin)
    begin = begin_oauth2 if asked.way == "oauth2" else begin_oauth1
    if asked.paste is not None:
        tell(f"{what}; open the address in any browser")
        return await log_in_by_paste(around, wish, ways, ask=asked.paste, begin=begin)
    listening = f"listening on {wish.redirect_uri}, {what}"
    return await log_in(around, wish, ways, begin=begin, on_listening=lambda: tell(listening))


class _Flow:
    """What happens from the stored login on."""

    def __init__(self, settings: Settings, plan: Plan, x: X, tell: Callable[[str], None]) -> None:
        self._settings = settings
        self._plan = plan
        self._x = x
        self._tell = tell

    async def finished(self, login: Login) -> tuple[tuple[str, str], ...]:
        """Say who it is and run the bot's `Authorized` handlers; gives the facts for the page."""
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
        """Run the bot's handlers; login and event are stored, whatever becomes of them."""
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
        """Access for what the bot may, and the stream's credentials if there are any."""
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
    """Ask for what the activity stream needs beside the login, if nothing has it yet."""
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


async def _warn_of_moving(store: Store, wish: LoginWish, tell: Callable[[str], None]) -> None:
    """An account acts through one app: the one of its last login."""
    account = await store.accounts.get(wish.account) if wish.account else None
    if account is not None and account.app != wish.app:
        tell(
            f"@{account.username} acts through app {account.app!r}; with this login it acts"
            f" through app {wish.app!r} from now on"
        )


async def _warn_of_replacing(store: Store, wish: LoginWish, tell: Callable[[str], None]) -> None:
    """X keeps one grant for an app and an account: a new one ends the one before."""
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
    """What the login allows, as a fact for the page."""
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
