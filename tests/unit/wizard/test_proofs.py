"""What is proven after a login, and in which words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from botkit.errors import Forbidden, Parked, ServerError
from botkit.model.tokens import CredentialKind
from botkit.model.users import Account
from botkit.protocol.api.requests import Request
from botkit.protocol.api.responses import Response
from botkit.protocol.rules import access
from botkit.wizard.proofs import Proof, prove_access, prove_stream

ME = Account(id="1", username="greeter")
MAY = ("post", "reply")
KINDS = ("post.mention.create", "post.reply.create")
PREFIX = "botkit:greeter:"


class FakeX:
    """Subscriptions of one app, and what is wrong with them."""

    def __init__(self, *scopes: str) -> None:
        self.scopes = scopes
        self.there: list[dict[str, Any]] = []
        self.refuse: set[str] = set()
        self.blind = False
        self.problem: BaseException | None = None

    async def credential(self, operation: str, *, account_id: str) -> CredentialKind:
        return access.choose_credential(operation, await self.kinds(account_id))

    async def kinds(self, account_id: str) -> Mapping[CredentialKind, tuple[str, ...]]:
        assert account_id == ME.id
        return {CredentialKind.OAUTH2: self.scopes}

    async def send(self, request: Request, *, account_id: str = "") -> Response:
        if self.problem is not None:
            raise self.problem
        if request.operation == "getActivitySubscriptions":
            return Response(status=200, data=[] if self.blind else list(self.there))
        body = _json(request)
        kind = body["event_type"]
        if kind in self.refuse:
            raise Forbidden("no", status=403, detail="Not for you.")
        self.there.append(
            {
                "subscription_id": str(len(self.there)),
                "event_type": kind,
                "filter": body.get("filter", {}),
                "tag": body["tag"],
            }
        )
        return Response(status=200, data={})


def _json(request: Request) -> dict[str, Any]:
    return msgspec.json.decode(request.json or b"{}", type=dict[str, Any])


async def test_with_all_scopes_access_is_fine():
    proof = await prove_access(FakeX("tweet.read", "tweet.write", "users.read"), ME, MAY)  # type: ignore[arg-type]

    assert proof == Proof(what="access", state="fine")
    assert proof.fine


async def test_a_missing_scope_is_said_with_its_cure():
    proof = await prove_access(FakeX("tweet.read", "users.read"), ME, MAY)  # type: ignore[arg-type]

    assert not proof.fine
    assert proof.state == "wrong"
    assert "tweet.write" in proof.detail
    assert "botkit setup" in proof.cure


async def test_all_that_is_missing_is_said_at_once_each_cure_once():
    proof = await prove_access(FakeX("tweet.read", "users.read"), ME, ("post", "repost"))  # type: ignore[arg-type]

    assert "createPosts" in proof.detail
    assert "repostPost" in proof.detail
    assert proof.cure.count("authorize again") == 1


async def test_a_stream_that_can_be_subscribed_is_fine_and_says_to_what():
    proof = await prove_stream(FakeX(), ME, KINDS, prefix=PREFIX)  # type: ignore[arg-type]

    assert proof.fine
    assert proof.detail == " ".join(KINDS)


async def test_a_bearer_of_another_app_is_said_with_the_cure():
    x = FakeX()
    x.blind = True

    proof = await prove_stream(x, ME, KINDS, prefix=PREFIX)  # type: ignore[arg-type]

    assert proof.state == "wrong"
    assert "another app" in proof.detail
    assert "same app" in proof.cure


async def test_a_kind_that_x_refuses_is_named_with_the_granted_scopes():
    x = FakeX("tweet.read")
    x.refuse = {"post.reply.create"}

    proof = await prove_stream(x, ME, KINDS, prefix=PREFIX)  # type: ignore[arg-type]

    assert proof.state == "wrong"
    assert "post.reply.create" in proof.detail
    assert "tweet.read" in proof.detail
    assert "Not for you." in proof.detail
    assert "poll" in proof.cure


@pytest.mark.parametrize(
    "problem", [ServerError("X is down.", status=503), Parked("rate")], ids=["5xx", "parked"]
)
async def test_what_could_not_be_asked_is_neither_fine_nor_wrong(problem):
    x = FakeX()
    x.problem = problem

    proof = await prove_stream(x, ME, KINDS, prefix=PREFIX)  # type: ignore[arg-type]

    assert proof.state == "could not be told"
    assert proof.detail == str(problem)
