"""Events get to handlers in order, in bounded slots, and every end is recorded."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from botkit.errors import (
    Conflict,
    Drop,
    Forbidden,
    LeaseLost,
    MissingScope,
    NotSummoned,
    OutcomeUnknown,
    Parked,
    RateLimited,
    Retry,
    ServerError,
    Skip,
    StoreUnavailable,
    TransportError,
)
from botkit.model.events import DirectMessage, Mention, PostSeen, Signal, Tick
from botkit.model.messages import Message
from botkit.model.records import EventState
from botkit.model.users import User
from botkit.ports import Actions
from botkit.sandbox.clock import VirtualClock
from tests.unit.runtime.fakes import ADA, BOT, FakeWiring, bench, mention, start, turns

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from botkit.ports import Scope
    from tests.unit.runtime.fakes import Bench

KEY = "post/100/0"


def wired(handler: Any, event_type: Any = Mention, **options: Any) -> FakeWiring:
    wiring = FakeWiring()
    wiring.on(event_type, handler, **options)
    return wiring


class Gate:
    """A handler that waits until it is let go, and remembers who is in it."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.order: list[str] = []
        self.opened: dict[str, asyncio.Event] = {}
        self.__name__ = "gate"

    async def __call__(self, event: Mention, scope: Scope) -> None:
        self.inside.append(event.id)
        self.order.append(event.id)
        try:
            await self.opened.setdefault(event.id, asyncio.Event()).wait()
        finally:
            self.inside.remove(event.id)

    def open(self, *ids: str) -> None:
        for one in ids:
            self.opened.setdefault(one, asyncio.Event()).set()


async def calm(bot: Bench) -> None:
    await bot.clock.at_rest()


async def test_an_event_is_handled_and_recorded_as_done(tmp_path: Path) -> None:
    seen: list[str] = []

    async def greet(event: Mention, scope: Scope) -> None:
        seen.append(event.text)

    async with bench(tmp_path, wired(greet)) as bot:
        await bot.handle(mention())
        rows = await bot.store.events.get(KEY)
    assert seen == ["@greeter hello"]
    assert (rows[0].state, rows[0].note) == (EventState.DONE, "greet")


async def test_the_same_event_twice_is_handled_once(tmp_path: Path) -> None:
    gate = Gate()
    gate.open("100")
    async with bench(tmp_path, wired(gate)) as bot:
        await bot.handle(mention())
        await bot.handle(mention(), mention())
    assert gate.order == ["100"]


async def test_one_lane_is_handled_in_order_and_others_beside_it(tmp_path: Path) -> None:
    gate = Gate()
    async with bench(tmp_path, wired(gate)) as bot:
        await bot.record(
            mention("1", conversation="a", second=1),
            mention("2", conversation="a", second=2),
            mention("3", conversation="b", second=3),
        )
        await calm(bot)
        assert gate.inside == ["1", "3"]
        gate.open("1")
        await calm(bot)
        assert gate.inside == ["3", "2"]
        gate.open("2", "3")
        await bot.idle()


async def test_no_more_handlers_run_at_once_than_there_are_slots(tmp_path: Path) -> None:
    gate = Gate()
    async with bench(tmp_path, wired(gate), slots=2) as bot:
        await bot.record(*(mention(str(n), second=n) for n in range(5)))
        await calm(bot)
        assert gate.inside == ["0", "1"]
        gate.open(*"01234")
        await bot.idle()
    assert gate.order == list("01234")


async def test_what_does_not_fit_into_memory_stays_in_the_store_and_is_handled_in_order(
    tmp_path: Path,
) -> None:
    gate = Gate()
    async with bench(tmp_path, wired(gate), capacity=4) as bot:
        for n in range(12):
            await bot.record(mention(str(n), conversation="one", second=n))
            assert bot.dispatcher.feeder.held <= 4
        gate.open(*(str(n) for n in range(12)))
        await bot.idle()
    assert gate.order == [str(n) for n in range(12)]


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

    async with bench(tmp_path, wired(first)) as bot:
        await bot.handle(mention())
        assert await bot.store.events.counts() == {
            "waiting": 0,
            "parked": 0,
            "dead": 0,
            "done": 1,
            "dropped": 0,
        }


async def test_own_posts_and_own_messages_are_not_answered(tmp_path: Path) -> None:
    gate = Gate()
    me = User(id=BOT, username="greeter", name="Greeter")
    wiring = wired(gate)
    wiring.on(DirectMessage, gate)
    own_message = DirectMessage(
        account_id=BOT,
        at=datetime.now(UTC),
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


async def test_a_handler_that_raises_is_tried_three_times_and_then_its_event_is_dead(
    tmp_path: Path,
) -> None:
    async def broken(event: Mention, scope: Scope) -> None:
        raise ValueError("hunter2 is wrong")

    async with bench(tmp_path, wired(broken)) as bot:
        await bot.handle(mention(), mention("101"))
        assert bot.outcomes == ["retry", "retry"]
        await bot.later(3)
        assert bot.outcomes == ["retry"] * 4
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
        await bot.handle(mention())
        await bot.later(3500)
        assert bot.outcomes == ["retry"]
        await bot.later(200)
        assert bot.outcomes == ["retry", "retry"]


async def test_a_failed_event_does_not_hold_its_lane(tmp_path: Path) -> None:
    order: list[str] = []

    async def fussy(event: Mention, scope: Scope) -> None:
        order.append(event.id)
        if event.id == "1" and order.count("1") == 1:
            raise Retry

    async with bench(tmp_path, wired(fussy)) as bot:
        await bot.handle(
            mention("1", conversation="a", second=1), mention("2", conversation="a", second=2)
        )
        assert order == ["1", "2"]
        await bot.later(5)
    assert order == ["1", "2", "1"]


async def test_a_drop_ends_the_event_with_its_reason(tmp_path: Path) -> None:
    async def rude(event: Mention, scope: Scope) -> None:
        raise Drop("spam")

    async with bench(tmp_path, wired(rude)) as bot:
        await bot.handle(mention())
        row = (await bot.store.events.get(KEY))[0]
    assert (row.state, row.note) == (EventState.DROPPED, "spam")


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


async def test_a_parked_event_frees_its_slot_and_runs_when_the_cause_is_gone(
    tmp_path: Path,
) -> None:
    logins: list[str] = []

    async def waits(event: Mention, scope: Scope) -> None:
        if not logins:
            raise Parked("login")

    async with bench(tmp_path, wired(waits), slots=1) as bot:
        await bot.handle(mention())
        row = (await bot.store.events.get(KEY))[0]
        assert (row.waiting_for, row.attempts) == ("login", 0)
        logins.append("back")
        await bot.store.events.unpark("login")
        bot.dispatcher.feeder.rescan()
        await bot.idle()
    assert bot.outcomes == ["parked", "done"]


async def test_a_parked_event_runs_again_at_its_time(tmp_path: Path) -> None:
    clock = VirtualClock()
    tries: list[float] = []

    async def waits(event: Mention, scope: Scope) -> None:
        tries.append(clock.monotonic())
        if len(tries) < 3:
            raise Parked("budget", until=clock.now() + timedelta(minutes=5))

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
        except BaseException:
            raise RuntimeError("oh") from None

    async with bench(tmp_path, wired(wraps)) as bot:
        bot.steps.answers.append(Parked("rate"))
        await bot.handle(mention())
    assert bot.outcomes == ["parked"]


@pytest.mark.parametrize(
    ("errors", "outcome"),
    [
        ([ValueError("x"), Parked("rate")], "parked"),
        ([ValueError("x"), NotSummoned("x")], "dead"),
        ([Retry(after=timedelta(days=1)), ValueError("x")], "retry"),
        ([ValueError("x")], "retry"),
        ([ExceptionGroup("inner", [Drop("spam")])], "dropped"),
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


async def test_a_handler_that_hangs_is_timed_out_and_tried_again(tmp_path: Path) -> None:
    async def hangs(event: Mention, scope: Scope) -> None:
        await asyncio.Event().wait()

    async with bench(tmp_path, wired(hangs, timeout_s=5.0)) as bot:
        await bot.record(mention())
        await bot.later(60)
        dead = await bot.store.events.dead()
    assert [one.reason for one in dead] == ["timeout"]
    assert bot.outcomes == ["retry", "retry", "dead"]


async def test_handlers_have_their_own_times(tmp_path: Path) -> None:
    clock = VirtualClock()
    ended: list[tuple[str, float]] = []

    async def hangs(event: Mention, scope: Scope) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append((event.id, clock.monotonic()))

    async def hurries(event: Tick, scope: Scope) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(("tick", clock.monotonic()))

    wiring = wired(hangs, timeout_s=30.0)
    wiring.on(Tick, hurries, timeout_s=2.0)
    async with bench(tmp_path, wiring, clock=clock) as bot:
        await bot.record(mention())
        await calm(bot)
        await bot.record(Tick(account_id=BOT, at=clock.now(), schedule="s"))
        await bot.later(31)
    assert ended[0] == ("tick", 2.0)
    assert ("100", 30.0) in ended


async def test_a_handler_without_a_time_may_take_for_ever(tmp_path: Path) -> None:
    gate = Gate()
    async with bench(tmp_path, wired(gate, timeout_s=None)) as bot:
        await bot.record(mention())
        await bot.later(10_000)
        assert gate.inside == ["100"]
        gate.open("100")
        await bot.idle()
    assert bot.outcomes == ["done"]


async def test_a_handler_that_ends_well_although_its_time_was_over_is_done(tmp_path: Path) -> None:
    async def stubborn(event: Mention, scope: Scope) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)

    async with bench(tmp_path, wired(stubborn, timeout_s=1.0), slots=1) as bot:
        await bot.record(mention())
        await bot.later(2)
        assert bot.outcomes == ["done"]
        await bot.record(mention("101"))
        await bot.later(2)
    assert bot.outcomes == ["done", "done"]


async def test_a_handler_that_swallows_its_cancellation_loses_its_slot(tmp_path: Path) -> None:
    release = asyncio.Event()
    acted: list[str] = []
    runs: list[str] = []

    async def deaf(event: Mention, scope: Scope) -> None:
        act = scope.resolve(Actions)
        runs.append(event.id)
        if len(runs) > 1:
            return
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        try:
            await act.post("too late")
        except Exception as error:
            acted.append(str(error))
            raise

    async with bench(tmp_path, wired(deaf, timeout_s=1.0), slots=1) as bot:
        await bot.record(mention())
        await bot.later(10)
        assert bot.outcomes == ["retry", "done"]
        stubborn = await bot.dispatcher.stop(0)
        release.set()
        await turns()
    assert stubborn == ["deaf"]
    assert "has ended" in acted[0]
    assert bot.steps.asked == []
    assert bot.outcomes == ["retry", "done"]


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), MemoryError()])
async def test_a_handler_that_wants_the_process_to_end_only_ends_its_event(
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


async def test_a_handler_that_cancels_itself_has_failed(tmp_path: Path) -> None:
    async def cancels(event: Mention, scope: Scope) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    async with bench(tmp_path, wired(cancels), slots=1) as bot:
        await bot.handle(mention(), mention("101"))
    assert bot.outcomes == ["retry", "retry"]


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
        whole = bot.store.events.finish
        faults: list[Exception] = [Conflict("moved"), Conflict("moved")]

        async def finish(*args: Any, **named: Any) -> None:
            if faults:
                raise faults.pop()
            await whole(*args, **named)

        monkeypatch.setattr(bot.store.events, "finish", finish)
        await bot.handle(mention())
        assert runs == ["100"] * 3
        faults += [Conflict("moved")] * 100
        await bot.handle(mention("101"))
    assert bot.outcomes == ["done", "done", "retry"]


async def test_nothing_is_lost_while_the_store_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []

    async def counts(event: Mention, scope: Scope) -> None:
        runs.append(event.id)
        if len(runs) == 1:
            raise StoreUnavailable("disk full")

    async with bench(tmp_path, wired(counts)) as bot:
        whole = bot.store.events.finish_many
        marks = bot.store.events.mark_running
        faults: list[Exception] = [StoreUnavailable("disk full")] * 3

        async def faulty_finish(*args: Any, **named: Any) -> None:
            if faults:
                raise faults.pop()
            await whole(*args, **named)

        async def faulty_marks(*args: Any, **named: Any) -> None:
            if len(faults) == 3:
                raise faults.pop()
            await marks(*args, **named)

        monkeypatch.setattr(bot.store.events, "finish_many", faulty_finish)
        monkeypatch.setattr(bot.store.events, "mark_running", faulty_marks)
        await bot.record(mention())
        await bot.later(30)
        row = (await bot.store.events.get(KEY))[0]
    assert runs == ["100", "100"]
    assert row.state is EventState.DONE
    assert bot.outcomes == ["done"]


async def test_a_worker_that_lost_the_lease_ends_the_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def greet(event: Mention, scope: Scope) -> None:
        raise LeaseLost("taken")

    with pytest.raises(LeaseLost):
        async with bench(tmp_path, wired(greet)) as bot:
            await bot.record(mention())
            await asyncio.Event().wait()
    assert bot.outcomes == []


async def test_an_event_that_cannot_be_read_is_a_dead_letter(tmp_path: Path) -> None:
    class Old(Signal, frozen=True, kw_only=True):
        pass

    async def emits(event: Mention, scope: Scope) -> None:
        await scope.resolve(Actions).emit(Old())

    async with bench(tmp_path, wired(emits)) as bot:
        await bot.handle(mention())
        dead = await bot.store.events.dead()
    assert [(one.kind, one.reason) for one in dead] == [("signal/Old", "undecodable")]


async def test_events_left_by_a_kill_are_handled_at_the_next_start(tmp_path: Path) -> None:
    gate = Gate()
    async with bench(tmp_path, wired(gate)) as bot:
        await bot.record(mention())
        await calm(bot)
        assert gate.inside == ["100"]
    gate.open("100")
    async with bench(tmp_path, wired(gate), started=False) as bot:
        left = await bot.store.events.count_unclean(fence=bot.lease.fence())
        assert [one.unclean for one in left] == [1]
        start(bot)
        await bot.idle()
    assert gate.order == ["100", "100"]
    assert bot.outcomes == ["done"]


async def test_an_event_that_took_the_process_down_twice_does_not_run_a_third_time(
    tmp_path: Path,
) -> None:
    gate = Gate()
    for _ in range(2):
        async with bench(tmp_path, wired(gate), started=False) as bot:
            await bot.store.events.count_unclean(fence=bot.lease.fence())
            start(bot)
            await bot.record(mention())
            await calm(bot)
    gate.open("101")
    async with bench(tmp_path, wired(gate), started=False) as bot:
        await bot.store.events.count_unclean(fence=bot.lease.fence())
        await bot.record(mention("101"))
        start(bot)
        await bot.idle()
        dead = await bot.store.events.dead()
    assert gate.order == ["100", "100", "101"]
    assert [(one.key, one.reason) for one in dead] == [(KEY, "crashed")]


async def test_stopping_lets_handlers_finish(tmp_path: Path) -> None:
    gate = Gate()
    async with bench(tmp_path, wired(gate)) as bot:
        await bot.record(mention("1", conversation="a"), mention("2", conversation="a", second=1))
        await calm(bot)
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(bot.dispatcher.stop(8))
            await turns()
            gate.open("1", "2")
        assert stopping.result() == []
        left = await bot.store.events.due(bot.clock.now())
    assert gate.order == ["1"]
    assert [one.key for one in left] == ["post/2/0"]


async def test_stopping_cancels_what_does_not_finish_and_its_event_runs_at_the_next_start(
    tmp_path: Path,
) -> None:
    gate = Gate()
    async with bench(tmp_path, wired(gate), slots=1) as bot:
        await bot.record(mention())
        await calm(bot)
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(bot.dispatcher.stop(8))
            await bot.clock.advance(9)
        assert stopping.result() == []
        assert bot.outcomes == []
        left = await bot.store.events.count_unclean(fence=bot.lease.fence())
        assert left == []
        due = await bot.store.events.due(bot.clock.now())
    assert [(one.key, one.unclean, one.attempts) for one in due] == [(KEY, 0, 0)]


async def test_stopping_does_not_wait_for_a_handler_that_swallows_its_cancellation(
    tmp_path: Path,
) -> None:
    release = asyncio.Event()

    async def deaf(event: Mention, scope: Scope) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async with bench(tmp_path, wired(deaf)) as bot:
        await bot.record(mention())
        await calm(bot)
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(bot.dispatcher.stop(8))
            await bot.clock.advance(10)
        assert stopping.result() == ["deaf"]
        release.set()
        await turns()


async def test_what_cannot_be_given_back_at_the_stop_is_said_and_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    async with bench(tmp_path, wired(gate)) as bot:
        await bot.record(mention())
        await calm(bot)

        async def park(*args: Any, **named: Any) -> None:
            raise StoreUnavailable("full")

        monkeypatch.setattr(bot.store.events, "park", park)
        assert await bot.dispatcher.stop(0) == []
        assert bot.outcomes == []


async def test_an_event_waits_for_its_author_and_keeps_its_place(tmp_path: Path) -> None:
    gate = Gate()
    gate.open("1", "2")
    nameless = User(id=ADA.id, username="", name="")
    async with bench(tmp_path, wired(gate)) as bot:
        await bot.handle(
            mention("1", conversation="a", author=nameless, missing=("author",), second=1),
            mention("2", conversation="a", second=2),
        )
    assert gate.order == ["1", "2"]
    assert bot.lookup.calls == [[ADA.id]]
    assert isinstance(bot.ended[0].event, Mention)
    assert bot.ended[0].event.author == ADA


async def test_reading_the_inbox_goes_on_after_the_store_was_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    gate.open("100")
    async with bench(tmp_path, wired(gate), started=False) as bot:
        whole = bot.store.events.due
        faults: list[Exception] = [StoreUnavailable("locked")]

        async def due(*args: Any, **named: Any) -> Any:
            if faults:
                raise faults.pop()
            return await whole(*args, **named)

        monkeypatch.setattr(bot.store.events, "due", due)
        await bot.record(mention())
        start(bot)
        await calm(bot)
        assert gate.order == []
        await bot.later(2)
    assert gate.order == ["100"]
