"""A world with a bot's account, an app and a person, and a way to call its API."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from botkit.protocol.api.operations import match
from botkit.sandbox.harness.clock import SeededEntropy, VirtualClock
from botkit.sandbox.wire.exchange import Answer, Call
from botkit.sandbox.world.world import World
from botkit.sandbox.x.server import XServer, played_operations
from tests.unit.sandbox.receiving import Receiver
from tests.wire.openapi.document import document
from tests.wire.openapi.required import missing, required_of

if TYPE_CHECKING:
    from botkit.sandbox.world.grants import App, Grant

CALLBACK = "http://127.0.0.1:8765/callback"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
PLAYED = played_operations()
SCOPES = "tweet.read tweet.write users.read offline.access"
for _version in ("2.166", "2.167"):
    document(_version)  # read now: a test's event loop may not wait for the disk
for _operation in PLAYED:
    required_of(_operation.id)


_BY_THE_NEWER = frozenset(
    {
        "getUsage",
        "deleteActivitySubscriptionsByIds",
        "getDirectMessagesEventsById",
        "getConnectionHistory",
        "getRuleCounts",
        "repostPost",
        "createLists",
        "getWebhooks",
        "createWebhooks",
        "createWebhookReplayJob",
        "validateWebhooks",
    }
)
"""What only the newer document describes: figures as text, results by id, a message not found, ids of connections,
reposts, 201, webhooks and replays as X's page shows them."""


_CREATED = frozenset({"updateRules"})
"""What X answers with 201, where its document has 200. Source: X's sample programs."""


def documented(body: Any) -> Any:
    """The body without what X sends of a malformed rule beyond its document.

    Source: docs/explanation/x-facts.md, 18.7.
    """
    for error in body.get("errors", ()):
        if error.get("type", "").endswith("/invalid-rules"):
            del error["value"], error["details"]
    return body


class CheckedServer(XServer):
    """The simulated X; what it answers well must be what X's OpenAPI document says, and no more.

    Names like `tweet.*` are held against the document 2.166, `post.*` against 2.167. The answer to
    a write must have what X's answers have for sure (tests/wire/openapi/required.py).

    Attributes:
        answered_well: The ids of the writes that were answered well.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.answered_well: set[str] = set()

    async def handle(self, call: Call) -> Answer:
        answer = await super().handle(call)
        operation = match(call.method, call.path)
        if operation and operation in PLAYED and answer.status < 300 and answer.body:
            newer = call.param("post.fields") is not None or operation.id in _BY_THE_NEWER
            by = document("2.167" if newer else "2.166")
            status = 200 if operation.id in _CREATED else answer.status
            faults = by.faults(operation.id, status, documented(json.loads(answer.body)))
            assert not faults, f"{operation.name}: {faults}"
            if call.method != "GET":
                self.answered_well.add(operation.id)
                lacks = missing(operation.id, json.loads(answer.body))
                assert not lacks, f"{operation.name} lacks {lacks}"
        return answer


class Peer:
    """A client of the simulated X that is written here, from RFCs and X's pages alone."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.world = World(self.clock, SeededEntropy())
        self.receiver = Receiver()
        self.server = CheckedServer(self.world, self.receiver)
        self.greeter = self.world.add_user("greeter")
        self.ada = self.world.add_user("ada")
        self.app: App = self.world.grants.add_app("Greeter", redirect_uris=[CALLBACK])

    def grant(self, scopes: str = SCOPES, *, user: str = "greeter") -> Grant:
        return self.world.grants.grant(self.app, self.world.user(user).id, scopes.split())

    def token(self, scopes: str = SCOPES, *, user: str = "greeter") -> str:
        return self.world.grants.newest_access(self.grant(scopes, user=user))

    async def call(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: Any = None,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        named = dict(headers or {})
        raw = b""
        if token is not None:
            named["Authorization"] = f"Bearer {token}"
        if form is not None:
            raw = urlencode(form).encode()
            named.setdefault("Content-Type", "application/x-www-form-urlencoded")
        elif body is not None:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            named.setdefault("Content-Type", "application/json")
        return await self.server.handle(Call.of(method, path, headers=named, body=raw))

    def basic(self, user: str | None = None, secret: str | None = None) -> dict[str, str]:
        pair = quote(user or self.app.client_id), quote(secret or self.app.client_secret or "")
        return {"Authorization": "Basic " + base64.b64encode(":".join(pair).encode()).decode()}

    def asked(self, **changes: str) -> dict[str, str]:
        asked = {
            "response_type": "code",
            "client_id": self.app.client_id,
            "redirect_uri": CALLBACK,
            "scope": SCOPES,
            "state": "a+b/c==",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        } | changes
        return {name: value for name, value in asked.items() if value != "-"}

    async def consent(self, **changes: str) -> Answer:
        fields = self.asked(**({"as": "greeter", "decision": "authorize"} | changes))
        return await self.call("POST", "/i/oauth2/authorize", form=fields)

    async def code(self, **changes: str) -> str:
        answer = await self.consent(**changes)
        return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]

    def exchange_form(self, issued: str, **changes: str) -> dict[str, str]:
        form = {
            "grant_type": "authorization_code",
            "code": issued,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        } | changes
        return {name: value for name, value in form.items() if value != "-"}

    async def exchange(self, issued: str, **changes: str) -> Answer:
        form = self.exchange_form(issued, **changes)
        return await self.call("POST", "/2/oauth2/token", form=form, headers=self.basic())

    async def refresh(self, refresh_token: str) -> Answer:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return await self.call("POST", "/2/oauth2/token", form=form, headers=self.basic())


def json_of(answer: Answer) -> Any:
    return json.loads(answer.body)


def s256(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@pytest.fixture
def peer() -> Peer:
    return Peer()


@pytest.fixture
def read() -> Any:
    return json_of
