"""A whole runtime on a store of its own, in virtual time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botkit.leases.lease import Lease
from botkit.model.events import Mention
from botkit.runtime.life.lifecycle import Runtime, RuntimePace
from botkit.runtime.life.status import Reports
from botkit.runtime.life.ticks import Scheduler
from botkit.sandbox.harness.clock import SeededEntropy, VirtualClock
from tests.unit.runtime.fakes import BOT, Bench, FakeWiring, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from botkit.ports import Scope
    from botkit.waiting.proven_time import ProvenTime


@dataclass
class Alive:
    runtime: Runtime
    bench: Bench
    reports: Reports
    recovered: list[int]
    changes: list[int]

    @property
    def clock(self) -> VirtualClock:
        return self.bench.clock


async def gone(name: str) -> bool:
    """Whoever holds a lease has ended."""
    return False


@asynccontextmanager
async def running(
    folder: Path,
    wiring: FakeWiring,
    *,
    clock: VirtualClock | None = None,
    parts: Mapping[str, Callable[[], Awaitable[None]]] | None = None,
    schedules: Any = (),
    hears_changes: bool = True,
    pace: RuntimePace | None = None,
    proven: ProvenTime | None = None,
    slots: int = 128,
) -> AsyncIterator[Alive]:
    clock = clock or VirtualClock()
    async with opened(folder, clock) as store:
        pace = pace or RuntimePace()
        lease = Lease(
            store,
            clock,
            owner="test",
            lives=gone,
            ttl_s=pace.lease_ttl_s,
            renew_s=pace.lease_renew_s,
        )
        bench = Bench(store, clock, wiring, lease=lease, proven=proven, slots=slots)
        await lease.acquire()
        recovered: list[int] = []
        changes: list[int] = []

        async def recover() -> int:
            recovered.append(1)
            return 0

        async def on_changed() -> None:
            changes.append(1)
            bench.dispatcher.inbox_reader.rescan()

        reports = Reports(store, clock, lease)
        async with bench.tasks as tasks:
            runtime = Runtime(
                store=store,
                clock=clock,
                entropy=SeededEntropy(),
                lease=lease,
                tasks=tasks,
                dispatcher=bench.dispatcher,
                inbox=bench.inbox,
                scheduler=Scheduler(
                    schedules,
                    [BOT],
                    store=store,
                    clock=clock,
                    taker=bench.dispatcher,
                    fence=lease.fence,
                    proven=bench.proven,
                ),
                reports=reports,
                recover=recover,
                parts=parts or {},
                on_changed=on_changed if hears_changes else None,
                proven=bench.proven,
                pace=pace,
            )
            await runtime.start()
            yield Alive(runtime, bench, reports, recovered, changes)
            await runtime.stop(0)


async def through(clock: VirtualClock, work: Awaitable[Any]) -> Any:
    """Move virtual time until the work is done."""
    task = asyncio.ensure_future(work)  # noqa: TID251 - a test drives it
    for _ in range(500):
        await clock.at_rest()
        if task.done():
            break
        clock.jump()
    return await task


def greeting() -> tuple[FakeWiring, list[str]]:
    seen: list[str] = []

    async def greet(event: Mention, scope: Scope) -> None:
        seen.append(event.id)

    wiring = FakeWiring()
    wiring.on(Mention, greet)
    return wiring, seen
