"""Somebody's server behind a webhook, without a socket: it answers as it is told to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, urlsplit

from botkit.sandbox.x.push.outgoing import Outgoing, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping


def signature(secret: str, message: bytes) -> str:
    made = hmac.new(secret.encode(), message, hashlib.sha256).digest()
    return "sha256=" + base64.b64encode(made).decode()


class Delivery(NamedTuple):
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, object]:
        return json.loads(self.body)


class Receiver(Outgoing):
    """What it was sent; `secret` signs its challenges, `replies` come before a 200."""

    def __init__(self) -> None:
        super().__init__()
        self.secret = ""
        self.challenges: list[str] = []
        self.deliveries: list[Delivery] = []
        self.replies: list[Reply] = []
        self.crc_reply: Reply | None = None

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Reply:
        if method == "GET":
            return self._answer_challenge(url)
        self.deliveries.append(Delivery(url, headers, body))
        return self.replies.pop(0) if self.replies else Reply(200)

    def _answer_challenge(self, url: str) -> Reply:
        self.challenges.append(urlsplit(url).query)
        if self.crc_reply is not None:
            return self.crc_reply
        (token,) = parse_qs(self.challenges[-1])["crc_token"]
        response = {"response_token": signature(self.secret, token.encode())}
        return Reply(200, json.dumps(response).encode())
