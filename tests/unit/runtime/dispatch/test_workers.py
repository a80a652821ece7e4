"""Handlers have their time; one that does not end loses its slot."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from botkit.model.events import Mention, Tick
from botkit.model.records import EventState
from botkit.ports import Actions
from botkit.sandbox.harness.clock import VirtualClock
from tests.unit.runtime.fakes import (
    BOT,
    Gate,
    bench,
    calm,
    mention,
    turns,
    wired,
)

if TYPE_CHECKING:
    from pathlib import Path

    from botkit.ports import Scope


async def test_fault_47_a_handler_that_hangs_is_timed_out_and_tried_again(tmp_path: Path) -> None:
    async def hangs(event: Mention, scope: Scope) -> None:
        await asyncio.Event().wait()

    async with bench(tmp_path, wired(hangs, timeout_s=5.0)) as bot:
        await bot.record(mention())
        await bot.later(60)
        dead = await bot.store.events.dead()
    assert [one.reason for one in dead] == ["timeout"]
    assert dead[0].error == (
        "TimeoutError: hangs did not end within 5 s; on(..., timeout_s=...) gives it longer."
    )
    assert "await asyncio.Event().wait()" in dead[0].trace
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
            await turns(1)

    async with bench(tmp_path, wired(stubborn, timeout_s=1.0), slots=1) as bot:
        await bot.record(mention())
        await bot.later(2)
        assert bot.outcomes == ["done"]
        await bot.record(mention("101"))
        await bot.later(2)
    assert bot.outcomes == ["done", "done"]


@pytest.mark.parametrize("raises", [True, False])
async def test_a_handler_that_swallows_its_cancellation_loses_its_slot(
    tmp_path: Path, *, raises: bool
) -> None:
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
            if raises:
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


@pytest.mark.parametrize("raises", [True, False])
async def test_what_a_handler_that_lost_its_slot_ends_with_is_not_recorded(
    tmp_path: Path, *, raises: bool
) -> None:
    release, ended = asyncio.Event(), asyncio.Event()
    runs: list[str] = []

    async def deaf(event: Mention, scope: Scope) -> None:
        runs.append(event.id)
        if len(runs) > 1:
            return
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        ended.set()
        if raises:
            raise ValueError("too late")

    async with bench(tmp_path, wired(deaf, timeout_s=1.0), slots=1) as bot:
        await bot.record(mention())
        await bot.later(10)
        assert bot.outcomes == ["retry", "done"]
        release.set()
        await ended.wait()
        await bot.later(60)
        (row,) = await bot.store.events.get("post/100/0")
    assert runs == ["100"] * 2
    assert bot.outcomes == ["retry", "done"]
    assert (row.state, row.attempts) == (EventState.DONE, 1)


async def test_a_handler_that_cancels_itself_has_failed(tmp_path: Path) -> None:
    async def cancels(event: Mention, scope: Scope) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        task.cancel()
        await asyncio.Event().wait()

    async with bench(tmp_path, wired(cancels), slots=1) as bot:
        await bot.handle(mention(), mention("101"))
    assert bot.outcomes == ["retry", "retry"]
