"""The machine's clock and chance keep the ports' promises."""

from __future__ import annotations

import time
from datetime import UTC, timedelta

import pytest

from botkit import system
from botkit.system import SystemClock, SystemEntropy


def test_the_wall_clock_is_aware_and_in_utc() -> None:
    assert SystemClock().now().tzinfo is UTC
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_the_steady_clock_never_goes_back() -> None:
    clock = SystemClock()
    readings = [clock.monotonic() for _ in range(100)]
    assert readings == sorted(readings)


def test_without_a_clock_that_counts_sleep_the_ordinary_one_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(system.sys, "platform", "win32")
    monkeypatch.delattr(system.time, "CLOCK_BOOTTIME", raising=False)
    assert SystemClock()._steady is time.monotonic  # noqa: TID251 - what is compared


async def test_a_negative_sleep_is_none_and_a_timeout_cuts() -> None:
    clock = SystemClock()
    await clock.sleep(-5)
    with pytest.raises(TimeoutError):
        async with clock.timeout(0):
            await clock.sleep(30)
    async with clock.timeout(None):
        await clock.sleep(0)


def test_chance_gives_what_was_asked_for() -> None:
    entropy = SystemEntropy()
    assert len(entropy.token_bytes(32)) == 32
    assert entropy.token_bytes(32) != entropy.token_bytes(32)
    assert all(1 <= entropy.uniform(1, 2) <= 2 for _ in range(100))
