"""A handler that blocks the event loop is named, once."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from botkit.runtime.dispatch.workers import Slot
from botkit.runtime.life.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable


class Steady:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def in_a_thread(call: Callable[[], None]) -> None:
    """Run it in another thread while this one, the loop's, stands still."""
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


async def test_fault_48_the_handler_that_blocks_the_loop_is_named_once() -> None:
    steady = Steady()
    slot = Slot()
    slot.handler = "bot.greet"
    slot.task = asyncio.current_task()
    watchdog = Watchdog(lambda: [Slot(), slot], steady=steady)
    with capture_logs() as logs:
        for seconds in (1, 2, 3, 4, 4.9):
            steady.now = seconds
            in_a_thread(watchdog.look)
        assert logs == []
        for seconds in (5.6, 6.2, 7.0):
            steady.now = seconds
            in_a_thread(watchdog.look)
    assert [(one["handler"], one["seconds"]) for one in logs] == [("bot.greet", 6)]
    assert "in_a_thread" in logs[0]["where"]


async def test_it_says_so_again_when_the_loop_stands_still_again() -> None:
    steady = Steady()
    watchdog = Watchdog(list, steady=steady, patience_s=1)
    with watchdog, capture_logs() as logs:
        for _ in range(2):
            steady.now += 2
            watchdog.look()
            watchdog._beat()
            watchdog.look()
    assert [one["handler"] for one in logs] == ["no handler of the bot"] * 2


async def test_a_loop_that_turns_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    planned: list[Any] = []
    monkeypatch.setattr(loop, "call_later", lambda delay, call: planned.append((delay, call)))
    steady = Steady()
    with Watchdog(list, steady=steady) as watchdog, capture_logs() as logs:
        for _ in range(10):
            steady.now += 1
            planned[-1][1]()
            watchdog.look()
        assert logs == []
        assert {delay for delay, _ in planned} == {1.0}
    beats = len(planned)
    planned[-1][1]()
    assert len(planned) == beats


async def test_the_thread_looks_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = threading.Semaphore(0)
    with Watchdog(list, steady=Steady(), beat_s=0.0) as watchdog:
        monkeypatch.setattr(watchdog, "look", looks.release)
        assert await asyncio.to_thread(looks.acquire, timeout=10)
    thread = watchdog._thread
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()


async def test_a_thread_that_is_gone_has_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    steady = Steady()
    watchdog = Watchdog(list, steady=steady)
    monkeypatch.setattr("botkit.runtime.life.watchdog.sys", SimpleNamespace(_current_frames=dict))
    with capture_logs() as logs:
        for steady.now in range(10):
            watchdog.look()
    assert logs[0]["where"] == ""


async def test_a_machine_that_slept_is_no_blocked_loop() -> None:
    steady = Steady()
    watchdog = Watchdog(list, steady=steady)
    with capture_logs() as logs:
        for steady.now in (1, 2, 7200, 7201):
            watchdog.look()
    assert logs == []
