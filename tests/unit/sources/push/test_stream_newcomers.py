"""An account that is authorized while the stream is open is heard on it; a dead one harms nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from botkit.errors import Forbidden, InvalidGrant, Parked, RateLimited, TransportError
from botkit.model.users import Account
from botkit.protocol.api.responses import Response
from botkit.sources.push.stream import ActivityStream
from botkit.sources.push.subscriptions import POST_KINDS, Subscriptions
from botkit.sources.reporting import by_cause
from tests.unit.sources.fakes import FakeSender, FakeStream
from tests.unit.sources.push.test_stream import line

if TYPE_CHECKING:
    from botkit.sandbox.harness.clock import SeededEntropy, VirtualClock
    from botkit.sources.gaps import Gaps
    from tests.unit.sources.fakes import FakeIntake, Reports

FIRST, SECOND = Account(id="1", username="greeter"), Account(id="2", username="helper")


def subscribed(account_id: str) -> Response:
    rows = [
        {
            "subscription_id": f"{account_id}{n}",
            "event_type": kind,
            "filter": {"user_id": account_id},
            "tag": "x",
        }
        for n, kind in enumerate((*POST_KINDS, "oauth.revoke"))
    ]
    return Response(status=200, data=rows)


class Place:
    def __init__(self, stream: ActivityStream, sender: FakeSender, clock: VirtualClock) -> None:
        self.stream = stream
        self.sender = sender
        self.clock = clock

    async def keep_alive(self, seconds: float) -> None:
        """X sends its keep-alives for so long."""
        for _ in range(int(seconds // 20)):
            await self.clock.advance(timedelta(seconds=20))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        task = asyncio.get_running_loop().create_task(self.stream.run())
        await self.clock.advance(1)
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def place(
    sender: FakeSender,
    intake: FakeIntake,
    clock: VirtualClock,
    entropy: SeededEntropy,
    reports: Reports,
    gaps: Gaps,
) -> Place:
    more: dict[str, Any] = {"intake": intake, "clock": clock, "entropy": entropy}
    stream = ActivityStream(
        "default",
        [FIRST],
        kinds={"1": POST_KINDS},
        subscriptions=Subscriptions(sender, prefix="botkit:greeter:"),
        sender=sender,
        report=reports,
        gaps=gaps,
        late=timedelta(minutes=5),
        on_connected=lambda: None,
        **more,
    )
    return Place(stream, sender, clock)


class Alive(FakeStream):
    """A stream with a keep-alive every 20 s, which brings what is put into it."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock
        self.lines: list[bytes] = []

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            await self._clock.sleep(20)
            yield b"".join(self.lines) or b"\r\n"
            self.lines.clear()


async def test_a_newcomer_is_subscribed_for_within_a_keep_alive_and_heard(
    place: Place, intake: FakeIntake
) -> None:
    alive = Alive(place.clock)
    place.sender.answers = [subscribed("1")]
    place.sender.streams = [alive]
    async with place.open():
        place.sender.answers = [subscribed("2")]
        place.stream.add(SECOND, POST_KINDS)
        await place.keep_alive(20)
        assert place.sender.answers == []
        alive.lines.append(line(11, account="2"))
        await place.keep_alive(40)
    assert [event.account_id for event in intake.events] == ["2"]


async def test_a_newcomer_that_cannot_be_subscribed_for_is_tried_again_later(
    place: Place,
) -> None:
    place.sender.answers = [subscribed("1")]
    place.sender.streams = [Alive(place.clock)]
    async with place.open():
        place.sender.answers = [TransportError("away", request="GET /2")]
        place.stream.add(SECOND, POST_KINDS)
        await place.keep_alive(20)
        place.sender.answers = [subscribed("2")]
        await place.keep_alive(200)
        assert len(place.sender.answers) == 1
        await place.keep_alive(200)
        assert place.sender.answers == []


async def test_a_dead_login_keeps_nobody_else_from_being_heard(
    place: Place, reports: Reports
) -> None:
    place.stream.add(SECOND, POST_KINDS)
    place.sender.answers = [InvalidGrant("dead"), subscribed("2")]
    place.sender.streams = [Alive(place.clock)]
    async with place.open():
        assert reports.said[-1] == (
            "activity/default",
            "partly",
            "hears 1 of 2 accounts, polls the others: @greeter: dead",
        )
        assert ("subscription/greeter", "missing", "dead") in reports.said
        assert reports.codes["subscription/greeter"] == "2"
        place.sender.answers = [subscribed("1")]
        await place.keep_alive(400)
        assert reports.said[-2:] == [
            ("subscription/greeter", "live", ""),
            ("activity/default", "live", ""),
        ]


async def test_an_account_whose_every_subscription_x_refuses_is_not_heard(
    place: Place, reports: Reports
) -> None:
    place.stream.add(SECOND, POST_KINDS[:1])
    refused = Forbidden("no", status=403, detail="not for this account")
    place.sender.answers = [subscribed("1"), Response(status=200, data=None), refused]
    place.sender.answers += [Response(status=201)]  # oauth.revoke
    place.sender.streams = [Alive(place.clock)]
    async with place.open():
        assert reports.said[-1][:2] == ("activity/default", "partly")
        place.stream.remove(SECOND.id)
        assert reports.said[-1] == ("subscription/helper", "live", "")


async def test_the_line_of_a_stream_stays_short_however_many_accounts_it_lacks() -> None:
    accounts = [Account(id=str(1000 + n), username=f"bot{n}") for n in range(1000)]
    problems = [(each, f"The login of @{each.username} is dead.") for each in accounts[:900]]
    problems += [(each, f"cause {each.id[-1] * 3}") for each in accounts[900:]]
    said = by_cause(problems, of=1000)
    assert said.startswith("@bot0 and 899 more: The login of @bot0 is dead.; @bot900 and 9 more: ")
    assert said.endswith("; and 8 other causes")
    assert len(said) < 200


async def test_three_causes_are_told_and_no_others_are_counted() -> None:
    problems = [(Account(id=str(n), username=f"bot{n}"), "abc"[n]) for n in range(3)]
    assert by_cause(problems, of=3) == "@bot0: a; @bot1: b; @bot2: c"


async def test_a_stream_that_may_not_hear_an_account_any_more_is_not_called_live(
    place: Place, intake: FakeIntake, reports: Reports
) -> None:
    spent: set[str] = set()

    async def may_hear(account_id: str) -> None:
        if account_id in spent:
            raise Parked("budget", until=place.clock.now() + timedelta(hours=1))

    place.stream._may_hear = may_hear
    place.stream.add(SECOND, POST_KINDS)
    alive = Alive(place.clock)
    place.sender.answers = [subscribed("1"), subscribed("2")]
    place.sender.streams = [alive]
    async with place.open():
        spent.add("2")
        alive.lines.append(line(11, account="2"))
        place.sender.answers = [subscribed("2"), *[Response(status=200)] * 20]
        await place.keep_alive(20)
    assert len(intake.events) == 1
    assert ("subscription/helper", "missing", "waits for budget") in reports.said
    assert reports.said[-1] == (
        "activity/default",
        "partly",
        "hears 1 of 2 accounts, polls the others: @helper: waits for budget",
    )


async def test_the_polls_look_once_when_x_does_not_answer_the_stream(place: Place) -> None:
    lost: list[float] = []
    place.stream._on_lost = lambda: lost.append(place.clock.monotonic())
    away = TransportError("away", request="GET /2/activity/stream")
    place.sender.answers = [subscribed("1")] * 4
    place.sender.streams = [away, away, Alive(place.clock)]
    async with place.open():
        await place.clock.advance(2)
        assert len(lost) == 1


async def test_a_store_that_takes_events_again_makes_the_stream_live_again(
    place: Place, intake: FakeIntake, reports: Reports
) -> None:
    alive = Alive(place.clock)
    place.sender.answers = [subscribed("1")]
    place.sender.streams = [alive]
    async with place.open():
        intake.failures = 2
        alive.lines.append(line(11, account="1"))
        await place.keep_alive(40)
    assert [said[1:] for said in reports.said] == [
        ("live", ""),
        ("waiting", "full"),
        ("waiting", "full"),
        ("live", ""),
    ]
    assert [event.account_id for event in intake.events] == ["1"]


async def test_when_every_login_is_dead_the_stream_waits(place: Place, reports: Reports) -> None:
    place.sender.answers = [InvalidGrant("dead")]
    async with place.open():
        assert ("activity/default", "waiting", "dead") in reports.said


async def test_a_login_that_was_mended_is_not_waited_for(place: Place, reports: Reports) -> None:
    place.sender.answers = [InvalidGrant("dead")]
    place.sender.streams = [Alive(place.clock)]
    async with place.open():
        place.sender.answers = [subscribed("1")]
        place.stream.poke("1")
        await place.clock.advance(1)
        assert reports.said[-1] == ("activity/default", "live", "")


async def test_a_mended_login_is_taken_in_by_an_open_stream_within_a_keep_alive(
    place: Place,
) -> None:
    place.stream.add(SECOND, POST_KINDS)
    place.sender.answers = [subscribed("1"), InvalidGrant("dead")]
    place.sender.streams = [Alive(place.clock)]
    async with place.open():
        place.sender.answers = [subscribed("2")]
        await place.keep_alive(20)
        assert len(place.sender.answers) == 1
        place.stream.poke("2")
        await place.keep_alive(20)
        assert place.sender.answers == []


async def test_what_x_asks_to_wait_for_is_waited_for_whoever_pokes(place: Place) -> None:
    place.sender.answers = [RateLimited("too often", status=429)]
    async with place.open():
        place.sender.answers = [subscribed("1")]
        place.stream.poke("1")
        await place.clock.advance(1)
        assert len(place.sender.answers) == 1


async def test_an_account_that_left_is_neither_heard_nor_subscribed_for(
    place: Place, intake: FakeIntake
) -> None:
    alive = Alive(place.clock)
    place.stream.add(SECOND, POST_KINDS)
    place.sender.answers = [subscribed("1"), InvalidGrant("dead")]
    place.sender.streams = [alive]
    async with place.open():
        assert place.stream.hears("2")
        assert place.stream.remove("2")
        place.stream.poke("2")
        alive.lines.append(line(11, account="2"))
        await place.keep_alive(40)
        assert not place.stream.remove("1")
    assert intake.events == []


async def test_an_account_may_leave_while_others_are_subscribed_for(place: Place) -> None:
    place.stream.add(SECOND, POST_KINDS)
    place.sender.answers = [subscribed("1")]
    place.sender.streams = [Alive(place.clock)]
    sending = place.sender.send

    async def leave_first(*args: Any, **more: Any) -> Response:
        place.stream.remove("2")
        return await sending(*args, **more)

    place.sender.send = leave_first  # type: ignore[method-assign]
    async with place.open():
        assert place.sender.answers == []
        assert place.sender.streams == []


async def test_an_account_may_leave_while_newcomers_are_taken_in(place: Place) -> None:
    third = Account(id="3", username="third")
    place.sender.answers = [subscribed("1")]
    place.sender.streams = [Alive(place.clock)]
    async with place.open():
        sending = place.sender.send

        async def leave_third(*args: Any, **more: Any) -> Response:
            place.stream.remove("3")
            return await sending(*args, **more)

        place.sender.send = leave_third  # type: ignore[method-assign]
        place.stream.add(SECOND, POST_KINDS)
        place.stream.add(third, POST_KINDS)
        place.sender.answers = [subscribed("2")]
        await place.keep_alive(20)
        assert place.sender.answers == []
