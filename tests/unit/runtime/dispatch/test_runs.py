"""What the end of a handler means, and that it is recorded."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from botkit.errors import (
    Conflict,
    Drop,
    Forbidden,
    MissingScope,
    NotSummoned,
    OptedOut,
    OutcomeUnknown,
    Parked,
    RateLimited,
    Retry,
    ServerError,
    Skip,
    TransportError,
)
from botkit.model.events import DirectMessage, Mention, PostSeen, Signal
from botkit.model.failures import Failure
from botkit.model.messages import Message
from botkit.model.records import EventState, RunDone
from botkit.model.users import User
from botkit.ports import Actions
from botkit.routing.middleware import HeldBy
from botkit.sandbox.harness.clock import VirtualClock
from tests.unit.runtime.fakes import (
    BOT,
    FakeWiring,
    Gate,
    as_botkits,
    bench,
    botkit_raises,
    mention,
    wired,
)

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from botkit.ports import Scope


KEY = "post/100/0"


async def test_an_event_is_handled_and_recorded_as_done(tmp_path: Path) -> None:
    seen: list[str] = []

    async def greet(event: Mention, scope: Scope) -> None:
        seen.append(event.text)

    async with bench(tmp_path, wired(greet)) as bot:
        await bot.handle(mention())
        rows = await bot.store.events.get(KEY)
    assert seen == ["@greeter hello"]
    assert (rows[0].state, rows[0].note) == (EventState.DONE, "greet")


async def test_an_event_without_a_handler_is_done_with_a_note(tmp_path: Path) -> None:
    async with bench(tmp_path, FakeWiring()) as bot:
        await bot.handle(mention())
        assert await bot.note(mention()) == "no handler"


async def test_skip_passes_the_event_to_the_next_handler(tmp_path: Path) -> None:
    async def first(event: Mention, scope: Scope) -> None:
        raise Skip

    async def second(event: Mention, scope: Scope) -> str:
        return "answered"

    wiring = wired(first)
    wiring.on(Mention, second)
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(mention())
        assert await bot.note(mention()) == "second"
    assert [ended.returned for ended in bot.ended] == ["answered"]


async def test_what_a_handler_emitted_before_it_skipped_is_not_sent(tmp_path: Path) -> None:
    class Ping(Signal, frozen=True, kw_only=True):
        pass

    async def first(event: Mention, scope: Scope) -> None:
        await scope.resolve(Actions).emit(Ping())
        raise Skip

    wiring = FakeWiring(Ping)
    wiring.on(Mention, first)
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(mention())
        assert await bot.store.events.counts() == {
            "waiting": 0,
            "parked": 0,
            "dead": 0,
            "done": 1,
            "dropped": 0,
            "late": 0,
        }


async def test_own_posts_and_own_messages_are_not_answered(tmp_path: Path) -> None:
    gate = Gate()
    me = User(id=BOT, username="greeter", name="Greeter")
    wiring = wired(gate)
    wiring.on(DirectMessage, gate)
    own_message = DirectMessage(
        account_id=BOT,
        at=datetime(2025, 12, 11, tzinfo=UTC),
        message=Message(id="5", conversation_id="7-42", text="hi", sender_id=BOT),
        sender=me,
    )
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(mention(author=me), own_message)
        assert await bot.note(mention()) == "own post"
        assert await bot.note(own_message) == "own post"
    assert gate.order == []


async def test_own_posts_that_speak_to_nobody_go_to_their_handlers(tmp_path: Path) -> None:
    seen: list[str] = []

    async def watch(event: PostSeen, scope: Scope) -> None:
        seen.append(event.id)

    own = mention()
    me = User(id=BOT, username="greeter", name="Greeter")
    post = PostSeen(account_id=BOT, at=own.at, post=own.post, author=me)
    async with bench(tmp_path, wired(watch, PostSeen)) as bot:
        await bot.handle(post)
    assert seen == ["100"]


async def test_fault_46_a_handler_that_raises_is_tried_three_times_and_then_its_event_is_dead(
    tmp_path: Path,
) -> None:
    async def broken(event: Mention, scope: Scope) -> None:
        raise ValueError("hunter2 is wrong")

    async with bench(tmp_path, wired(broken)) as bot:
        with capture_logs() as logs:
            await bot.handle(mention(), mention("101"))
        assert bot.outcomes == ["retry", "retry"]
        traces = [line["exception"] for line in logs if line["event"] == "handler.failed"]
        assert all("in broken" in trace and "hunter2" not in trace for trace in traces)
        assert await bot.note(mention()) == "ValueError: [redacted] is wrong"
        assert {one.note for one in bot.ended} == {"ValueError: [redacted] is wrong"}
        assert len(traces) == 2
        with capture_logs() as logs:
            await bot.later(3)
        assert bot.outcomes == ["retry"] * 4
        assert not any("exception" in line for line in logs)
        await bot.later(20)
        dead = await bot.store.events.dead()
    assert bot.outcomes == ["retry"] * 4 + ["dead"] * 2
    letter = next(one for one in dead if one.key == KEY)
    assert (letter.reason, letter.handler, letter.attempts) == ("failed", "broken", 3)
    assert letter.error == "ValueError: [redacted] is wrong"
    assert "in broken" in letter.trace
    assert "hunter2" not in letter.trace


async def test_a_try_again_waits_as_long_as_the_handler_says(tmp_path: Path) -> None:
    async def busy(event: Mention, scope: Scope) -> None:
        raise Retry(after=timedelta(hours=1))

    async with bench(tmp_path, wired(busy)) as bot:
        with capture_logs() as logs:
            await bot.handle(mention())
        assert not any("exception" in line for line in logs)
        await bot.later(3500)
        assert bot.outcomes == ["retry"]
        await bot.later(200)
        assert bot.outcomes == ["retry", "retry"]


async def test_a_drop_ends_the_event_with_its_reason(tmp_path: Path) -> None:
    async def rude(event: Mention, scope: Scope) -> None:
        raise Drop("spam")

    async with bench(tmp_path, wired(rude)) as bot:
        await bot.handle(mention())
        row = (await bot.store.events.get(KEY))[0]
    assert (row.state, row.note) == (EventState.DROPPED, "spam")


async def test_a_signal_for_a_user_who_has_opted_out_since_is_dropped(tmp_path: Path) -> None:
    class Ping(Signal, frozen=True, kw_only=True):
        pass

    async def emits(event: Mention, scope: Scope) -> None:
        await scope.resolve(Actions).emit(Ping())

    async def answers(event: Ping, scope: Scope) -> None:
        botkit_raises(OptedOut("no"))

    wiring = FakeWiring(Ping)
    wiring.on(Mention, emits)
    wiring.on(Ping, answers)
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(mention())
        rows = await bot.store.events.listing()
    assert [(row.state, row.note) for row in rows if row.key != KEY] == [
        (EventState.DROPPED, "opted out")
    ]


@pytest.mark.parametrize(
    "error",
    [
        NotSummoned("not asked"),
        MissingScope(operation="createPosts", have=(), need=("tweet.write",), cure="setup"),
        Forbidden("no", status=403),
    ],
)
async def test_a_final_no_goes_to_the_dead_letters_at_once(
    tmp_path: Path, error: Exception
) -> None:
    async def refused(event: Mention, scope: Scope) -> None:
        raise error

    async with bench(tmp_path, wired(refused)) as bot:
        await bot.handle(mention())
        dead = await bot.store.events.dead()
    assert [(one.reason, one.attempts) for one in dead] == [("refused", 1)]


async def test_a_fault_of_x_that_may_pass_is_tried_again(tmp_path: Path) -> None:
    async def unlucky(event: Mention, scope: Scope) -> None:
        raise ServerError("busy", status=503)

    async with bench(tmp_path, wired(unlucky)) as bot:
        await bot.handle(mention())
    assert bot.outcomes == ["retry"]


async def test_a_parked_event_runs_again_at_its_time(tmp_path: Path) -> None:
    clock = VirtualClock()
    tries: list[float] = []

    async def waits(event: Mention, scope: Scope) -> None:
        tries.append(clock.monotonic())
        if len(tries) < 3:
            botkit_raises(Parked("budget", until=clock.now() + timedelta(minutes=5)))

    async with bench(tmp_path, wired(waits), clock=clock) as bot:
        await bot.handle(mention())
        await bot.later(700)
    assert tries == [0, 300, 600]


@pytest.mark.parametrize(
    ("error", "cause", "wait_s"),
    [
        (TransportError("no way"), "network", 38),
        (RateLimited("slow", status=429), "rate", 60),
    ],
)
async def test_not_now_is_no_failure_of_the_handler_that_let_it_through(
    tmp_path: Path, error: Exception, cause: str, wait_s: float
) -> None:
    async def asks(event: Mention, scope: Scope) -> None:
        raise error

    async with bench(tmp_path, wired(asks)) as bot:
        await bot.handle(mention())
        row = (await bot.store.events.get(KEY))[0]
        assert (row.waiting_for, row.attempts) == (cause, 0)
        for _ in range(4):
            await bot.later(wait_s)
        assert (await bot.store.events.get(KEY))[0].attempts == 0
    assert len(bot.outcomes) > 3
    assert set(bot.outcomes) == {"parked"}


async def test_a_rate_limit_is_waited_for_as_long_as_x_says(tmp_path: Path) -> None:
    async def asks(event: Mention, scope: Scope) -> None:
        error = RateLimited("slow", status=429)
        error.retry_at = bot.clock.now() + timedelta(minutes=10)
        raise error

    async with bench(tmp_path, wired(asks)) as bot:
        await bot.handle(mention())
        await bot.later(590)
        assert bot.outcomes == ["parked"]
        await bot.later(11)
    assert bot.outcomes == ["parked", "parked"]


async def test_a_wait_until_a_time_that_has_passed_is_over_at_once(tmp_path: Path) -> None:
    # X's clock may be ahead of ours, and a machine may have slept.
    seen: list[str] = []

    async def asks(event: Mention, scope: Scope) -> None:
        await scope.resolve(Actions).post("a")
        seen.append(event.id)

    async with bench(tmp_path, wired(asks)) as bot:
        bot.steps.answers.append(Parked("rate", until=bot.clock.now() - timedelta(hours=1)))
        await bot.handle(mention())
        await bot.later(1)
    assert (bot.outcomes, seen) == (["parked", "done"], ["100"])


async def test_an_outcome_that_nobody_knows_is_a_failure(tmp_path: Path) -> None:
    async def asks(event: Mention, scope: Scope) -> None:
        raise OutcomeUnknown("lost")

    async with bench(tmp_path, wired(asks)) as bot:
        await bot.handle(mention())
    assert bot.outcomes == ["retry"]


async def test_a_wait_that_the_handler_swallowed_still_parks_its_event(tmp_path: Path) -> None:
    async def greedy(event: Mention, scope: Scope) -> None:
        act = scope.resolve(Actions)
        await asyncio.gather(act.post("a"), return_exceptions=True)

    async with bench(tmp_path, wired(greedy)) as bot:
        bot.steps.answers.append(Parked("rate"))
        await bot.handle(mention())
    assert [(one.outcome, one.note) for one in bot.ended] == [("parked", "rate")]


async def test_a_wait_beats_the_error_that_the_handler_made_of_it(tmp_path: Path) -> None:
    async def wraps(event: Mention, scope: Scope) -> None:
        try:
            await scope.resolve(Actions).post("a")
        except BaseException:  # noqa: BLE001 - an author may do even that
            raise RuntimeError("oh") from None

    async with bench(tmp_path, wired(wraps)) as bot:
        bot.steps.answers.append(Parked("rate"))
        await bot.handle(mention())
    assert bot.outcomes == ["parked"]


@pytest.mark.parametrize(
    ("errors", "outcome"),
    [
        ([ValueError("x"), as_botkits(Parked("rate"))], "parked"),
        ([ValueError("x"), NotSummoned("x")], "dead"),
        ([Retry(after=timedelta(days=1)), ValueError("x")], "retry"),
        ([ValueError("x")], "retry"),
        ([ExceptionGroup("inner", [Drop("spam")])], "dropped"),
        ([Drop("spam"), as_botkits(Parked("rate"))], "parked"),
        ([NotSummoned("x"), Drop("spam")], "dropped"),
        ([Retry(after=timedelta(days=1)), NotSummoned("x")], "dead"),
        ([TransportError("x"), NotSummoned("x")], "dead"),
    ],
)
async def test_a_group_of_errors_means_its_weightiest_one(
    tmp_path: Path, errors: list[BaseException], outcome: str
) -> None:
    async def grouped(event: Mention, scope: Scope) -> None:
        raise BaseExceptionGroup("several", errors)

    async with bench(tmp_path, wired(grouped)) as bot:
        await bot.handle(mention())
    assert bot.outcomes == [outcome]


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), MemoryError()])
async def test_fault_68_a_handler_that_wants_the_process_to_end_only_ends_its_event(
    tmp_path: Path, error: BaseException
) -> None:
    async def exits(event: Mention, scope: Scope) -> None:
        raise error

    async with bench(tmp_path, wired(exits)) as bot:
        await bot.handle(mention())
        await bot.later(60)
        dead = await bot.store.events.dead()
    reason = "failed" if isinstance(error, Exception) else "crashed"
    assert [(one.reason, one.attempts) for one in dead] == [(reason, 3)]


async def test_state_that_moved_on_makes_the_event_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ping(Signal, frozen=True, kw_only=True):
        pass

    runs: list[str] = []

    async def counts(event: Mention, scope: Scope) -> None:
        runs.append(event.id)
        await scope.resolve(Actions).emit(Ping())

    wiring = FakeWiring(Ping)
    wiring.on(Mention, counts)
    async with bench(tmp_path, wiring) as bot:
        whole = bot.store.events.settle
        faults: list[Exception] = [Conflict("moved"), Conflict("moved")]

        async def settle(*args: Any, **named: Any) -> None:
            if faults and isinstance(args[0][0], RunDone):
                raise faults.pop()
            await whole(*args, **named)

        monkeypatch.setattr(bot.store.events, "settle", settle)
        await bot.handle(mention())
        assert runs == ["100"] * 3
        faults += [Conflict("moved")] * 100
        await bot.handle(mention("101"))
        assert bot.outcomes == ["done", "done", "parked"]
        (row,) = await bot.store.events.get("post/101/0")
        assert row.waiting_for == "state"
        faults.clear()
        await bot.later(10)
        (row,) = await bot.store.events.get("post/101/0")
    assert (row.state, row.attempts) == (EventState.DONE, 0)


async def test_an_event_that_cannot_be_read_is_a_dead_letter(tmp_path: Path) -> None:
    class Old(Signal, frozen=True, kw_only=True):
        pass

    async def emits(event: Mention, scope: Scope) -> None:
        await scope.resolve(Actions).emit(Old())

    wiring = FakeWiring(Old)
    wiring.on(Mention, emits)
    async with bench(tmp_path, wiring) as bot:
        await bot.record(mention())
        wiring.signals = {}
        await bot.idle()
        dead = await bot.store.events.dead()
    assert [(one.kind, one.reason) for one in dead] == [("signal/Old", "undecodable")]


async def test_nobody_has_to_watch(tmp_path: Path) -> None:
    async def greet(event: Mention, scope: Scope) -> None:
        del scope
        if event.id == "101":
            raise Drop("not for me")

    async with bench(tmp_path, wired(greet), on_ended=None) as bot:
        await bot.handle(mention(), mention("101"))
        assert await bot.note(mention()) == "greet"
        assert await bot.note(mention("101")) == "not for me"
    assert bot.ended == []


async def test_an_action_that_was_not_awaited_fails_the_event(tmp_path: Path) -> None:
    async def forgets(event: Mention, scope: Scope) -> None:
        scope.resolve(Actions).reply(event, "Hello!")

    async with bench(tmp_path, wired(forgets)) as bot:
        await bot.record(mention())
        await bot.later(60)
        (dead,) = await bot.store.events.dead()
    assert dead.error.startswith("StateError: forgets called act.reply(...) without `await`")
    assert "test_runs.py:" in dead.error
    assert bot.steps.asked == []


async def test_an_event_that_a_middleware_kept_says_so(tmp_path: Path) -> None:
    async def kept(event: Mention, scope: Scope) -> None:
        scope.resolve(HeldBy).append("limit")

    async with bench(tmp_path, wired(kept)) as bot:
        with capture_logs() as logs:
            await bot.handle(mention())
        assert await bot.note(mention()) == "held back by limit"
    assert [(line["handler"], line["middleware"]) for line in logs if "middleware" in line] == [
        ("kept", "limit")
    ]


async def test_authors_are_told_of_each_failed_try_and_whether_there_is_another(
    tmp_path: Path,
) -> None:
    told: list[Failure] = []

    async def fails(event: Mention, scope: Scope) -> None:
        raise ValueError("broken")

    async def report(resolve: Any, failure: Failure) -> None:
        assert resolve(str) == BOT
        told.append(failure)

    wiring = wired(fails)
    wiring.error_hooks = (report,)
    async with bench(tmp_path, wiring) as bot:
        await bot.record(mention())
        await bot.later(60)
    assert [(each.attempt, each.will_retry, each.reason) for each in told] == [
        (1, True, ""),
        (2, True, ""),
        (3, False, "failed"),
    ]
    assert {(each.key, each.account_id, each.handler) for each in told} == {(KEY, BOT, "fails")}
    assert isinstance(told[0].error, ValueError)
    assert told[0].event == mention()


async def test_a_function_that_is_told_changes_nothing_whatever_it_does(tmp_path: Path) -> None:
    told: list[str] = []

    async def fails(event: Mention, scope: Scope) -> None:
        raise NotSummoned("no")

    async def raises(resolve: Any, failure: Failure) -> None:
        raise ZeroDivisionError("hunter2")

    async def hangs(resolve: Any, failure: Failure) -> None:
        await asyncio.Event().wait()

    async def hears(resolve: Any, failure: Failure) -> None:
        told.append(failure.reason)

    wiring = wired(fails)
    wiring.error_hooks = (raises, hangs, hears)
    with capture_logs() as logs:
        async with bench(tmp_path, wiring) as bot:
            await bot.record(mention())
            await bot.later(30)
            assert [one.reason for one in await bot.store.events.dead()] == ["refused"]
    assert told == ["refused"]
    assert [line["why"] for line in logs if line["event"] == "error_hook.failed"] == [
        "ZeroDivisionError: [redacted]",
        "TimeoutError: ",
    ]
