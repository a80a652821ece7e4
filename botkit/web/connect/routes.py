"""Logins by invitation: `/connect` shows and begins one, `/connect/callback` ends it.

Opening the link changes nothing, so a link preview uses nothing up; the page's button begins the
login. A cookie then binds the login to the browser, and the invitation is held for it. The login,
its event and the use of the invitation are stored in one transaction.
Source: docs/explanation/requirements.md, C1 to C8, L3 to L9 and "Invitations"; RFC 9700
section 4.7.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import urllib.parse
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace

from botkit.client.signin.attempt import Login, LoginWish
from botkit.client.signin.oauth2_attempt import OAuth2Attempt
from botkit.errors import BotkitError, InvitationRefused, StateMismatch
from botkit.model.invitations import Invitation, InvitationState
from botkit.model.tokens import Secret
from botkit.protocol.oauth import invitations as links
from botkit.telemetry.times import rfc3339
from botkit.web.abuse_log import AbuseLog
from botkit.web.connect.attempts import Attempts, Pending
from botkit.web.page_texts import CONNECT_PAGES, INVITATION_PAGES, outcome_of
from botkit.web.requests import HostGuard
from botkit.web.responses import WebResponse, page_response
from botkit.web.server import WebRoute

if TYPE_CHECKING:
    from botkit.client.logins.context import LoginContext
    from botkit.model.records import CredentialRow
    from botkit.model.users import Account
    from botkit.web.pages import Page
    from botkit.web.requests import WebRequest

__all__ = ["Connect", "Connecting"]

_log = structlog.get_logger(__name__)

_HOLD = timedelta(minutes=10)
_COOKIE = "botkit-connect"
_HTTPS = "https://"

Redeem = Callable[[Invitation, str, "Account", "CredentialRow"], Awaitable["CredentialRow"]]
"""Stores a login and uses its invitation up: invitation, hash of its holder, account, login."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Connecting:
    """The parts of a bot that logins by invitation need.

    Attributes:
        name: The bot's name.
        public_url: The server's public origin.
        scopes: The scopes to ask X for.
        redeem: Stores a login and uses the invitation up.
        connected: Called with a stored login; returns a text that says what the bot does with it.
        account: The only account that the bot acts for, "" for any.
    """

    name: str
    public_url: str
    scopes: tuple[str, ...]
    redeem: Redeem
    connected: Callable[[Login], Awaitable[str]]
    account: str = ""


class Connect:
    """The pages of invitations, for one running bot."""

    def __init__(self, context: LoginContext, bot: Connecting) -> None:
        self._context = context
        self._invitations = context.store.invitations
        self._bot = bot
        self._attempts = Attempts()
        self._finishing: set[str] = set()
        self._turn = asyncio.Lock()
        """Guards the held invitations together with those being finished."""
        self._log = AbuseLog(context.clock)
        self._is_https = bot.public_url.startswith(_HTTPS)
        self._cookie = f"__Host-{_COOKIE}" if self._is_https else _COOKIE
        self._guard = HostGuard(
            authorities={urllib.parse.urlsplit(bot.public_url).netloc},
            origins={bot.public_url},
            misdirected=CONNECT_PAGES["misdirected"],
            foreign=CONNECT_PAGES["foreign"],
            on_foreign=lambda: self._log.warning("request.refused", reason="foreign origin"),
        )

    @property
    def routes(self) -> dict[str, WebRoute]:
        """The routes `/connect` and `/connect/callback`."""
        return {
            links.CONNECT_PATH: WebRoute(
                methods=("GET", "HEAD", "POST"), answer=self._connect, guard=self._guard
            ),
            links.CALLBACK_PATH: WebRoute(
                methods=("GET",),
                answer=self._callback,
                guard=self._guard,
                not_opened=CONNECT_PAGES["prefetch"],
            ),
        }

    async def _connect(self, request: WebRequest) -> WebResponse:
        if request.method != "POST":
            return await self._show(request.query)
        if request.header("Sec-Fetch-Site", "same-origin") != "same-origin":
            self._log.warning("login.not_started", reason="foreign page")
            return page_response(CONNECT_PAGES["foreign"])
        form = await request.form()
        if form is None:
            return page_response(CONNECT_PAGES["malformed"])
        return await self._begin(form, self._browser_of(request))

    async def _show(self, query: str) -> WebResponse:
        try:
            invitation, token = await self._read(query)
            self._check_state(invitation)
        except InvitationRefused as refused:
            return page_response(INVITATION_PAGES[refused.why])
        return page_response(await self._offer(invitation, token))

    async def _offer(self, invitation: Invitation, token: str) -> Page:
        """Return the page with the button."""
        wanted = self._wanted(invitation)
        known = await self._context.store.accounts.get(wanted) if wanted else None
        replaced = "If the account has a login here already,"
        if known is not None and await self._context.store.credentials.listing(known.id):
            replaced = f"@{known.username} has a login here already:"
        name = _called(known.username if known else wanted)
        until = rfc3339(invitation.expires_at)
        return replace(
            CONNECT_PAGES["onward"],
            title=f"Authorize an account for the bot {self._bot.name}",
            text="You were invited to let this bot act for an account on X.",
            facts=(
                ("Account", name),
                ("X will be asked for", " ".join(self._bot.scopes)),
                ("Good until", until),
            ),
            notes=(
                f"{replaced} the new one takes its place, and X ends the old one at once.",
                "Go on only if you know who sent you this link.",
            ),
            next_step="X asks you next. Check there that you are logged in as the right account.",
            button="Authorize with X",
            fields=((links.INVITATION, token),),
        )

    async def _begin(self, form: str, before: str) -> WebResponse:
        try:
            invitation, _ = await self._read(form)
            attempt, cookie = await self._hold(invitation, before)
        except InvitationRefused as refused:
            return page_response(INVITATION_PAGES[refused.why])
        _log.info("login.started", invitation=invitation.id)
        return page_response(replace(CONNECT_PAGES["onward"], onward=attempt.url), cookie=cookie)

    async def _hold(self, invitation: Invitation, before: str) -> tuple[OAuth2Attempt, str]:
        """Hold a free invitation for a new login; return the login and its Set-Cookie value."""
        secret = self._context.entropy.token_bytes(32).hex()
        browser = _hash(secret)
        attempt = self._attempt(invitation, browser)
        async with self._turn:
            if invitation.id in self._finishing:
                raise _refusal("in use")
            now = self._context.clock.now()
            held = await self._invitations.hold(
                invitation.id, browser, before=before, until=now + _HOLD, now=now
            )
            if held is None:
                fresh = await self._invitations.get(invitation.id)
                self._check_state(fresh or invitation)
                raise _refusal("in use")
            self._attempts.add(
                Pending(attempt=attempt, invitation_id=invitation.id, browser=browser)
            )
        return attempt, self._set_cookie(secret, int(_HOLD.total_seconds()))

    def _attempt(self, invitation: Invitation, browser: str) -> OAuth2Attempt:
        async def keep(account: Account, row: CredentialRow) -> CredentialRow:
            return await self._bot.redeem(invitation, browser, account, row)

        wish = LoginWish(
            redirect_uri=links.callback_url(self._bot.public_url),
            scopes=self._bot.scopes,
            app=invitation.app,
            account=self._wanted(invitation),
        )
        return OAuth2Attempt(self._context, wish, keep=keep)

    async def _callback(self, request: WebRequest) -> WebResponse:
        query = Secret(request.query)
        async with self._turn:
            pending = self._attempts.find(_state_in(query))
            if pending is None:
                self._log.warning("callback.refused", reason="no login waits for it")
                return page_response(CONNECT_PAGES["unknown"])
            if not hmac.compare_digest(pending.browser, self._browser_of(request)):
                self._log.warning(
                    "callback.refused", reason="other browser", invitation=pending.invitation_id
                )
                return page_response(CONNECT_PAGES["other_browser"])
            if pending.invitation_id in self._finishing:
                return page_response(INVITATION_PAGES["in use"])
            self._finishing.add(pending.invitation_id)
        try:
            page = await self._finish(pending, query)
        finally:
            self._finishing.discard(pending.invitation_id)
        if pending.attempt.is_over:
            return page_response(page, cookie=self._set_cookie("", 0))
        return page_response(page)

    async def _finish(self, pending: Pending, query: Secret) -> Page:
        """Finish the login; a failure frees the invitation."""
        try:
            await self._check_held(pending)
            login = await pending.attempt.finish(query)
        except BotkitError as error:
            page = self._failure(error, pending)
            if pending.attempt.is_over or isinstance(error, InvitationRefused):
                self._attempts.drop(pending)
                await self._free(pending)
            return page
        self._attempts.drop(pending)
        _log.info(
            "account.connected", account=login.account.username, invitation=pending.invitation_id
        )
        facts = [
            ("Account", f"@{login.account.username}"),
            ("Scopes", " ".join(login.scopes)),
            *([("Not granted", " ".join(login.missing))] if login.missing else []),
            ("The bot", await self._bot.connected(login)),
        ]
        return replace(CONNECT_PAGES["success"], facts=tuple(facts))

    async def _check_held(self, pending: Pending) -> None:
        """Raise if the invitation was revoked, before X ends an older login of the account."""
        invitation = await self._invitations.get(pending.invitation_id)
        if invitation is None:
            raise _refusal("unknown")
        self._check_state(invitation)

    def _failure(self, error: BotkitError, pending: Pending) -> Page:
        """Log the error that ended a login, and return its page."""
        self._log.warning(
            "login.not_finished",
            invitation=pending.invitation_id,
            kind=type(error).__name__,
            why=str(error),
        )
        match error:
            case StateMismatch():
                return CONNECT_PAGES["unknown" if pending.attempt.is_over else "unfinished"]
            case InvitationRefused():
                return INVITATION_PAGES[error.why]
            case _:
                return CONNECT_PAGES[outcome_of(error)]

    async def _free(self, pending: Pending) -> None:
        try:
            await self._invitations.free(pending.invitation_id, pending.browser)
        except BotkitError as error:  # the hold ends by itself in ten minutes
            _log.warning("invitation.not_released", why=str(error))

    async def _read(self, query: str) -> tuple[Invitation, str]:
        """Return the invitation that a link's query or a form names, and its token.

        Raises:
            InvitationRefused: The query or form names no invitation of this bot.
        """
        token = ""
        try:
            token = links.read_query(query)
            shown = links.read_token(token, self._signed)
            invitation = await self._invitations.get(shown.id)
            if invitation is None or not shown.opens(invitation.secret_hash):
                raise _refusal("unknown")
        except InvitationRefused as refused:
            self._log.warning(
                "invitation.refused", reason=refused.why, link=links.fingerprint(token)
            )
            raise
        return invitation, token

    def _signed(self, payload: bytes, tag: bytes) -> bool:
        return self._context.vault.verify(payload, tag, purpose=links.PURPOSE)

    def _check_state(self, invitation: Invitation) -> None:
        """Raise unless the invitation is open, or in the middle of a login."""
        state = invitation.state(self._context.clock.now())
        if state not in {InvitationState.OPEN, InvitationState.IN_USE}:
            self._log.warning("invitation.refused", reason=state.value, invitation=invitation.id)
            raise _refusal(state.value)

    def _wanted(self, invitation: Invitation) -> str:
        return self._bot.account or invitation.account

    def _set_cookie(self, value: str, max_age_s: int) -> str:
        secure = "; Secure" if self._is_https else ""
        return (
            f"{self._cookie}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}"
        )

    def _browser_of(self, request: WebRequest) -> str:
        """Return a hash of the browser's cookie; "" without one, or if there are two."""
        pairs = [
            pair.strip().partition("=")
            for header in request.headers("Cookie")
            for pair in header.split(";")
        ]
        values = [value for name, _, value in pairs if name == self._cookie]
        return _hash(values[0]) if len(values) == 1 and values[0] else ""


def _called(wanted: str) -> str:
    """Return the page's words for the account that may log in."""
    if not wanted:
        return "the one that you log in as"
    return f"id {wanted}" if wanted.isdigit() else f"@{wanted}"


def _hash(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).hexdigest()


def _state_in(query: Secret) -> str:
    """Return the one `state` of a redirect, "" if there is none or more than one."""
    try:
        pairs: Sequence[tuple[str, str]] = urllib.parse.parse_qsl(
            query.reveal(), max_num_fields=64
        )
    except ValueError:
        return ""
    states = [value for name, value in pairs if name == "state"]
    return states[0] if len(states) == 1 else ""


def _refusal(why: str) -> InvitationRefused:
    return InvitationRefused(f"The invitation is {why}.", why=why)
