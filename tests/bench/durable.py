"""D1 and D2: durable appends, in SQLite with a sync for each commit, as the inbox does them."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.measure import Meter, Order, Sample
from tests.bench.payloads import ACCOUNT_ID, lines

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from botkit.model.records import NewEvent
    from botkit.ports import Store

__all__ = [
    "aiosqlite_alone",
    "aiosqlite_flight",
    "botkit_alone",
    "botkit_flight",
    "botkit_flight_done",
    "plain_flight",
    "synced_file",
]

IN_FLIGHT = 256
_TABLE = "CREATE TABLE event (seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, body BLOB)"
_INSERT = "INSERT INTO event (key, body) VALUES (?, ?)"
_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL")


def plain_flight(order: Order) -> Sample:
    """The limit: one thread, one table, a commit for each 256."""
    rows = _rows(order.size)
    connection = sqlite3.connect(_file(order), isolation_level=None)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(_TABLE)
    with Meter() as meter:
        for start in range(0, len(rows), IN_FLIGHT):
            connection.execute("BEGIN IMMEDIATE")
            for row in rows[start : start + IN_FLIGHT]:
                connection.execute(_INSERT, row)
            connection.execute("COMMIT")
    count = connection.execute("SELECT count(*) FROM event").fetchone()[0]
    connection.close()
    return _whole(meter, count, order)


def aiosqlite_flight(order: Order) -> Sample:
    """The peer as it is used: each append is a transaction of its own, 256 tasks wait for it."""

    async def run() -> Sample:
        import aiosqlite

        rows = iter(_rows(order.size))
        async with aiosqlite.connect(_file(order), isolation_level=None) as connection:
            await _prepare(connection)

            async def append() -> None:
                for row in rows:
                    await connection.execute(_INSERT, row)

            with Meter() as meter:
                async with asyncio.TaskGroup() as group:
                    for _ in range(IN_FLIGHT):
                        group.create_task(append())
            cursor = await connection.execute("SELECT count(*) FROM event")
            (count,) = await cursor.fetchone() or (0,)
        return _whole(meter, count, order)

    return asyncio.run(run())


def botkit_flight(order: Order) -> Sample:
    """botkit's store: 256 tasks, each waits until its event is synced before the next."""

    async def run(store: Store) -> Sample:
        events = iter(_events(order.size))

        async def append() -> None:
            for event in events:
                await store.events.append([event])

        return await _in_flight(store, append, order, state="waiting")

    return asyncio.run(_with_store(order, run))


def botkit_flight_done(order: Order) -> Sample:
    """The same, and each event is marked as done in a later commit, as the dispatcher does."""

    async def run(store: Store) -> Sample:
        from datetime import timedelta

        from botkit.model.records import RunDone

        fence = await store.leases.acquire("runner", "bench", ttl=timedelta(hours=1))
        assert fence is not None
        events = iter(_events(order.size))
        done: list[RunDone] = []

        async def append() -> None:
            for event in events:
                (seq,) = await store.events.append([event], fence=fence)
                assert seq is not None
                done.append(RunDone(seq=seq, note="h"))
                if len(done) == 1:  # the first of a batch takes along what comes meanwhile
                    await asyncio.sleep(0)
                    batch = done.copy()
                    done.clear()
                    await store.events.settle(batch, fence=fence)

        return await _in_flight(store, append, order, state="done")

    return asyncio.run(_with_store(order, run))


def synced_file(order: Order) -> Sample:
    """The limit of D2: what an append costs a plain file, write and fdatasync."""
    bodies = [body for _, body in _rows(order.size)]
    descriptor = os.open(_file(order), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    spans: list[float] = []
    with Meter() as meter:
        for body in bodies:
            began = time.perf_counter()
            os.write(descriptor, body)
            os.fdatasync(descriptor)
            spans.append(time.perf_counter() - began)
    os.close(descriptor)
    return meter.of(order.size, value=_median_ms(spans))


def aiosqlite_alone(order: Order) -> Sample:
    """One append after the other, by aiosqlite."""

    async def run() -> Sample:
        import aiosqlite

        rows = iter(_rows(order.size))
        async with aiosqlite.connect(_file(order), isolation_level=None) as connection:
            await _prepare(connection)
            return await _alone(lambda: connection.execute(_INSERT, next(rows)), order)

    return asyncio.run(run())


def botkit_alone(order: Order) -> Sample:
    """One append after the other, by botkit."""

    async def run(store: Store) -> Sample:
        events = iter(_events(order.size))
        return await _alone(lambda: store.events.append([next(events)]), order)

    return asyncio.run(_with_store(order, run))


async def _alone(append: Callable[[], Awaitable[Any]], order: Order) -> Sample:
    spans: list[float] = []
    with Meter() as meter:
        for _ in range(order.size):
            began = time.perf_counter()
            await append()
            spans.append(time.perf_counter() - began)
    return meter.of(order.size, value=_median_ms(spans))


async def _in_flight(
    store: Store, append: Callable[[], Coroutine[Any, Any, None]], order: Order, *, state: str
) -> Sample:
    with Meter() as meter:
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(append())
    return _whole(meter, (await store.events.counts()).get(state, 0), order)


async def _with_store(order: Order, run: Callable[[Store], Awaitable[Sample]]) -> Sample:
    from botkit.storage import open_store
    from botkit.system import SystemClock

    async with open_store(f"sqlite:///{_file(order)}", clock=SystemClock()) as store:
        return await run(store)


async def _prepare(connection: Any) -> None:
    for pragma in _PRAGMAS:
        await connection.execute(f"PRAGMA {pragma}")
    await connection.execute(_TABLE)


def _events(count: int) -> list[NewEvent]:
    """Events whose bodies are whole envelopes: several times what the inbox keeps of most."""
    from msgspec.structs import replace

    from botkit.protocol.events import activity
    from botkit.runtime.intake.inbox import row_of

    return [
        replace(row_of(activity.decode_line(line), ACCOUNT_ID, "activity"), body=line)
        for line in lines(count)
    ]


def _rows(count: int) -> list[tuple[str, bytes]]:
    """The same keys and bodies, for the plain table."""
    return [(event.key, event.body) for event in _events(count)]


def _file(order: Order) -> str:
    return str(Path(order.folder) / "bench.db")


def _median_ms(spans: list[float]) -> float:
    return statistics.median(spans) * 1e3


def _whole(meter: Meter, count: int, order: Order) -> Sample:
    if count != order.size:
        raise RuntimeError(f"{count} of {order.size} events are in the store")
    return meter.of(count)
