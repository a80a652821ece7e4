"""The webhook is registered, watched over and subscribed to; what it misses is a gap."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from botkit.errors import BadRequest, MalformedAnswer, Parked, ResponseError, StateError
from botkit.protocol.api.responses import Response
from botkit.protocol.rules.pricing import Charge
from botkit.sandbox.harness.clock import START
from botkit.sources.push.subscriptions import POST_KINDS, Subscriptions
from botkit.sources.push.webhooks import ActivityWebhook, Webhooks
from tests.unit.sources.fakes import mention

if TYPE_CHECKING:
    from botkit.model.users import Account
    from botkit.ports import Store
    from botkit.protocol.api.requests import Request
    from botkit.sandbox.harness.clock import VirtualClock
    from tests.unit.sources.fakes import FakeIntake, FakeSender, Reports, Spawn

URL = "https://bot.example/x/deliveries"


def listed(*, valid: bool = True, url: str = URL) -> Response:
    # Source: X API docs, "Webhooks": GET /2/webhooks.
    row = {"id": "146", "url": url, "valid": valid, "created_at": "2026-11-30T00:00:00.000Z"}
    return Response(status=200, data=[row], meta={"result_count": 1})


def subscribed(webhook_id: str = "146") -> Response:
    rows = [
        {
            "subscription_id": str(number),
            "event_type": kind,
            "filter": {} if kind == "oauth.revoke" else {"user_id": "1"},
            "tag": f"botkit:greeter:{kind}",
            "webhook_id": webhook_id,
        }
        for number, kind in enumerate((*POST_KINDS, "oauth.revoke"))
    ]
    return Response(status=200, data=rows)


VALIDATED = Response(status=200, data={"valid": True})
DONE = Response(status=200, data={})


def body_of(post_id: int) -> bytes:
    data: dict[str, Any] = {
        "filter": {"user_id": "1"},
        "event_type": "post.mention.create",
        "payload": mention(post_id),
    }
    return json.dumps({"data": data}).encode()


def names(sender: FakeSender) -> list[str]:
    return [call.operation for call in sender.calls]


async def test_an_address_that_x_has_is_taken_as_it_is(sender: FakeSender) -> None:
    sender.answers = [listed()]
    assert await Webhooks(sender, account_id="1").ensure(URL) == "146"
    assert sender.calls[0].as_app


async def test_an_address_that_x_has_not_is_registered(sender: FakeSender) -> None:
    made = Response(status=200, data={"id": "147", "url": URL, "valid": True})
    sender.answers = [listed(url="https://other.example/x"), made]
    assert await Webhooks(sender, account_id="1").ensure(URL) == "147"
    assert (sender.calls[1].method, sender.calls[1].path) == ("POST", "/2/webhooks")
    assert json.loads(sender.calls[1].json or b"") == {"url": URL}
    sender.answers = [Response(status=200, data=[]), DONE]
    with pytest.raises(MalformedAnswer, match="webhook"):
        await Webhooks(sender, account_id="1").ensure(URL)


async def test_an_invalid_address_is_validated_again(sender: FakeSender) -> None:
    sender.answers = [listed(valid=False), VALIDATED]
    assert await Webhooks(sender, account_id="1").ensure(URL) == "146"
    assert (sender.calls[1].method, sender.calls[1].path) == ("PUT", "/2/webhooks/146")


async def test_an_address_is_valid_if_x_says_so_of_it_whatever_it_says_of_others(
    sender: FakeSender,
) -> None:
    webhooks = Webhooks(sender, account_id="1")
    for mine, other in ((True, False), (False, True)):
        rows = [
            *listed(valid=other, url="https://other.example/x").data,
            *listed(valid=mine).data,
        ]
        sender.answers = [Response(status=200, data=rows)]
        assert await webhooks.is_valid(URL) is mine


async def test_an_address_that_x_cannot_reach_is_refused_with_the_cure(sender: FakeSender) -> None:
    # Source: X API docs, "Webhooks": CrcValidationFailed.
    sender.answers = [
        listed(valid=False),
        BadRequest("no", status=400, detail="CrcValidationFailed"),
    ]
    with pytest.raises(Exception, match="CrcValidationFailed") as refused:
        await Webhooks(sender, account_id="1").ensure(URL)
    assert "crc_token" in refused.value.hint  # type: ignore[attr-defined]


class Hearing:
    """A webhook that runs, and who was told what."""

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self.connected = 0
        self.parked = False
        self.spent: list[Charge] = []
        self.webhook: ActivityWebhook

    def start(self) -> None:
        self._spawn(self.webhook.run())


@pytest.fixture
def hearing(
    account: Account,
    sender: FakeSender,
    ports: dict[str, Any],
    spawn: Spawn,
) -> Hearing:
    hearing = Hearing(spawn)

    async def may_hear(account_id: str) -> None:
        assert account_id == "1"
        if hearing.parked:
            raise Parked("budget", until=START + timedelta(days=1))

    def spend(_account: str, charge: Charge, *, app: str) -> None:
        assert app == "default"
        hearing.spent.append(charge)

    def connect() -> None:
        hearing.connected += 1

    hearing.webhook = ActivityWebhook(
        "default",
        [account],
        url=URL,
        kinds={"1": POST_KINDS},
        subscriptions=Subscriptions(sender, prefix="botkit:greeter:"),
        may_hear=may_hear,
        on_connected=connect,
        on_spend=spend,
        **ports,
    )
    return hearing


START_CALLS = ["getWebhooks", "getActivitySubscriptions", "getWebhooks"]


async def test_it_is_live_once_it_is_valid_and_subscribed_to(
    hearing: Hearing, sender: FakeSender, clock: VirtualClock, reports: Reports
) -> None:
    sender.answers = [listed(), subscribed(), listed(), listed()]
    hearing.start()
    await clock.advance(1)
    assert names(sender) == START_CALLS
    assert reports.said[-1][:2] == ("webhook/default", "live")
    assert hearing.connected == 1
    await clock.advance(605)
    assert names(sender) == [*START_CALLS, "getWebhooks"]


async def test_what_is_delivered_is_recorded_and_paid(
    hearing: Hearing, sender: FakeSender, clock: VirtualClock, intake: FakeIntake
) -> None:
    sender.answers = [listed(), subscribed(), listed()]
    hearing.start()
    await clock.advance(1)
    events = hearing.webhook.events_of(body_of(11))
    assert hearing.webhook.hears("1")
    await hearing.webhook.take("1", events)
    assert [event.key for event in intake.events] == ["post/11/0"]  # type: ignore[attr-defined]
    assert len(hearing.spent) == 1
    intake.failures = 1
    with pytest.raises(StateError):
        await hearing.webhook.take("1", events)


async def test_a_webhook_that_x_takes_for_invalid_is_a_gap_until_it_is_valid_again(
    hearing: Hearing, sender: FakeSender, clock: VirtualClock, reports: Reports, store: Store
) -> None:
    sender.answers = [listed(), subscribed(), listed()]
    sender.answers += [listed(valid=False), listed(valid=False), VALIDATED, subscribed(), listed()]
    hearing.start()
    await clock.advance(700)
    assert names(sender)[3:] == [
        "getWebhooks",
        "getWebhooks",
        "validateWebhooks",
        *START_CALLS[1:],
    ]
    assert any(state == "waiting" and "invalid" in why for _, state, why in reports.said)
    assert reports.said[-1][:2] == ("webhook/default", "live")
    (gap,) = await store.progress.gaps()
    assert (gap.source, gap.cause) == ("activity", "disconnected")
    assert gap.since <= START + timedelta(seconds=1)
    assert gap.until is not None
    assert hearing.connected == 2


async def test_an_account_that_may_not_hear_more_is_subscribed_to_no_more(
    hearing: Hearing, sender: FakeSender, clock: VirtualClock
) -> None:
    removals: list[Request] = []

    def removed(request: Request) -> Response:
        removals.append(request)
        return DONE

    sender.answers = [listed(), subscribed(), listed(), subscribed(), removed]
    hearing.start()
    await clock.advance(1)
    hearing.parked = True
    await hearing.webhook.take("1", hearing.webhook.events_of(body_of(11)))
    await clock.advance(6)
    assert [each.operation for each in removals] == ["deleteActivitySubscriptionsByIds"]


async def test_own_subscriptions_of_a_stream_are_moved_to_the_webhook(
    hearing: Hearing, sender: FakeSender, clock: VirtualClock
) -> None:
    assert hearing.webhook.name == "webhook/default"
    sender.answers = [listed(), subscribed("12"), *[DONE] * 4, listed()]
    hearing.start()
    await clock.advance(1)
    moves = sender.calls[2:-1]
    assert [(each.method, each.path) for each in moves] == [
        ("PUT", f"/2/activity/subscriptions/{number}") for number in range(4)
    ]
    assert {each.json for each in moves} == {b'{"webhook_id":"146"}'}


async def test_foreign_subscriptions_stay_and_own_ones_are_made_with_the_webhook(
    sender: FakeSender, account: Account
) -> None:
    foreign = {
        "subscription_id": "1",
        "event_type": "post.mention.create",
        "filter": {"user_id": "1"},
        "tag": "somebody else's",
    }
    mine = {**foreign, "subscription_id": "2", "tag": "botkit:greeter:x", "webhook_id": "146"}
    sender.answers = [
        Response(status=200, data=[foreign]),
        DONE,
        Response(status=200, data=[foreign, mine]),
        DONE,
    ]
    subscriptions = Subscriptions(sender, prefix="botkit:greeter:")
    subscriptions.webhook_id = "146"
    await subscriptions.prepare(account, ["post.mention.create"])
    made = [json.loads(call.json or b"{}") for call in sender.calls if call.method == "POST"]
    assert [(each["event_type"], each["webhook_id"]) for each in made] == [
        ("post.mention.create", "146"),
        ("oauth.revoke", "146"),
    ]


async def test_a_kind_that_x_has_for_another_program_only_is_said(
    sender: FakeSender, account: Account
) -> None:
    twice = ResponseError("exists already", status=409)
    sender.answers = [Response(status=200, data=[]), twice, DONE]
    subscriptions = Subscriptions(sender, prefix="botkit:greeter:")
    subscriptions.webhook_id = "146"
    prepared = await subscriptions.prepare(account, ["post.mention.create"])
    assert prepared.live == ()
    assert "another program" in prepared.refused[0].why
    assert prepared.refused[0].next_step.startswith("end the program")
