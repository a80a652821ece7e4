"""Who a token belongs to: asked after a login and after each refresh.

Source: docs/explanation/requirements.md, C8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.errors import MalformedAnswer, WrongAccount
from botkit.ports.io import HttpRequest
from botkit.protocol.api import objects, requests
from botkit.protocol.api.responses import read_response

if TYPE_CHECKING:
    from botkit.client.logins.context import LoginContext
    from botkit.model.tokens import Secret
    from botkit.model.users import User
    from botkit.ports import Store
    from botkit.ports.io import HttpResponse
    from botkit.protocol.api.requests import Request

__all__ = ["check_owner", "read_user", "who_am_i"]


async def who_am_i(around: LoginContext, access_token: Secret) -> User:
    """The user whose OAuth 2.0 access token it is.

    Raises:
        XError: X could not be asked, refused the token, or answered without a user.
    """
    ask = requests.get_me()
    answer = await around.transport.send(
        HttpRequest(
            method=ask.method,
            url=around.endpoints.url_of(ask),
            name=ask.name,
            headers=(("Authorization", f"Bearer {access_token.reveal()}"),),
            follow_same_origin=True,
        )
    )
    return read_user(around, ask, answer)[0]


def read_user(around: LoginContext, ask: Request, answer: HttpResponse) -> tuple[User, str]:
    """The user that an answer to `users/me` names, and the access level that it shows.

    Raises:
        XError: X refused, or answered without a user.
    """
    response = read_response(
        ask.name, answer.status, answer.headers, answer.body, now=around.clock.now()
    )
    users = objects.read_users(response)
    if not users:
        raise MalformedAnswer(
            f"X answered {ask.name} without a user.", request=ask.name, status=response.status
        )
    return users[0], response.level


async def check_owner(store: Store, user: User, *, wanted: str) -> None:
    """Return when the login is the wished account's; `wanted` is its id or username, "" for any.

    Raises:
        WrongAccount: It is somebody else's; nothing was stored.
    """
    wish = wanted.removeprefix("@")
    if not wish:
        return
    stored = await store.accounts.get(wish)
    wanted_id = stored.id if stored is not None else wish
    if user.id == wanted_id or (stored is None and user.username.casefold() == wish.casefold()):
        return
    raise WrongAccount(
        f"@{user.username} (id {user.id}) consented, @{wish} was wanted; nothing was stored.",
        hint=f"Log in to X as @{wish} in that browser, then start again.",
    )
