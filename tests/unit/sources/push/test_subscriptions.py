"""Subscriptions are compared with what is wanted; nobody else's is touched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from botkit.errors import BadRequest, ConfigError, Forbidden, ResponseError
from botkit.protocol.api.responses import Response
from botkit.sources.push.subscriptions import Subscriptions

if TYPE_CHECKING:
    from botkit.model.users import Account
    from botkit.protocol.api.requests import Request
    from tests.unit.sources.fakes import FakeSender

PREFIX = "botkit:greeter:"


def row(number: int, kind: str, *, user: str | None = "1", tag: str = "") -> dict[str, Any]:
    return {
        "subscription_id": str(number),
        "event_type": kind,
        "filter": {"user_id": user} if user else {},
        "tag": tag or PREFIX + kind,
    }


def listed(*rows: dict[str, Any], token: str | None = None) -> Response:
    meta = {"next_token": token} if token else {}
    return Response(status=200, data=list(rows), meta=meta)


DONE = Response(status=200, data={})
REVOKE = row(9, "oauth.revoke", user=None)


def kinds_created(sender: FakeSender) -> list[str]:
    made = [call for call in sender.calls if call.operation == "createActivitySubscription"]
    return [json.loads(call.json or b"{}")["event_type"] for call in made]


async def test_what_is_missing_is_created_and_proven(sender: FakeSender, account: Account) -> None:
    a, b = "post.mention.create", "post.reply.create"
    sender.answers = [listed(row(1, a), REVOKE), DONE, listed(row(1, a), row(2, b), REVOKE)]
    prepared = await Subscriptions(sender, prefix=PREFIX).prepare(account, [a, b])
    assert kinds_created(sender) == [b]
    assert prepared.live == (a, b)
    assert not sender.calls[1].as_app
    assert sender.calls[0].as_app


async def test_the_app_subscribes_to_public_kinds(sender: FakeSender, account: Account) -> None:
    a, b = "profile.update.bio", "like.create"
    sender.answers = [listed(REVOKE), DONE, DONE, listed(row(1, a), row(2, b), REVOKE)]
    await Subscriptions(sender, prefix=PREFIX).prepare(account, [a, b])
    assert kinds_created(sender) == [a, b]
    assert [call.as_app for call in sender.calls[1:3]] == [True, False]


async def test_one_that_another_process_made_meanwhile_is_there(
    sender: FakeSender, account: Account
) -> None:
    kind = "post.mention.create"
    twice = ResponseError("exists already", status=409)
    sender.answers = [listed(REVOKE), twice, listed(row(1, kind), REVOKE)]
    prepared = await Subscriptions(sender, prefix=PREFIX).prepare(account, [kind])
    assert (prepared.live, prepared.refused) == ((kind,), ())
    sender.answers = [listed(REVOKE), ResponseError("odd", status=418)]
    with pytest.raises(ResponseError, match="odd"):
        await Subscriptions(sender, prefix=PREFIX).prepare(account, [kind])


async def test_pages_of_subscriptions_are_read_to_the_end(
    sender: FakeSender, account: Account
) -> None:
    sender.answers = [listed(REVOKE, token="b"), listed(row(1, "post.mention.create"))]
    await Subscriptions(sender, prefix=PREFIX).prepare(account, ["post.mention.create"])
    assert kinds_created(sender) == []


async def test_stale_own_ones_are_removed_and_others_stay(
    sender: FakeSender, account: Account
) -> None:
    sender.answers = [
        listed(
            row(1, "post.mention.create"),
            row(2, "like.create"),
            row(3, "follow.follow", tag="somebody else's"),
            row(4, "like.create", user="2"),
            REVOKE,
        ),
        DONE,
    ]
    await Subscriptions(sender, prefix=PREFIX).prepare(account, ["post.mention.create"])
    removed = sender.calls[-1]
    assert removed.operation == "deleteActivitySubscriptionsByIds"
    assert dict(removed.query)["ids"] == "2"


async def test_a_bearer_of_another_app_is_found_out(sender: FakeSender, account: Account) -> None:
    sender.answers = [listed(REVOKE), DONE, listed(REVOKE)]
    with pytest.raises(ConfigError, match="another app than the client id"):
        await Subscriptions(sender, prefix=PREFIX).prepare(account, ["post.mention.create"])


async def test_a_refused_kind_names_itself_and_the_granted_scopes(
    sender: FakeSender, account: Account
) -> None:
    refusal = Forbidden("no", status=403, detail="Forbidden")
    sender.answers = [listed(REVOKE), refusal]
    prepared = await Subscriptions(sender, prefix=PREFIX).prepare(account, ["dm.received"])
    assert prepared.live == ()
    (refusal,) = prepared.refused
    assert (refusal.kind, refusal.next_step) == ("dm.received", "")
    assert "tweet.read users.read" in refusal.why


@pytest.mark.parametrize("error", [Forbidden, BadRequest])
async def test_an_app_with_too_many_subscriptions_says_so_and_what_frees_some(
    error: type[ResponseError], sender: FakeSender, account: Account
) -> None:
    others = [row(n, "follow.follow", tag="somebody else's") for n in range(1, 1500)]
    sender.answers = [listed(*others, REVOKE), error("full", status=403, detail="Too many.")]
    prepared = await Subscriptions(sender, prefix=PREFIX).prepare(account, ["dm.received"])
    (refusal,) = prepared.refused
    said = "X refused dm.received, because the app has 1500 subscriptions: Too many."
    assert refusal.why == said
    assert refusal.next_step.startswith("remove subscriptions that other programs made")


async def test_a_call_that_x_cannot_read_is_no_refusal(
    sender: FakeSender, account: Account
) -> None:
    sender.answers = [listed(REVOKE), BadRequest("odd", status=400)]
    with pytest.raises(BadRequest, match="odd"):
        await Subscriptions(sender, prefix=PREFIX).prepare(account, ["dm.received"])


@pytest.mark.parametrize("offered", [True, False])
async def test_revocations_are_asked_for_and_need_not_be_offered(
    *, offered: bool, sender: FakeSender, account: Account
) -> None:
    def answer(request: Request) -> Response | BaseException:
        assert request.as_app
        assert json.loads(request.json or b"{}")["filter"] == {}
        return DONE if offered else BadRequest("no such kind", status=400)

    sender.answers = [listed(row(1, "post.mention.create")), answer]
    prepared = await Subscriptions(sender, prefix=PREFIX).prepare(account, ["post.mention.create"])
    assert prepared.live == ("post.mention.create",)
