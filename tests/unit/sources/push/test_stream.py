"""The activity stream commits what it hears, and comes back by X's table."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from botkit.errors import (
    BotkitError,
    Forbidden,
    MalformedAnswer,
    Parked,
    RateLimited,
    ServerError,
    TransportError,
    Unauthorized,
)
from botkit.model.events import Mention
from botkit.model.users import Account
from botkit.protocol.api.ids import snowflake_at
from botkit.protocol.api.responses import Response
from botkit.protocol.rules.pricing import Charge
from botkit.sandbox.harness.clock import START
from botkit.sources.push.stream import ActivityStream
from botkit.sources.push.subscriptions import POST_KINDS, Subscriptions
from botkit.sources.reporting import words_of
from tests.unit.sources.fakes import FakeStream, mention

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from botkit.ports import Store
    from botkit.sandbox.harness.clock import SeededEntropy, VirtualClock
    from botkit.sources.gaps import Gaps
    from tests.unit.sources.fakes import FakeIntake, FakeSender, Reports, Spawn


def line(post_id: int, *, account: str = "1") -> bytes:
    envelope: dict[str, Any] = {
        "data": {
            "event_uuid": str(post_id),
            "filter": {"user_id": account},
            "event_type": "post.mention.create",
            "tag": "botkit:greeter:post.mention.create",
            "payload": mention(post_id),
            "includes": {"users": [{"id": "7", "username": "ada", "name": "Ada"}]},
        }
    }
    return json.dumps(envelope).encode() + b"\r\n"


def subscribed(*kinds: str) -> Response:
    rows = [
        {"subscription_id": str(n), "event_type": kind, "filter": {"user_id": "1"}, "tag": "x"}
        for n, kind in enumerate((*kinds, "oauth.revoke"))
    ]
    return Response(status=200, data=rows)


@pytest.fixture
def listen(
    account: Account,
    sender: FakeSender,
    clock: VirtualClock,
    ports: dict[str, Any],
    spawn: Spawn,
) -> Callable[[], list[float]]:
    connected: list[float] = []

    def start() -> list[float]:
        stream = ActivityStream(
            "default",
            [account],
            kinds={"1": POST_KINDS},
            subscriptions=Subscriptions(sender, prefix="botkit:greeter:"),
            on_connected=lambda: connected.append(clock.monotonic()),
            **ports,
        )
        assert stream.name == "activity/default"
        spawn(stream.run())
        return connected

    return start


async def test_fault_33_what_comes_is_recorded_wherever_the_network_cut_it(
    listen: Callable[[], list[float]], sender: FakeSender, intake: FakeIntake, clock: VirtualClock
) -> None:
    both = line(11) + b"\r\n" + line(12)
    sender.answers = [subscribed(*POST_KINDS)]
    sender.streams = [FakeStream(both[:100], both[100:])]
    listen()
    await clock.advance(1)
    assert [event.key for event in intake.events] == ["post/11/0", "post/12/0"]  # type: ignore[attr-defined]


async def test_fault_31_silence_beyond_the_keep_alive_is_a_dead_connection(
    listen: Callable[[], list[float]],
    sender: FakeSender,
    clock: VirtualClock,
    reports: Reports,
) -> None:
    sender.answers = [subscribed(*POST_KINDS), subscribed(*POST_KINDS)]
    sender.streams = [FakeStream(b"\r\n"), FakeStream(line(11))]
    connected = listen()
    await clock.advance(29)
    assert len(connected) == 1
    await clock.advance(1.1)
    assert any(state == "waiting" and "30 s" in why for _, state, why in reports.said)
    assert reports.codes["activity/default"] == "4"
    await clock.advance(4.9)
    assert len(connected) == 2


async def test_fault_32_a_stream_that_brings_only_keep_alives_stays_open_and_is_live(
    listen: Callable[[], list[float]], sender: FakeSender, clock: VirtualClock, reports: Reports
) -> None:
    class Quiet(FakeStream):
        async def chunks(self) -> AsyncIterator[bytes]:
            while True:
                yield b"\r\n"
                await clock.sleep(20)

    sender.answers = [subscribed(*POST_KINDS)]
    sender.streams = [Quiet()]
    connected = listen()
    await clock.advance(3600)
    assert len(connected) == 1
    assert {state for part, state, _ in reports.said if part == "activity/default"} == {"live"}


async def test_fault_34_half_a_line_before_a_cut_is_dropped_and_its_time_is_a_gap(
    listen: Callable[[], list[float]],
    sender: FakeSender,
    intake: FakeIntake,
    clock: VirtualClock,
    store: Store,
) -> None:
    sender.answers = [subscribed(*POST_KINDS), subscribed(*POST_KINDS)]
    sender.streams = [FakeStream(line(11), line(12)[:50], ends=True), FakeStream(line(13))]
    connected = listen()
    await clock.advance(5)
    assert len(connected) == 2
    assert [event.key for event in intake.events] == ["post/11/0", "post/13/0"]  # type: ignore[attr-defined]
    (gap,) = await store.progress.gaps()
    assert (gap.source, gap.state) == ("activity", "open")


async def test_fault_37_a_stream_that_x_has_no_place_for_waits_and_closes_no_other(
    listen: Callable[[], list[float]], sender: FakeSender, clock: VirtualClock
) -> None:
    # Source: X API docs, "Handling disconnections": ConnectionException, TooManyConnections.
    full = RateLimited("full", status=429, detail="TooManyConnections")
    sender.answers = [subscribed(*POST_KINDS)] * 3
    sender.streams = [full, full, FakeStream()]
    connected = listen()
    await clock.advance(59)
    assert connected == []
    await clock.advance(60 + 120 + 20)
    assert len(connected) == 1
    assert {request.method for request in sender.calls} == {"GET"}


async def test_what_a_cut_may_have_cost_has_bounds_by_the_time_of_events(
    listen: Callable[[], list[float]], sender: FakeSender, clock: VirtualClock, store: Store
) -> None:
    sender.answers = [subscribed(*POST_KINDS) for _ in range(3)]
    last = snowflake_at(START - timedelta(minutes=2))  # it came late
    sender.streams = [FakeStream(line(last), ends=True), TransportError("down"), FakeStream()]
    connected = listen()
    await clock.advance(0.1)
    (growing,) = await store.progress.gaps()
    assert growing.since == START - timedelta(minutes=7)  # X may deliver events 5 min late
    assert (growing.until, growing.state, growing.cause) == (None, "open", "disconnected")
    await clock.advance(20)
    assert len(connected) == 2
    (ended,) = await store.progress.gaps()
    assert ended.state == "open"  # until a poll has read past it
    assert ended.until == START + timedelta(seconds=connected[1])
    assert ended.since == growing.since


async def test_a_keep_alive_that_was_waited_for_is_a_sign_of_life_and_one_from_a_buffer_is_not(
    listen: Callable[[], list[float]], sender: FakeSender, clock: VirtualClock, store: Store
) -> None:
    class Slow(FakeStream):
        async def chunks(self) -> AsyncIterator[bytes]:
            await clock.sleep(20)
            yield b"\r\n"
            await clock.sleep(20)
            yield line(snowflake_at(START + timedelta(seconds=38)))
            yield b"\r\n"

    sender.answers = [subscribed(*POST_KINDS) for _ in range(3)]
    sender.streams = [Slow(), FakeStream()]
    listen()
    await clock.advance(60)
    (gap,) = await store.progress.gaps()
    assert gap.since == START + timedelta(seconds=38) - timedelta(minutes=5)


async def test_a_gap_begins_at_the_last_keep_alive_of_a_stream_that_brought_nothing(
    listen: Callable[[], list[float]], sender: FakeSender, clock: VirtualClock, store: Store
) -> None:
    class Quiet(FakeStream):
        async def chunks(self) -> AsyncIterator[bytes]:
            await clock.sleep(20)
            yield b"\r\n"
            await clock.sleep(9)

    sender.answers = [subscribed(*POST_KINDS) for _ in range(3)]
    sender.streams = [Quiet(), FakeStream()]
    listen()
    await clock.advance(40)
    (gap,) = await store.progress.gaps()
    assert gap.since == START + timedelta(seconds=20) - timedelta(minutes=5)


async def test_a_stream_that_is_cut_again_and_again_leaves_one_gap_an_account(
    sender: FakeSender,
    intake: FakeIntake,
    store: Store,
    clock: VirtualClock,
    entropy: SeededEntropy,
    reports: Reports,
    gaps: Gaps,
) -> None:
    accounts = [Account(id=str(number), username=f"u{number}") for number in range(1, 151)]
    stream = ActivityStream(
        "default",
        accounts,
        kinds={account.id: POST_KINDS for account in accounts},
        subscriptions=Subscriptions(sender, prefix="botkit:greeter:"),
        sender=sender,
        intake=intake,
        clock=clock,
        entropy=entropy,
        report=reports,
        gaps=gaps,
        late=timedelta(minutes=5),
        on_connected=lambda: None,
    )
    everyone = [account.id for account in accounts]
    for _ in range(3):
        await stream._open_gaps("down")
        await gaps.heard_again(everyone, source="activity", now=clock.now())
    rows = await store.progress.gaps(limit=1000)
    assert [row.until for row in rows] == [clock.now()] * 150


async def test_fault_71_the_store_is_waited_for_and_nothing_read_is_lost(
    listen: Callable[[], list[float]], sender: FakeSender, intake: FakeIntake, clock: VirtualClock
) -> None:
    intake.failures = 3
    sender.answers = [subscribed(*POST_KINDS)]
    sender.streams = [FakeStream(line(11))]
    listen()
    await clock.advance(5)
    assert len(intake.events) == 1


async def test_a_line_for_another_account_or_no_json_is_left_out(
    listen: Callable[[], list[float]], sender: FakeSender, intake: FakeIntake, clock: VirtualClock
) -> None:
    sender.answers = [subscribed(*POST_KINDS)]
    sender.streams = [FakeStream(line(10, account="99") + b"{nonsense\r\n" + line(11))]
    listen()
    await clock.advance(1)
    assert len(intake.events) == 1


async def test_fault_36_an_error_in_the_stream_ends_it_after_what_came_before(
    listen: Callable[[], list[float]], sender: FakeSender, intake: FakeIntake, clock: VirtualClock
) -> None:
    error = {"title": "operational-disconnect", "disconnect_type": "UpstreamOperationalDisconnect"}
    end = json.dumps({"errors": [error]}).encode() + b"\r\n"
    sender.answers = [subscribed(*POST_KINDS), subscribed(*POST_KINDS)]
    sender.streams = [FakeStream(line(11) + end), FakeStream()]
    connected = listen()
    await clock.advance(2)
    assert len(intake.events) == 1
    assert len(connected) == 2


async def test_fault_39_connections_that_never_work_back_off(
    listen: Callable[[], list[float]], sender: FakeSender, clock: VirtualClock
) -> None:
    sender.answers = [subscribed(*POST_KINDS) for _ in range(200)]
    sender.streams = [FakeStream(ends=True) for _ in range(200)]
    connected = listen()
    await clock.advance(60)
    assert 10 <= len(connected) <= 25


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_is_looked_at_again_soon_and_never_hammered(
    status: int, listen: Callable[[], list[float]], sender: FakeSender, clock: VirtualClock
) -> None:
    kind = Unauthorized if status == 401 else Forbidden
    sender.answers = [subscribed(*POST_KINDS)] * 40
    sender.streams = [kind("no", status=status, detail="no")] * 40
    connected = listen()
    await clock.advance(600)
    assert connected == []
    assert 9 <= 40 - len(sender.streams) <= 18
    sender.streams = [FakeStream()]  # the cure
    await clock.advance(76)
    assert len(connected) == 1


async def test_after_a_connect_a_refusal_waits_as_the_first_one_did(
    listen: Callable[[], list[float]], sender: FakeSender, clock: VirtualClock
) -> None:
    refused = Unauthorized("no", status=401, detail="no")
    sender.answers = [subscribed(*POST_KINDS)] * 40
    sender.streams = [*[refused] * 5, FakeStream(ends=True), refused, FakeStream()]
    connected = listen()
    await clock.advance(260)
    assert len(connected) == 2
    assert connected[1] - connected[0] < 8


@pytest.mark.parametrize("problem", [Parked("login")])
async def test_what_a_person_must_mend_is_not_hammered(
    problem: Parked,
    listen: Callable[[], list[float]],
    sender: FakeSender,
    clock: VirtualClock,
    reports: Reports,
) -> None:
    sender.answers = [problem, subscribed(*POST_KINDS)]
    sender.streams = [FakeStream()]
    connected = listen()
    await clock.advance(200)
    assert connected == []
    assert ("activity/default", "waiting", words_of(problem)) in reports.said
    assert reports.codes["activity/default"] in {"1", "2"}
    await clock.advance(250)
    assert len(connected) == 1


async def test_a_failed_connect_is_tried_again_soon(
    listen: Callable[[], list[float]], sender: FakeSender, clock: VirtualClock
) -> None:
    sender.answers = [subscribed(*POST_KINDS), subscribed(*POST_KINDS)]
    sender.streams = [TransportError("refused"), FakeStream()]
    connected = listen()
    await clock.advance(1)
    assert len(connected) == 1


@pytest.mark.parametrize(
    ("problem", "wait_s"),
    [
        (ServerError("no", status=503), 5),
        (MalformedAnswer("no", status=200), 5),
        (RateLimited("no", status=429), 60),
    ],
)
async def test_an_error_of_xs_is_waited_for_and_twice_as_long_the_next_time(
    problem: BotkitError,
    wait_s: int,
    listen: Callable[[], list[float]],
    sender: FakeSender,
    clock: VirtualClock,
) -> None:
    # Source: X API docs, "Filtered stream", reconnecting: HTTP errors.
    sender.answers = [subscribed(*POST_KINDS)] * 3
    sender.streams = [problem, problem, FakeStream()]
    listen()
    opened = []
    for _ in range(50):
        opened.append(3 - len(sender.streams))
        await clock.advance(wait_s / 10)
    first, second = opened.index(2), opened.index(3)
    assert 10 <= first <= 14
    assert 20 <= second - first <= 26


async def test_fault_35_a_line_over_the_limit_is_skipped_and_the_next_is_heard(
    listen: Callable[[], list[float]], sender: FakeSender, intake: FakeIntake, clock: VirtualClock
) -> None:
    sender.answers = [subscribed(*POST_KINDS)]
    sender.streams = [FakeStream(b"x" * 2_000_000 + b"\r\n", line(11))]
    listen()
    await clock.advance(1)
    assert len(intake.events) == 1


async def test_what_x_charges_for_each_delivery_is_told_by_its_resource(
    account: Account,
    sender: FakeSender,
    intake: FakeIntake,
    clock: VirtualClock,
    entropy: SeededEntropy,
    reports: Reports,
    gaps: Gaps,
) -> None:
    told: list[tuple[str, Charge, str]] = []

    def note(account_id: str, charge: Charge, /, *, app: str) -> None:
        told.append((account_id, charge, app))

    stream = ActivityStream(
        "default",
        [account],
        kinds={"1": POST_KINDS},
        subscriptions=Subscriptions(sender, prefix="botkit:greeter:"),
        sender=sender,
        intake=intake,
        clock=clock,
        entropy=entropy,
        report=reports,
        gaps=gaps,
        late=timedelta(minutes=5),
        on_connected=lambda: None,
        on_spend=note,
    )
    sender.answers = [subscribed(*POST_KINDS)]
    sender.streams = [FakeStream(line(11) + line(12), line(12))]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(stream.run())
        await clock.advance(1)
        task.cancel()
    charges = [
        Charge(each_usd=Decimal("0.005"), resources=(f"Posts: Read/{post_id}",))
        for post_id in ("11", "12", "12")
    ]
    assert told == [("1", charge, "default") for charge in charges]


async def test_an_event_that_names_no_account_is_of_the_only_one(
    listen: Callable[[], list[float]], sender: FakeSender, intake: FakeIntake, clock: VirtualClock
) -> None:
    nameless = json.loads(line(11))
    del nameless["data"]["filter"]
    sender.answers = [subscribed(*POST_KINDS)]
    sender.streams = [FakeStream(json.dumps(nameless).encode() + b"\r\n")]
    listen()
    await clock.advance(1)
    (event,) = intake.events
    assert isinstance(event, Mention)
    assert event.account_id == "1"
