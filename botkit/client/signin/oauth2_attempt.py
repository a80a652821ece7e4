"""One OAuth 2.0 login attempt: from the address to open to the redirect and the stored tokens.

There is no server here: the caller receives the redirect. State, verifier, redirect URI and the
wished account belong to this one attempt. The first redirect with the right state uses it up, even
if the exchange fails; its code is exchanged at once, and only once.
Source: docs/explanation/requirements.md, C1 to C8; RFC 6749 section 4.1, RFC 7636.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import structlog

from botkit.client.logins.identity import who_am_i
from botkit.client.signin.attempt import (
    NOTHING_STORED,
    PASSING,
    SingleUse,
    exchange,
    persist,
    persist_after_grant,
    take_login,
)
from botkit.errors import (
    ConfigError,
    StoreUnavailable,
    Unauthorized,
    XError,
)
from botkit.model.tokens import CredentialKind, Secret, TokenSet
from botkit.ports.io import HttpRequest
from botkit.protocol.oauth import oauth2, token_answers

if TYPE_CHECKING:
    from botkit.client.logins.context import LoginContext
    from botkit.client.logins.endpoints import AppKeys
    from botkit.client.signin.attempt import Keep, Login, LoginWish
    from botkit.model.users import User

__all__ = ["OAuth2Attempt"]

_log = structlog.get_logger(__name__)

_EXCHANGE_TIMEOUT_S = 20.0
_NOT_KEPT = (
    "X had granted the login by then, which ended the one before it through this app:"
    " authorize again."
)


class OAuth2Attempt:
    """Run one OAuth 2.0 login attempt; make a new object for each.

    Args:
        keep: Stores the account and the login, and all that has to be stored with them; `keep_in`
            by default.

    Attributes:
        url: The address that the person opens in the browser.
        state: The value that the redirect must carry, to tell it from those of other attempts.
    """

    url: str
    state: str

    def __init__(
        self, context: LoginContext, wish: LoginWish, *, keep: Keep | None = None
    ) -> None:
        self._context = context
        self._wish = wish
        self._keep = keep
        self._keys = _keys_of(context, wish.app)
        self.state = oauth2.new_state(context.entropy.token_bytes(32))
        self._verifier = Secret(oauth2.new_code_verifier(context.entropy.token_bytes(32)))
        self._once = SingleUse(context.clock)
        self.url = oauth2.authorize_url(
            context.endpoints.consent_url,
            client_id=self._keys.client_id,
            redirect_uri=wish.redirect_uri,
            scopes=wish.scopes,
            state=self.state,
            code_verifier=self._verifier.reveal(),
        )

    @property
    def is_over(self) -> bool:
        """True if no redirect can end the attempt any more."""
        return self._once.is_over

    async def finish(self, query: Secret | str) -> Login:
        """End the attempt with the redirect's query (the part after the `?`).

        Return only after the login is stored and synced. Pass the query as a `Secret` to keep it
        out of tracebacks.

        Raises:
            StateMismatch: The redirect is not of this attempt, or it came twice. The right one may
                still come unless `is_over`.
            AuthorizationDenied: The person declined.
            LoginExpired: The redirect came too late; nothing was sent.
            WrongAccount: Another account than the wished one consented; see `take_login`.
            AuthError: X refused the code or the client, or the answer was lost: start again.
            XError: X could not be asked, or its answer could not be read: start again.
            StateError: The login could not be stored.
        """
        query = query if isinstance(query, Secret) else Secret(query)
        issuer = self._context.endpoints.issuer
        code = self._once.use_up(
            "redirect",
            lambda: oauth2.read_callback(query.reveal(), state=self.state, issuer=issuer),
        )
        await persist(self._context.clock, self._context.rows.make_ready, StoreUnavailable)
        try:
            granted = await self._exchange(code)
        except XError as error:
            error.hint = error.hint or NOTHING_STORED
            raise
        user = await self._who(granted)
        tokens = {"access_token": granted.access_token}
        if granted.refresh_token is not None:
            tokens["refresh_token"] = granted.refresh_token
        return await take_login(
            self._context,
            self._wish,
            user,
            CredentialKind.OAUTH2,
            tokens,
            keep=self._keep,
            scopes=granted.scopes,
            life=timedelta(seconds=granted.expires_in_s),
        )

    async def _exchange(self, code: Secret) -> TokenSet:
        keys = self._keys
        request = HttpRequest(
            method="POST",
            url=self._context.endpoints.token_url,
            name="POST /2/oauth2/token",
            headers=oauth2.client_headers(keys.client_id, keys.client_secret),
            body=oauth2.code_form(
                code=code, redirect_uri=self._wish.redirect_uri, code_verifier=self._verifier
            ),
            timeout_s=_EXCHANGE_TIMEOUT_S,
            writes=True,
            reads_late=True,
        )
        answer = await exchange(
            self._context.clock,
            lambda: self._context.transport.send(request),
            lost="The answer to the code's exchange was lost; a code works only once.",
        )
        now = self._context.clock.now()
        granted = token_answers.read_token_answer(answer, asked=self._wish.scopes, now=now)
        if granted.refresh_token is not None:
            return granted
        # Without a refresh token the login ends soon: it has no `offline.access`, whatever X says.
        scopes = tuple(scope for scope in granted.scopes if scope != "offline.access")
        return msgspec.structs.replace(granted, scopes=scopes)

    async def _who(self, granted: TokenSet) -> User:
        """Ask X for the token's user; retry, because X has already ended the login before it."""
        clock, token = self._context.clock, granted.access_token
        try:
            return await persist_after_grant(
                clock,
                lambda: persist(clock, lambda: who_am_i(self._context, token), Unauthorized),
                *PASSING,
            )
        except XError as error:
            error.hint = f"{error.hint} {_NOT_KEPT}".strip()
            raise


def _keys_of(context: LoginContext, app: str) -> AppKeys:
    keys = context.apps.get(app)
    if keys is None or not keys.client_id or not keys.client_secret:
        raise ConfigError(
            f"The app {app!r} has no client id and client secret.",
            hint="Set client_id and client_secret (or BOTKIT_APP__CLIENT_SECRET_FILE).",
        )
    return keys
