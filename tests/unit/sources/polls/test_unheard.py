"""While a stream does not bring an account's events, the poll beside it reads as if alone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from botkit.errors import Forbidden, InvalidGrant, Unauthorized
from botkit.protocol.api.responses import Response
from botkit.sources.polls.mentions import MentionsPoll
from botkit.sources.polls.polling import Unheard
from botkit.sources.push.stream import ActivityStream
from botkit.sources.push.subscriptions import POST_KINDS, Subscriptions
from tests.unit.sources.fakes import FakeStream
from tests.unit.sources.push.test_stream_newcomers import SECOND, Alive, subscribed

if TYPE_CHECKING:
    from botkit.model.users import Account
    from botkit.ports import Store
    from botkit.sandbox.harness.clock import VirtualClock
    from tests.unit.sources.fakes import FakeSender, Reports, Spawn


@pytest.fixture
def lost() -> list[str]:
    """The accounts of which something is not heard any more; "" when nobody is heard."""
    return []


@pytest.fixture
def stream(
    account: Account, sender: FakeSender, ports: dict[str, Any], lost: list[str]
) -> ActivityStream:
    return ActivityStream(
        "default",
        [account],
        kinds={account.id: POST_KINDS},
        subscriptions=Subscriptions(sender, prefix="botkit:greeter:"),
        on_connected=lambda: None,
        on_lost=lambda: lost.append(""),
        on_unheard=lost.append,
        **ports,
    )


async def test_a_poll_is_as_quick_as_one_alone_until_the_stream_brings_its_events(
    account: Account,
    sender: FakeSender,
    store: Store,
    clock: VirtualClock,
    ports: dict[str, Any],
    spawn: Spawn,
    reports: Reports,
) -> None:
    unheard = {"now": True}
    poll = MentionsPoll(
        account,
        store=store,
        interval=timedelta(minutes=5),
        why="slowly",
        unheard=Unheard(
            interval=timedelta(seconds=15), why="quickly", is_now=lambda: unheard["now"]
        ),
        **ports,
    )
    sender.answers = [Response(status=200, data=[])] * 20
    spawn(poll.run())
    await clock.advance(60)
    assert 4 <= len(sender.calls) <= 6
    assert reports.said[-1] == ("mentions/greeter", "live", "quickly")
    unheard["now"] = False
    await clock.advance(20)
    assert reports.said[-1] == ("mentions/greeter", "live", "slowly")
    before = len(sender.calls)
    await clock.advance(200)
    assert len(sender.calls) == before


async def test_a_stream_delivers_what_it_is_subscribed_to_while_it_is_open(
    stream: ActivityStream,
    sender: FakeSender,
    clock: VirtualClock,
    spawn: Spawn,
    lost: list[str],
) -> None:
    sender.answers = [subscribed("1")]
    sender.streams = [Alive(clock)]
    assert not stream.delivers("1", POST_KINDS)
    spawn(stream.run())
    await clock.advance(1)
    assert stream.delivers("1", POST_KINDS)
    assert not stream.delivers("1", ["dm.received"])
    assert not stream.delivers("2", POST_KINDS)
    stream.remove("1")
    assert not stream.delivers("1", POST_KINDS)
    assert lost == []


async def test_a_stream_that_cannot_be_opened_delivers_nothing_and_says_so_once(
    stream: ActivityStream,
    sender: FakeSender,
    clock: VirtualClock,
    spawn: Spawn,
    lost: list[str],
) -> None:
    refused = Unauthorized("no", status=401)
    sender.answers = [subscribed("1")] * 5
    sender.streams = [FakeStream(ends=True), refused, refused, FakeStream()]
    spawn(stream.run())
    await clock.advance(4)
    assert not stream.delivers("1", POST_KINDS)
    await clock.advance(8)
    assert lost == [""]
    await clock.advance(12)
    assert stream.delivers("1", POST_KINDS)


@pytest.mark.parametrize(
    "why", [InvalidGrant("dead"), Forbidden("no", status=403, detail="not for this account")]
)
async def test_an_account_that_x_refuses_a_subscription_is_not_delivered_to(
    why: Exception,
    stream: ActivityStream,
    sender: FakeSender,
    clock: VirtualClock,
    spawn: Spawn,
    lost: list[str],
) -> None:
    alive = Alive(clock)
    sender.answers = [subscribed("1")]
    sender.streams = [alive]
    spawn(stream.run())
    await clock.advance(1)
    sender.answers = [Response(status=200, data=None), why, Response(status=201)]
    if isinstance(why, InvalidGrant):
        sender.answers = [why]
    stream.add(SECOND, POST_KINDS[:1])
    await clock.advance(20)
    assert stream.delivers("1", POST_KINDS)
    assert not stream.delivers("2", POST_KINDS[:1])
    assert lost == []  # the second account's poll was quick before


async def test_an_account_that_was_heard_and_is_not_any_more_is_told_to_its_polls(
    stream: ActivityStream,
    sender: FakeSender,
    clock: VirtualClock,
    spawn: Spawn,
    lost: list[str],
) -> None:
    stream.add(SECOND, POST_KINDS)
    sender.answers = [subscribed("1"), subscribed("2"), InvalidGrant("dead"), subscribed("2")]
    sender.streams = [FakeStream(ends=True), Alive(clock)]
    spawn(stream.run())
    await clock.advance(4)
    assert stream.delivers("2", POST_KINDS)
    assert not stream.delivers("1", POST_KINDS)
    assert lost == ["1"]
