"""The filtered stream hears what matches the bot's rules; what it misses stands in the gap book."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from botkit.errors import Parked, RateLimited, StoreUnavailable, TransportError
from botkit.model.events import PostMatched
from botkit.model.sources import Rule
from botkit.protocol.api.ids import snowflake_at
from botkit.protocol.api.responses import Response
from botkit.sandbox.harness.clock import START
from botkit.sources.push.filtered import FilteredStream, gap_source
from botkit.sources.push.rules import StreamRules
from botkit.sources.rule_gaps import RuleGaps
from botkit.telemetry.times import rfc3339
from tests.unit.sources.fakes import FakeStream, page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from botkit.model.users import Account
    from botkit.ports import Store
    from botkit.protocol.rules.pricing import Charge
    from botkit.sandbox.harness.clock import VirtualClock
    from botkit.sources.gaps import Gaps
    from tests.unit.sources.fakes import FakeIntake, FakeSender, Reports

P = "botkit:greeter:"
CATS = Rule(value="cats", tag="c")
SAMPLE = Rule(value="cats sample:10", tag="s")
T = snowflake_at(START)


def listed(*rules: Rule) -> Response:
    rows = [{"id": f"r{rule.tag}", "value": rule.value, "tag": f"{P}{rule.tag}"} for rule in rules]
    return Response(status=200, data=rows)


def line(post_id: int, *rule_ids: str) -> bytes:
    value: dict[str, Any] = {
        "data": {"id": str(post_id), "text": "two cats", "author_id": "7"},
        "includes": {"users": [{"id": "7", "username": "ada", "name": "Ada"}]},
        "matching_rules": [{"id": rule_id, "tag": "x"} for rule_id in rule_ids],
    }
    return json.dumps(value).encode() + b"\r\n"


class Budget:
    """Allows hearing, until told otherwise, and remembers charges."""

    def __init__(self) -> None:
        self.spent_until: Any = None
        self.charges: list[Charge] = []

    async def may_hear(self, account_id: str) -> None:
        del account_id
        if self.spent_until is not None:
            raise Parked("budget", until=self.spent_until)

    def note(self, account_id: str, charge: Charge, *, app: str = "") -> None:
        del account_id, app
        self.charges.append(charge)


@pytest.fixture
def budget() -> Budget:
    return Budget()


@pytest.fixture
def listen(
    account: Account,
    store: Store,
    budget: Budget,
    ports: dict[str, Any],
    spawn: Callable[[Coroutine[Any, Any, None]], None],
) -> Callable[..., FilteredStream]:
    def start(*rules: Rule, backfill: timedelta | None = None) -> FilteredStream:
        stream = FilteredStream(
            "default",
            account,
            rules or (CATS,),
            kept=StreamRules(ports["sender"], rules or (CATS,), bot="greeter"),
            store=store,
            backfill=backfill,
            may_hear=budget.may_hear,
            on_connected=lambda: None,
            on_spend=budget.note,  # type: ignore[typeddict-item]  # a fake
            **ports,  # type: ignore[typeddict-item]  # fakes
        )
        spawn(stream.run())
        return stream

    return start


async def test_a_post_is_one_event_for_each_rule_of_the_bot_that_it_matched(
    listen: Callable[..., FilteredStream],
    sender: FakeSender,
    intake: FakeIntake,
    clock: VirtualClock,
    budget: Budget,
) -> None:
    sender.answers = [listed(CATS, SAMPLE)]
    sender.streams = [
        FakeStream(line(11, "rc", "rs", "theirs") + b"\r\n" + line(12, "theirs"), line(13, "rs"))
    ]
    stream = listen(CATS, SAMPLE)
    await clock.advance(1)
    assert stream.name == "filtered/default"
    keys = [event.key for event in intake.events]  # type: ignore[attr-defined]
    assert keys == ["match/11/0/c", "match/11/0/s", "match/13/0/s"]
    assert all(isinstance(event, PostMatched) for event in intake.events)
    posts = [charge.resources[0] for charge in budget.charges]
    assert posts == ["Posts: Read/11", "Posts: Read/12", "Posts: Read/13"]  # theirs is billed too
    assert {charge.each_usd for charge in budget.charges} == {Decimal("0.005")}


async def test_a_self_serve_stream_asks_for_no_backfill_and_an_enterprise_one_does(
    listen: Callable[..., FilteredStream], sender: FakeSender, clock: VirtualClock
) -> None:
    sender.answers = [listed(CATS), listed(CATS)]
    sender.streams = [FakeStream(), FakeStream()]
    listen()
    await clock.advance(1)
    listen(backfill=timedelta(minutes=5))
    await clock.advance(1)
    asked = [dict(call.query) for call in sender.calls if call.operation == "streamPosts"]
    assert [each.get("backfill_minutes") for each in asked] == [None, "5"]


async def test_how_far_was_heard_is_stored_once_a_minute_at_most(
    listen: Callable[..., FilteredStream], sender: FakeSender, store: Store, clock: VirtualClock
) -> None:
    class Alive(FakeStream):
        async def chunks(self) -> AsyncIterator[bytes]:
            for _ in range(8):
                await clock.sleep(20)
                yield b"\r\n"
            await asyncio.Event().wait()

    sender.answers = [listed(CATS)]
    sender.streams = [Alive()]
    listen()
    heard: list[float] = []
    for _ in range(8):
        await clock.advance(20)
        last = await store.progress.checkpoint("filtered", "1")
        assert last is not None
        assert last.read_to is not None
        heard.append((last.read_to - START + timedelta(minutes=5)).total_seconds())
    assert heard == [20, 20, 20, 80, 80, 80, 140, 140]


async def test_a_cut_opens_a_gap_for_each_rule_and_the_next_connect_bounds_it(
    listen: Callable[..., FilteredStream], sender: FakeSender, store: Store, clock: VirtualClock
) -> None:
    sender.answers = [listed(CATS, SAMPLE), listed(CATS, SAMPLE)]
    sender.streams = [FakeStream(line(T, "rc"), ends=True), FakeStream()]
    listen(CATS, SAMPLE)
    await clock.advance(20)
    gaps = await store.progress.gaps()
    assert {gap.source for gap in gaps} == {"filtered:c", "filtered:s"}
    for gap in gaps:
        assert gap.cause == "disconnected"
        assert gap.since == START - timedelta(minutes=5)
        assert gap.until is not None


async def test_the_time_without_a_bot_is_a_gap_of_the_rules_that_it_had(
    listen: Callable[..., FilteredStream], sender: FakeSender, store: Store, clock: VirtualClock
) -> None:
    sender.answers = [listed(CATS), listed(CATS, SAMPLE)]
    sender.streams = [FakeStream(b"\r\n", line(T, "rc"), b"\r\n"), FakeStream()]
    listen()
    await clock.advance(1)
    assert await store.progress.gaps() == []
    clock.set(START + timedelta(hours=2))
    listen(CATS, SAMPLE)
    await clock.advance(1)
    (gap,) = await store.progress.gaps()
    assert (gap.source, gap.cause) == ("filtered:c", "stopped")
    assert gap.since == START - timedelta(minutes=5)
    assert gap.until is not None
    assert gap.until >= START + timedelta(hours=2)


async def test_a_refused_rule_is_said_and_the_others_are_heard(
    listen: Callable[..., FilteredStream],
    sender: FakeSender,
    reports: Reports,
    clock: VirtualClock,
) -> None:
    error = {"value": SAMPLE.value, "title": "UnprocessableEntity"}
    sender.answers = [listed(CATS), Response(status=200, errors=(error,))]
    sender.streams = [FakeStream()]
    listen(CATS, SAMPLE)
    await clock.advance(1)
    said = [(state, detail) for part, state, detail in reports.said if part == "filtered/default"]
    assert said[-1] == ("partly", "1 of 2 rules; X refuses s: UnprocessableEntity")


async def test_an_announced_end_counts_and_what_came_before_it_is_kept(
    listen: Callable[..., FilteredStream],
    sender: FakeSender,
    intake: FakeIntake,
    clock: VirtualClock,
    reports: Reports,
) -> None:
    end = json.dumps({"errors": [{"title": "operational-disconnect"}]}).encode() + b"\r\n"
    sender.answers = [listed(CATS), listed(CATS)]
    sender.streams = [FakeStream(line(11, "rc") + b"{\r\n" + end + line(12, "rc")), FakeStream()]
    listen()
    await clock.advance(30)
    assert [event.key for event in intake.events] == ["match/11/0/c", "match/12/0/c"]  # type: ignore[attr-defined]
    assert any("operational-disconnect" in detail for _, _, detail in reports.said)


async def test_a_spent_budget_ends_the_stream_and_is_a_gap(
    listen: Callable[..., FilteredStream],
    sender: FakeSender,
    store: Store,
    clock: VirtualClock,
    budget: Budget,
) -> None:
    budget_ends = START + timedelta(hours=1)

    class Spends(FakeStream):
        async def chunks(self) -> AsyncIterator[bytes]:
            budget.spent_until = budget_ends
            yield line(T, "rc")
            await asyncio.Event().wait()

    sender.answers = [listed(CATS), listed(CATS)]
    sender.streams = [Spends(), FakeStream()]
    listen()
    await clock.advance(60)
    (gap,) = await store.progress.gaps()
    assert (gap.cause, gap.until) == ("budget", None)
    assert len([call for call in sender.calls if call.operation == "streamPosts"]) == 1
    budget.spent_until = None
    await clock.advance(timedelta(hours=1) - timedelta(seconds=50))
    (gap,) = await store.progress.gaps()
    assert gap.until == budget_ends


async def test_a_poke_ends_the_wait_for_a_person(
    listen: Callable[..., FilteredStream],
    sender: FakeSender,
    clock: VirtualClock,
    budget: Budget,
) -> None:
    budget.spent_until = START + timedelta(hours=9)
    sender.answers = [listed(CATS)]
    sender.streams = [FakeStream()]
    stream = listen()
    await clock.advance(1)
    budget.spent_until = None
    stream.poke()
    await clock.advance(1)
    assert sender.streams == []


@pytest.fixture
def fill(
    account: Account,
    ports: dict[str, Any],
    spawn: Callable[[Coroutine[Any, Any, None]], None],
) -> Callable[..., RuleGaps]:
    async def allow(account_id: str, usd: Decimal) -> None:
        assert account_id == "1"
        assert usd

    def start(*rules: Rule) -> RuleGaps:
        wanted = {name: port for name, port in ports.items() if name != "entropy"}
        filler = RuleGaps("default", account, rules, allow=allow, plan="self-serve", **wanted)
        spawn(filler.run())
        return filler

    return start


def a_gap(tag: str) -> Any:
    from botkit.model.hearing import GapRow

    return GapRow(
        source=gap_source(tag),
        account_id="1",
        since=START - timedelta(hours=2),
        until=START - timedelta(hours=1),
        cause="disconnected",
        reason="X closed the stream",
    )


async def test_recent_search_fills_the_gap_of_a_rule_with_its_matches(
    fill: Callable[..., RuleGaps],
    sender: FakeSender,
    intake: FakeIntake,
    gaps: Gaps,
    clock: VirtualClock,
) -> None:
    await gaps.open(a_gap("c"))
    post = {"id": str(T - (90 * 60_000 << 22)), "text": "cats", "author_id": "7"}
    sender.answers = [page(post)]
    filler = fill(CATS)
    await clock.advance(1)
    assert filler.name == "rule_gaps/default"
    (event,) = intake.events
    assert (event.tag, event.rule) == ("c", "cats")  # type: ignore[attr-defined]
    assert dict(sender.calls[0].query)["query"] == "cats"
    assert await gaps.of("1") == []


async def test_the_gap_of_a_rule_that_no_search_takes_stays_open_with_the_reason(
    fill: Callable[..., RuleGaps], sender: FakeSender, gaps: Gaps, clock: VirtualClock
) -> None:
    await gaps.open(a_gap("s"))
    fill(SAMPLE)
    await clock.advance(200)
    (gap,) = await gaps.of("1")
    assert gap.reason.count("recent search does not take the rule") == 1
    assert sender.calls == []


async def test_a_poke_fills_at_once(
    fill: Callable[..., RuleGaps], sender: FakeSender, gaps: Gaps, clock: VirtualClock
) -> None:
    filler = fill(CATS)
    await clock.advance(1)
    await gaps.open(a_gap("c"))
    sender.answers = [page()]
    filler.poke()
    await clock.advance(1)
    assert await gaps.of("1") == []


async def test_a_store_that_is_away_is_said_and_tried_again(
    fill: Callable[..., RuleGaps],
    sender: FakeSender,
    gaps: Gaps,
    clock: VirtualClock,
    reports: Reports,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    del sender

    async def away(account_id: str) -> list[Any]:
        raise StoreUnavailable(f"full for {account_id}")

    with monkeypatch.context() as patched:
        patched.setattr(gaps, "of", away)
        fill(CATS)
        await clock.advance(1)
    assert reports.said[-1][:2] == ("rule_gaps/default", "waiting")
    await clock.advance(61)
    assert reports.said[-1][:2] == ("rule_gaps/default", "live")


def taken(connected_at: str, name: str = "u1") -> Response:
    # Source: X's OpenAPI document, `getConnectionHistory`.
    row = {"id": name, "connected_at": connected_at, "client_ip": "203.0.113.7"}
    return Response(status=200, data=[row])


FULL = RateLimited("full", status=429, problem_type="streaming-connection")


async def test_an_own_dead_connection_that_has_the_place_is_closed_at_x_once(
    listen: Callable[..., FilteredStream], sender: FakeSender, clock: VirtualClock
) -> None:
    class Lasts(FakeStream):
        async def chunks(self) -> AsyncIterator[bytes]:
            await clock.sleep(15)
            yield b"\r\n"

    opened = rfc3339(START)
    sender.answers = [
        *(listed(CATS), listed(CATS), taken(opened), Response(status=200)),
        *(listed(CATS), taken(opened), listed(CATS)),
    ]
    sender.streams = [Lasts(ends=True), FULL, FULL, FakeStream()]
    listen()
    await clock.advance(25)
    closed = [call for call in sender.calls if call.method == "DELETE"]
    assert [json.loads(call.json or b"") for call in closed] == [{"uuids": ["u1"]}]
    assert len(sender.streams) == 1  # X still refuses: that is waited for as X's table says
    await clock.advance(70)
    assert sender.streams == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (taken("2026-01-01T10:00:00Z"), "203.0.113.7 since 2026-01-01T10:00:00Z has the app's"),
        (Response(status=200), "it is not known who"),
        (Response(status=200, data=[{"id": "u1"}]), "it is not known who"),
        (TransportError("down"), "it is not known who (down)"),
    ],
)
async def test_who_else_has_the_place_is_said_and_left_alone(
    listen: Callable[..., FilteredStream],
    sender: FakeSender,
    clock: VirtualClock,
    reports: Reports,
    answer: Response | TransportError,
    said: str,
) -> None:
    sender.answers = [listed(CATS), answer]
    sender.streams = [FULL]
    listen()
    await clock.advance(1)
    assert any(said in detail for _, state, detail in reports.said if state == "waiting")
    assert {call.method for call in sender.calls} == {"GET"}


async def test_another_429_asks_for_no_connections(
    listen: Callable[..., FilteredStream], sender: FakeSender, clock: VirtualClock
) -> None:
    sender.answers = [listed(CATS)]
    sender.streams = [RateLimited("slow down", status=429)]
    listen()
    await clock.advance(1)
    assert [call.operation for call in sender.calls] == ["getRules", "streamPosts"]
