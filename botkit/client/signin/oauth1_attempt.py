"""One OAuth 1.0a login attempt: from the address to open to a redirect or PIN and stored tokens.

The request token belongs to this one attempt. A redirect must name it, and its secret is kept
until the exchange. The first redirect or PIN that fits uses it up, even if the exchange fails. A
token and secret from X's console are checked and stored in the same way.

Source: docs/explanation/requirements.md, C8 and C14; RFC 5849 section 2; X API docs, "Log in
with X".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import structlog

from botkit.client.http.signed_calls import SignedCalls
from botkit.client.logins.identity import owner_of_pair
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
    InvalidGrant,
    StateMismatch,
    StoreUnavailable,
    TransportError,
    Unauthorized,
    WrongAccount,
    XError,
)
from botkit.model.tokens import CredentialKind, Secret
from botkit.model.users import User
from botkit.ports.io import HttpRequest
from botkit.protocol.oauth import oauth1_flow
from botkit.protocol.oauth.oauth1_flow import ACCESS_TOKEN, PIN_CALLBACK, REQUEST_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from botkit.client.logins.context import LoginContext
    from botkit.client.signin.attempt import Keep, Login, LoginWish
    from botkit.model.tokens import TokenPair
    from botkit.protocol.oauth.oauth1_flow import Granted

__all__ = ["OAuth1Attempt", "adopt_pair"]

_log = structlog.get_logger(__name__)

_TIMEOUT_S = 20.0


class OAuth1Attempt:
    """Run one OAuth 1.0a login attempt; call `begin` for each.

    Attributes:
        url: The address that the person opens in the browser.
    """

    url: str

    def __init__(
        self,
        context: LoginContext,
        wish: LoginWish,
        calls: SignedCalls,
        token: TokenPair,
        keep: Keep | None,
    ) -> None:
        self._context = context
        self._wish = wish
        self._keep = keep
        self._calls = calls
        self._token = token
        self._once = SingleUse(context.clock)
        named = wish.account.removeprefix("@")
        self.url = oauth1_flow.authorize_url(
            context.endpoints.authorize_url,
            token,
            username="" if named.isdigit() else named,
        )

    @classmethod
    async def begin(
        cls, context: LoginContext, wish: LoginWish, *, keep: Keep | None = None
    ) -> Self:
        """Ask X for a request token, and return the attempt.

        With `oob` as `wish.redirect_uri` the login ends with a PIN. `keep` stores the account and
        the login, and all that has to be stored with them; `keep_in` by default.

        Raises:
            ConfigError: The app has no api key and secret, or X refuses the callback URL or our
                clock; no attempt was begun.
            AuthError: X does not accept the key and secret, or does not confirm the callback.
            XError: X could not be asked, or its answer could not be read.
        """
        calls = SignedCalls(context, wish.app)
        request = _leg(context.endpoints.request_token_url, REQUEST_TOKEN)
        callback = {"oauth_callback": wish.redirect_uri}
        answer = await persist(
            context.clock, lambda: calls.send(request, extra=callback), TransportError
        )
        now = context.clock.now()
        token = oauth1_flow.read_request_token(answer, callback=wish.redirect_uri, now=now)
        return cls(context, wish, calls, token, keep)

    @property
    def is_over(self) -> bool:
        """True if no redirect or PIN can end the attempt any more."""
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
            AuthError: X refused the verifier or the keys, or the answer was lost: start again.
            XError: X could not be asked, or its answer could not be read: start again.
            StateError: The login could not be stored.
        """
        if self._wish.redirect_uri == PIN_CALLBACK:
            raise StateMismatch("This login ends with a PIN, not with a redirect.")
        query = query if isinstance(query, Secret) else Secret(query)
        return await self._exchange(
            lambda: oauth1_flow.read_callback(query.reveal(), request_token=self._token)
        )

    async def finish_pin(self, text: Secret | str) -> Login:
        """End the attempt with the PIN that the person read on X's page; it is tried once.

        Raises:
            StateMismatch: The text is no PIN, or the attempt is over; nothing was sent.
            AuthError: X does not accept the PIN, or as `finish`.
            XError: As `finish`.
            StateError: As `finish`.
        """
        text = text if isinstance(text, Secret) else Secret(text)
        return await self._exchange(lambda: oauth1_flow.read_pin(text.reveal()))

    async def _exchange(self, read: Callable[[], str]) -> Login:
        verifier = self._once.use_up("redirect or PIN", read)
        context = self._context
        await persist(context.clock, context.rows.make_ready, StoreUnavailable)
        request = _leg(context.endpoints.access_token_url, ACCESS_TOKEN)
        given = {"oauth_verifier": verifier}
        try:
            answer = await exchange(
                context.clock,
                lambda: self._calls.send(request, self._token, extra=given),
                lost="The answer to the exchange was lost; a verifier or PIN works only once.",
            )
            granted = oauth1_flow.read_access_token(answer, now=context.clock.now())
            return await _prove_and_store(
                context, self._wish, self._calls, granted.pair, said=granted, keep=self._keep
            )
        except XError as error:
            error.hint = error.hint or NOTHING_STORED
            raise


async def adopt_pair(
    context: LoginContext, wish: LoginWish, pair: TokenPair, *, keep: Keep | None = None
) -> Login:
    """Check an access token and secret from X's console by `users/me`, and store them.

    `keep` stores the account and the login, and all that has to be stored with them; `keep_in` by
    default.

    Raises:
        ConfigError: The app has no api key and secret.
        InvalidGrant: X refuses the token with this app's key and secret; nothing was stored.
        WrongAccount: The token is of another account than the wished one; nothing was stored.
        XError: X could not be asked.
        StateError: The login could not be stored.
    """
    calls = SignedCalls(context, wish.app)
    try:
        return await _prove_and_store(context, wish, calls, pair, keep=keep)
    except WrongAccount as error:
        if wish.account:
            error.hint = f"Give the access token and secret of @{wish.account.removeprefix('@')}."
        raise
    except Unauthorized as error:
        raise InvalidGrant(
            f"X does not take this access token and secret with the key and secret of app"
            f" {wish.app!r} ({error.status} {error.detail or error.title}); nothing was stored.",
            hint="All four come from one app's Keys and tokens page: compare them, generate the"
            " access token anew if in doubt, and check this machine's clock.",
        ) from error


async def _prove_and_store(
    context: LoginContext,
    wish: LoginWish,
    calls: SignedCalls,
    pair: TokenPair,
    *,
    keep: Keep | None,
    said: Granted | None = None,
) -> Login:
    """Ask X for the token's user and access level; store a token of the wished account."""
    is_named = said is not None and said.username != ""
    patiently = persist if said is None or is_named else persist_after_grant
    try:
        user, level = await patiently(
            context.clock, lambda: owner_of_pair(context, calls, pair), *PASSING
        )
    except PASSING as error:
        if said is None or not is_named:
            raise
        # X has named the user with the token; the level is learned from the first answer.
        _log.warning("login.not_stored_yet", why=str(error))
        user, level = User(id=said.user_id, username=said.username, name=said.username), ""
    if said is not None and said.user_id != user.id:
        raise WrongAccount(
            f"X granted a token of the user {said.user_id}, and it is @{user.username}'s"
            f" (id {user.id}); nothing was stored.",
            hint="Start again.",
        )
    tokens = {
        "token": Secret(pair.token.reveal().strip()),
        "token_secret": Secret(pair.token_secret.reveal().strip()),
    }
    return await take_login(
        context, wish, user, CredentialKind.OAUTH1, tokens, keep=keep, level=level
    )


def _leg(url: str, name: str) -> HttpRequest:
    """Return a request of the login; its parameters are in the header, and it has no body."""
    return HttpRequest(
        method="POST",
        url=url,
        name=name,
        timeout_s=_TIMEOUT_S,
        writes=name != REQUEST_TOKEN,
    )
