"""What a running bot says of its parts is true again within seconds, in both directions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from botkit.errors import StoreUnavailable
from botkit.runtime.life.lifecycle import RuntimePace
from botkit.sandbox.harness.clock import VirtualClock
from tests.unit.runtime.fakes import Gate, mention, wired
from tests.unit.runtime.living import Alive, greeting, running, through

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def states(alive: Alive) -> dict[str, str]:
    return {name: said.state for name, said in alive.reports.current.items()}


async def test_a_bot_runs_when_it_hears_and_starts_until_then(tmp_path: Path) -> None:
    wiring, _ = greeting()
    async with running(tmp_path, wiring) as alive:
        await alive.clock.advance(11)
        assert states(alive)["runner"] == "starting"
        alive.runtime.hears()
        await alive.bench.handle(mention())
        await alive.clock.advance(11)
        (stored,) = await alive.bench.store.progress.reports()
    assert (stored.state, stored.data["done"]) == ("running", "1")


async def test_a_store_that_takes_nothing_is_said_until_it_takes_something_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wiring, _ = greeting()
    async with running(tmp_path, wiring) as alive:
        store = alive.bench.store
        await alive.clock.advance(2)
        assert "store" not in states(alive)
        full = StoreUnavailable("The disk is full.", hint="Free some space.")
        monkeypatch.setattr(type(store), "fault", full)
        await alive.clock.advance(1.1)
        said = alive.reports.current["store"]
        assert (said.state, said.detail) == ("unavailable", "The disk is full. Free some space.")
        assert said.data == {"code": "5"}
        monkeypatch.setattr(type(store), "fault", None)
        await alive.clock.advance(1.1)
        assert states(alive)["store"] == "working"


async def test_a_store_that_cannot_be_read_is_said_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wiring, _ = greeting()

    async def changed() -> bool:
        raise StoreUnavailable("The store is locked by process 4711.")

    async with running(tmp_path, wiring) as alive:
        await alive.clock.advance(2)
        with monkeypatch.context() as patched:
            patched.setattr(alive.bench.store, "changed", changed)
            await alive.clock.advance(1.1)
            assert states(alive)["store"] == "unavailable"
        await alive.clock.advance(2.1)
        assert states(alive)["store"] == "working"


async def test_handlers_that_hold_every_slot_and_do_not_end_are_named(tmp_path: Path) -> None:
    gate = Gate()
    async with running(tmp_path, wired(gate, timeout_s=None), slots=2) as alive:
        await alive.bench.record(*(mention(str(n), conversation=str(n)) for n in range(3)))
        await alive.clock.advance(19)
        assert "handlers" not in states(alive)
        with capture_logs() as logs:
            await alive.clock.advance(11)
        said = alive.reports.current["handlers"]
        assert (said.state, said.data) == ("saturated", {"code": "1"})
        assert "none has ended for 20 s (" in said.detail
        lines = [line for line in logs if line["event"] == "handlers.saturated"]
        assert [list(line["handlers"].values()) for line in lines] == [[2]]
        gate.open("0", "1", "2")
        await alive.bench.idle()
        await alive.clock.advance(1.1)
        assert states(alive)["handlers"] == "working"


async def test_a_bot_that_only_has_much_to_do_is_not_called_saturated(tmp_path: Path) -> None:
    gate = Gate()
    async with running(tmp_path, wired(gate, timeout_s=None), slots=2) as alive:
        await alive.bench.record(*(mention(str(n), conversation=str(n)) for n in range(5)))
        for n in range(3):
            await alive.clock.advance(15)
            gate.open(str(n))
            await alive.clock.at_rest()
        await alive.clock.advance(15)
        assert "handlers" not in states(alive)
        gate.open("3", "4")
        await through(alive.clock, alive.bench.idle())


async def test_a_part_that_failed_and_runs_again_is_not_wrong_for_ever(tmp_path: Path) -> None:
    wiring, _ = greeting()
    clock = VirtualClock()
    faults: list[Exception] = [ValueError("odd"), ValueError("odd"), ValueError("odd")]

    async def budget() -> None:
        if len(faults) == 2:
            await clock.sleep(3)
        if faults:
            raise faults.pop()
        await asyncio.Event().wait()

    async def source() -> None:
        if faults:
            raise ValueError("odd")
        alive.reports("stream", "live")
        await asyncio.Event().wait()

    parts = {"budget": budget, "stream": source}
    async with running(tmp_path, wiring, clock=clock, parts=parts) as alive:
        await clock.advance(4)
        assert states(alive)["budget"] == "wrong"
        await clock.advance(100)
        said = alive.reports.current["budget"]
        assert (said.state, said.detail) == ("working", "after it failed and was started again")
        assert states(alive)["stream"] == "live"


async def test_a_source_that_fell_silent_is_noticed_by_housekeeping(tmp_path: Path) -> None:
    wiring, _ = greeting()
    async with running(tmp_path, wiring, pace=RuntimePace(poll_s=1.0)) as alive:
        alive.reports("mentions/greeter", "live", good_for_s=46)
        await alive.clock.advance(48)
        assert states(alive)["mentions/greeter"] == "waiting"
