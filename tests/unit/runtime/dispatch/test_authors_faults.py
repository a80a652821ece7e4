"""What an author's code raises ends its own event, and nothing else."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest

from botkit import Actions, Bot, CallNext
from botkit.errors import (
    Conflict,
    Drop,
    LeaseLost,
    Parked,
    Retry,
    StoreGone,
    StoreUnavailable,
    UndecodableEvent,
)
from botkit.model.events import Mention
from botkit.model.failures import Failure
from botkit.model.records import EventState
from botkit.runtime.dispatch.failure_hooks import FailureHooks
from botkit.runtime.intake.lanes import Job
from botkit.sandbox.harness.clock import VirtualClock
from tests.unit.runtime.fakes import bench, mention, wired

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from botkit.ports import Scope

KEY = "post/100/0"


class _Untold(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class _NoText(Exception):
    def __str__(self) -> str:
        return cast("str", b"")


_ODD_ERRORS = [ValueError("\ud800"), ValueError("x" * 10**6), _Untold(), _NoText()]


@pytest.mark.parametrize("error", _ODD_ERRORS, ids=["surrogate", "long", "raises", "no text"])
async def test_an_error_whose_text_is_odd_fails_its_event_and_no_other(
    tmp_path: Path, error: Exception
) -> None:
    async def fails(event: Mention, scope: Scope) -> None:
        if event.post.id == "100":
            raise error

    async def told(resolve: Any, failure: Failure) -> None:
        raise error

    wiring = wired(fails)
    wiring.error_hooks = (told,)
    async with bench(tmp_path, wiring) as bot:
        await bot.record(mention())
        await bot.later(60)
        (dead,) = await bot.store.events.dead()
        await bot.handle(mention("101"))
        assert await bot.note(mention("101")) == "fails"
    assert dead.error.startswith(type(error).__name__)
    assert len(dead.error) <= 16_000
    assert "test_authors_faults.py" in dead.trace or "x" * 15_000 in dead.trace


_CONTROL = [
    LeaseLost("taken"),
    StoreGone("deleted"),
    Conflict("moved"),
    StoreUnavailable("full"),
    UndecodableEvent("odd"),
    Parked("login"),
    ExceptionGroup("several", [LeaseLost("taken")]),
    BaseExceptionGroup("several", [Parked("login")]),
    asyncio.CancelledError(),
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
]


@pytest.mark.parametrize("error", _CONTROL, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", ["handler", "middleware", "filter", "once"])
async def test_a_control_error_that_an_author_raises_fails_the_event_and_nothing_else(
    tmp_path: Path, error: BaseException, place: str
) -> None:
    told: list[Failure] = []
    runs: list[str] = []

    def is_picked(event: Mention) -> bool:
        runs.append(event.post.id)
        if place == "filter" and event.post.id == "100":
            raise error
        return True

    async def fail() -> None:
        raise error

    async def around(event: Mention, call_next: CallNext) -> object:
        if place == "middleware" and event.post.id == "100":
            raise error
        return await call_next(event)

    async def handle(event: Mention, act: Actions) -> None:
        if event.post.id == "100":
            await (act.once("step", fail) if place == "once" else fail())

    async def note(failure: Failure) -> None:
        told.append(failure)

    author = Bot("greeter")
    author.middleware(around)
    author.on(Mention, is_picked)(handle)
    author.on_error(note)
    async with bench(tmp_path, author.plan.wiring) as bot:
        await bot.record(mention())
        await bot.later(120)
        (dead,) = await bot.store.events.dead()
        await bot.handle(mention("101"))
        assert await bot.note(mention("101")) == "handle"
    assert runs.count("100") == 3
    assert [failure.attempt for failure in told] == [1, 2, 3]
    assert dead.reason in {"failed", "crashed"}
    assert dead.error.startswith((type(error).__name__, "Parked"))


@pytest.mark.parametrize(
    "error", [Parked("rate"), asyncio.CancelledError(), SystemExit(3), LeaseLost("taken")]
)
async def test_a_function_that_is_told_of_failures_ends_nothing(
    tmp_path: Path, error: BaseException
) -> None:
    async def fails(event: Mention, scope: Scope) -> None:
        if event.post.id == "100":
            raise ValueError("x")

    async def told(resolve: Any, failure: Failure) -> None:
        raise error

    wiring = wired(fails)
    wiring.error_hooks = (told,)
    async with bench(tmp_path, wiring) as bot:
        await bot.record(mention())
        await bot.later(60)
        await bot.handle(mention("101"))
        assert await bot.note(mention("101")) == "fails"


async def test_a_stop_ends_a_function_that_is_told_of_failures(tmp_path: Path) -> None:
    told = asyncio.Event()

    async def hang(resolve: Any, failure: Failure) -> None:
        told.set()
        await asyncio.Event().wait()

    clock = VirtualClock()
    hooks = FailureHooks([hang], lambda _: {}, clock, str)
    job = Job(seq=1, account_id="42", key=KEY, kind="mention", lane="100", body=b"")
    task = asyncio.get_running_loop().create_task(hooks.tell(job, "handle", ValueError("x")))
    await told.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_retry_in_a_thousand_years_is_not_too_far_away(tmp_path: Path) -> None:
    async def later(event: Mention, scope: Scope) -> None:
        raise Retry(after=timedelta.max)

    async with bench(tmp_path, wired(later)) as bot:
        await bot.handle(mention())
        (row,) = await bot.store.events.get(KEY)
    assert (row.state, row.attempts) == (EventState.WAITING, 1)


@pytest.mark.parametrize(
    ("steers", "said"),
    [
        (lambda: Retry(after=5), "Retry(after=...) takes a timedelta, not int 5."),
        (lambda: Retry(after=0), "Retry(after=...) takes a timedelta, not int 0."),
        (lambda: Drop(None), "Drop(reason) takes a str, not NoneType None."),
        (lambda: Drop(KeyError("a")), "Drop(reason) takes a str, not KeyError KeyError('a')."),
    ],
)
async def test_steering_with_a_wrong_value_is_told_where_it_is_written(
    tmp_path: Path, steers: Any, said: str
) -> None:
    async def steer(event: Mention, scope: Scope) -> None:
        raise steers()

    async with bench(tmp_path, wired(steer)) as bot:
        await bot.record(mention())
        await bot.later(60)
        (dead,) = await bot.store.events.dead()
    assert dead.error == f"TypeError: {said}"
    assert "test_authors_faults.py" in dead.trace


async def test_a_reason_for_dropping_that_cannot_be_encoded_is_escaped(tmp_path: Path) -> None:
    async def drop(event: Mention, scope: Scope) -> None:
        raise Drop("half \ud800")

    async with bench(tmp_path, wired(drop)) as bot:
        await bot.handle(mention())
        assert await bot.note(mention()) == "half \\ud800"


async def test_a_filter_that_raises_is_told_with_its_handler(tmp_path: Path) -> None:
    bot_of_author = Bot("greeter")

    @bot_of_author.on(Mention, lambda event: event.nothing)  # type: ignore[attr-defined]
    async def greet(event: Mention) -> None:
        raise AssertionError(event)

    async with bench(tmp_path, bot_of_author.wiring) as bot:
        await bot.record(mention())
        await bot.later(60)
        (dead,) = await bot.store.events.dead()
    assert dead.handler == "greet"
    assert dead.error.startswith("AttributeError: 'Mention' object has no attribute 'nothing'")
    assert "A filter of greet (" in dead.error
