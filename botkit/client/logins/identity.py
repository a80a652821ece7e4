"""Ask X which user a token belongs to: after each login and each refresh.

A login that X has granted must not be lost because X refuses or garbles an optional field: the
question is asked again in X's other spelling, and then without any optional field.
Source: docs/explanation/requirements.md, C8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from botkit.errors import (
    BadRequest,
    Forbidden,
    MalformedAnswer,
    NotFound,
    ServerError,
    WrongAccount,
    XError,
)
from botkit.ports.io import HttpRequest
from botkit.protocol.api import objects, requests
from botkit.protocol.api.responses import read_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from botkit.client.http.signed_calls import SignedCalls
    from botkit.client.logins.context import LoginContext
    from botkit.model.tokens import Secret, TokenPair
    from botkit.model.users import User
    from botkit.ports import Store
    from botkit.ports.io import HttpResponse
    from botkit.protocol.api.requests import Request

__all__ = ["NOTHING_STORED_END", "check_owner", "owner_of_pair", "who_am_i"]

_log = structlog.get_logger(__name__)

NOTHING_STORED_END = "; nothing was stored."
_TIMEOUT_S = 20.0
_PERHAPS_A_FIELD = (BadRequest, Forbidden, NotFound, ServerError, MalformedAnswer)
"""The refusals that an optional field can cause."""


async def who_am_i(context: LoginContext, access_token: Secret) -> User:
    """Return the user to whom the OAuth 2.0 access token belongs.

    Raises:
        XError: X could not be asked, refused the token, or answered without a user.
    """

    def send(call: Request) -> Awaitable[HttpResponse]:
        # No frame that awaits holds the header: tools show the local variables of a traceback.
        return context.transport.send(
            _http(
                context,
                call,
                headers=(("Authorization", f"Bearer {access_token.reveal()}"),),
                follow_same_origin=True,
            )
        )

    return (await _ask(context, send))[0]


async def owner_of_pair(
    context: LoginContext, calls: SignedCalls, pair: TokenPair
) -> tuple[User, str]:
    """Return the user to whom the OAuth 1.0a token belongs, and the access level X shows for it.

    Raises:
        XError: X could not be asked, refused the token, or answered without a user.
    """

    def send(call: Request) -> Awaitable[HttpResponse]:
        return calls.send(_http(context, call, timeout_s=_TIMEOUT_S), pair)

    return await _ask(context, send)


async def _ask(
    context: LoginContext, send: Callable[[Request], Awaitable[HttpResponse]]
) -> tuple[User, str]:
    """Return the token's user and access level; ask again without fields that X may refuse."""
    ask = requests.get_me()
    refusals: list[XError] = []
    for call in (ask, requests.respelled(ask), requests.stripped(ask) or ask):
        try:
            user = _read_user(context, await send(call))
        except _PERHAPS_A_FIELD as error:
            refusals.append(error)
            continue
        for refusal in refusals:
            _log.warning("profile_fields.refused", why=str(refusal))
        return user
    raise refusals[-1]


def _http(context: LoginContext, call: Request, **more: Any) -> HttpRequest:
    url = context.endpoints.url_of(call)
    return HttpRequest(method=call.method, url=url, name=call.name, **more)


def _read_user(context: LoginContext, answer: HttpResponse) -> tuple[User, str]:
    ask = requests.get_me()
    response = read_response(
        ask.name, answer.status, answer.headers, answer.body, now=context.clock.now()
    )
    users = objects.read_users(response)
    if not users:
        raise MalformedAnswer(
            f"X answered {ask.name} without a user.", request=ask.name, status=response.status
        )
    return users[0], response.level


async def check_owner(store: Store, user: User, *, wanted: str) -> None:
    """Check that the login's user is the account `wanted`: its id or username, "" for any.

    Raises:
        WrongAccount: The login is another user's; nothing was stored.
    """
    wish = wanted.removeprefix("@")
    if not wish:
        return
    stored = await store.accounts.get(wish)
    wanted_id = stored.id if stored is not None else wish
    if user.id == wanted_id or (stored is None and user.username.casefold() == wish.casefold()):
        return
    raise WrongAccount(
        f"@{user.username} (id {user.id}) consented, @{wish} was wanted{NOTHING_STORED_END}",
        hint=f"Log in to X as @{wish} in that browser, then start again.",
    )
