"""The parts that a source is tested with."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from botkit.model.users import Account
from botkit.sandbox.harness.clock import SeededEntropy, VirtualClock
from botkit.sources.gaps import Gaps
from botkit.storage import open_store
from tests.unit.sources.fakes import Calm, FakeIntake, FakeSender, Reports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
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
def account() -> Account:
    """The bot's account."""
    return Account(id="1", username="greeter")
