"""What an author's code raises ends its own event, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest

from botkit import Bot
from botkit.errors import Drop, Retry
from botkit.model.events import Mention
from botkit.model.records import EventState
from tests.unit.runtime.fakes import bench, mention, wired

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from botkit.model.failures import Failure
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
