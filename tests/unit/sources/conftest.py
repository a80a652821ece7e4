"""The parts that a source is tested with."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from botkit.model.users import Account
from botkit.sandbox.harness.clock import SeededEntropy, VirtualClock
from botkit.sources.gaps import Gaps
from botkit.storage import open_store
from tests.unit.sources.fakes import Calm, FakeIntake, FakeSender, Reports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from botkit.ports import Store


@pytest.fixture
def clock() -> VirtualClock:
    """Time that a test moves."""
    return VirtualClock()


@pytest.fixture
def entropy() -> SeededEntropy:
    """Chance that is the same each time."""
    return SeededEntropy()


@pytest.fixture
async def store(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Store]:
    """A real store."""
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=clock) as opened:
        yield cast("Store", Calm(opened, clock))


@pytest.fixture
def sender() -> FakeSender:
    """A scripted X."""
    return FakeSender()


@pytest.fixture
def intake(store: Store) -> FakeIntake:
    """An inbox that remembers."""
    return FakeIntake(store)


@pytest.fixture
def reports() -> Reports:
    """Takes what sources say."""
    return Reports()


@pytest.fixture
def gaps(store: Store, clock: VirtualClock, reports: Reports) -> Gaps:
    """What may not have been heard."""
    return Gaps(store, clock=clock, report=reports)


@pytest.fixture
def ports(
    sender: FakeSender,
    intake: FakeIntake,
    clock: VirtualClock,
    entropy: SeededEntropy,
    reports: Reports,
    gaps: Gaps,
) -> dict[str, Any]:
    """What each poll and stream works with, by the names of their arguments."""
    return {
        "sender": sender,
        "intake": intake,
        "clock": clock,
        "entropy": entropy,
        "report": reports,
        "gaps": gaps,
        "late": timedelta(minutes=5),
    }


@pytest.fixture
async def spawn() -> AsyncIterator[Callable[[Coroutine[Any, Any, None]], None]]:
    """Run a source until the test ends."""
    tasks: list[asyncio.Task[None]] = []

    def run(source: Coroutine[Any, Any, None]) -> None:
        tasks.append(asyncio.get_running_loop().create_task(source))

    yield run
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def account() -> Account:
    """The bot's account."""
    return Account(id="1", username="greeter")
