"""Who a token belongs to: asked after a login and after each refresh. Source: reliability C8."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.errors import MalformedAnswer
from botkit.ports.io import HttpRequest
from botkit.protocol import objects, requests
from botkit.protocol.responses import read_response

if TYPE_CHECKING:
    from botkit.client.surroundings import Surroundings
    from botkit.model.tokens import Secret
    from botkit.model.users import User

__all__ = ["who_am_i"]


async def who_am_i(around: Surroundings, access_token: Secret) -> User:
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
    response = read_response(
        ask.name, answer.status, answer.headers, answer.body, now=around.clock.now()
    )
    users = objects.read_users(response)
    if not users:
        raise MalformedAnswer(
            f"X answered {ask.name} without a user.", request=ask.name, status=response.status
        )
    return users[0]
