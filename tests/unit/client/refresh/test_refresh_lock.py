"""The lock of a login between processes of one machine, and what a keeper does with it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from botkit.errors import Conflict, InvalidClient, InvalidGrant, LeaseLost, StoreUnavailable
from botkit.model.tokens import LoginState
from botkit.storage import open_store
from tests.unit.client.fakes import GREETER, World
from tests.unit.client.hosts import Host
from tests.unit.client.keeping import EXPIRED, LAST_MINUTE, keeper_in, running, sent_intent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from botkit.model.records import CredentialRow

NAME = "refresh:1999/default"
HOLDER = """
import asyncio, sys
from datetime import timedelta
from botkit.sandbox.harness.clock import VirtualClock
from botkit.storage import open_store

async def main():
    async with open_store(sys.argv[1], clock=VirtualClock()) as store:
        await store.leases.acquire(sys.argv[2], "box/b/7/1/c", ttl=timedelta(seconds=60))
        print("held", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


@pytest.fixture
def one(world: World) -> Host:
    """A process that uses the store."""
    return Host(world, "one")


@pytest.fixture
async def two(world: World, tmp_path: Path) -> AsyncIterator[Host]:
    """Another one, with a handle of its own: the kernel tells the two apart."""
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=world.clock) as store:
        yield Host(World(store, world.clock), "two")


@pytest.fixture
async def row(world: World) -> CredentialRow:
    return await world.log_in(left=LAST_MINUTE)


@asynccontextmanager
async def _holder(tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A real process that holds the lock of the login."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDER, f"sqlite:///{tmp_path}/bot.db", NAME),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"held\n"
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


# ---- the lock ---------------------------------------------------------------------------------


async def test_one_holds_it_at_a_time_and_the_next_waits(
    world: World, one: Host, two: Host, row: CredentialRow
) -> None:
    seen: list[str] = []

    async def hold(host: Host) -> None:
        async with host.lock()(row):
            seen.append(f"{host.name} in")
            await world.clock.sleep(5.0)
            seen.append(f"{host.name} out")

    async with asyncio.TaskGroup() as group:
        group.create_task(hold(one))
        group.create_task(hold(two))
        await world.clock.advance(20.0)
    assert [word.split()[1] for word in seen] == ["in", "out", "in", "out"]


async def test_two_tasks_of_one_process_do_not_hold_it_at_the_same_time(
    world: World, one: Host, row: CredentialRow
) -> None:
    lock, inside = one.lock(), 0

    async def hold() -> None:
        nonlocal inside
        async with lock(row):
            inside += 1
            assert inside == 1
            await world.clock.sleep(5.0)
            inside -= 1

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(hold())
        await world.clock.advance(1.0)
        with pytest.raises(StoreUnavailable, match="nothing was sent"):
            async with lock(row, wait=False):
                pytest.fail("two hold it")
        await world.clock.advance(20.0)


async def test_without_waiting_a_held_one_is_refused_at_once_and_says_by_whom(
    world: World, one: Host, tmp_path: Path, row: CredentialRow
) -> None:
    async with _holder(tmp_path):
        before = world.clock.monotonic()
        with pytest.raises(StoreUnavailable, match=r"Process 7 on box refreshes .* @greeter"):
            async with one.lock()(row, wait=False):
                pytest.fail("two hold it")
        assert world.clock.monotonic() == before


async def test_whoever_waits_too_long_gives_up_and_never_takes_it_as_free(
    world: World, one: Host, two: Host, row: CredentialRow
) -> None:
    async def wait() -> None:
        async with two.lock()(row):
            pytest.fail("two hold it")

    async with one.lock()(row):
        waiting = asyncio.get_running_loop().create_task(wait())
        await world.clock.advance(89.0)
        assert not waiting.done()
        await world.clock.advance(2.0)
        with pytest.raises(StoreUnavailable, match="nothing was sent"):
            await waiting


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's locks of Linux")
async def test_a_process_that_stands_still_keeps_it_for_as_long_as_it_lives(
    world: World, one: Host, tmp_path: Path, row: CredentialRow
) -> None:
    async with _holder(tmp_path) as holder:
        holder.send_signal(signal.SIGSTOP)
        await world.clock.advance(timedelta(hours=1))
        with pytest.raises(StoreUnavailable, match="Another process refreshes the login"):
            async with one.lock()(row, wait=False):
                pytest.fail("its answer from X may still come")
        holder.kill()
        await holder.wait()
        async with one.lock()(row, wait=False):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's locks of Linux")
async def test_a_holder_that_is_killed_loses_it_at_once(
    one: Host, tmp_path: Path, row: CredentialRow
) -> None:
    async with _holder(tmp_path) as holder:
        holder.kill()
        await holder.wait()
        async with one.lock()(row, wait=False):
            pass


async def test_a_lock_file_that_was_removed_while_it_is_held_still_keeps_others_out(
    one: Host, tmp_path: Path, row: CredentialRow
) -> None:
    async with one.lock()(row):
        (tmp_path / "bot.db-locks").unlink()
        async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=one.world.clock) as store:
            later = Host(World(store, one.world.clock), "later")
            with pytest.raises(StoreUnavailable):
                async with later.lock()(row, wait=False):
                    pytest.fail("two hold it")


async def test_a_process_that_stood_still_does_not_send(
    world: World, one: Host, row: CredentialRow
) -> None:
    async with one.lock()(row) as held:
        one.frozen = True
        await world.clock.advance(29.0)
        held.check()
        await world.clock.advance(2.0)
        with pytest.raises(LeaseLost, match="31 s"):
            held.check()


async def test_a_wait_that_is_cancelled_leaves_nothing_locked(
    world: World, one: Host, two: Host, row: CredentialRow
) -> None:
    async def take() -> None:
        async with one.lock()(row):
            pytest.fail("it was cancelled before")

    for _ in range(5):
        taking = asyncio.get_running_loop().create_task(take())
        await world.clock.sleep(0)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
    async with two.lock()(row, wait=False):
        pass


# ---- a keeper with it --------------------------------------------------------------------------


async def test_two_keepers_on_one_store_refresh_once_and_both_serve(
    world: World, one: Host, two: Host
) -> None:
    await world.log_in(left=EXPIRED)
    first, second = (keeper_in(world, lock=host.lock(), owner=host.name) for host in (one, two))
    asking = asyncio.gather(first.access(), second.access())
    await world.clock.advance(5.0)
    assert await asking == ["at-2", "at-2"]
    assert (world.refreshes, world.peer.reused) == (["rt-1"], 0)


async def test_the_lock_is_held_around_read_decide_send_store_and_checked_around_the_mark(
    world: World,
) -> None:
    await world.log_in(left=LAST_MINUTE)
    seen: list[str] = []

    class Held:
        fence = None

        def check(self) -> None:
            seen.append(f"checked, {world.log[-1]}, {len(world.refreshes)} sent")

    @asynccontextmanager
    async def lock(row: CredentialRow, *, wait: bool = True) -> AsyncIterator[Any]:
        seen.append("taken")
        mark = len(world.log)
        yield Held()
        seen.append(world.log[mark].split(".")[1] + ".." + world.log[-1].split(".")[1])

    await keeper_in(world, lock=lock).access()
    assert seen == [
        "taken",
        "checked, credentials.intend, 0 sent",
        "checked, credentials.mark_sent, 0 sent",
        "get..store_result",
    ]


@pytest.mark.parametrize("marked", [False, True])
async def test_a_lock_that_is_lost_before_the_bytes_sends_nothing(
    world: World, *, marked: bool
) -> None:
    await world.log_in(left=LAST_MINUTE)

    class Held:
        fence = None

        def check(self) -> None:
            if ("credentials.mark_sent" in world.log) == marked:
                raise LeaseLost("too old")

    @asynccontextmanager
    async def lock(row: CredentialRow, *, wait: bool = True) -> AsyncIterator[Any]:
        yield Held()

    kept = keeper_in(world, lock=lock)
    assert await kept.access() == "at-1"
    assert world.refreshes == []
    assert (await world.row()).intent is None


async def test_a_refresh_of_a_living_process_is_not_taken_for_a_lost_one(
    world: World, one: Host, two: Host
) -> None:
    row = await world.log_in(left=timedelta(minutes=90))
    intent = sent_intent(row)
    await world.real_store.credentials.intend(row, intent, reserve_bytes=10)
    async with one.lock()(row):
        await world.real_store.credentials.mark_sent(row, intent.id)
        async with running(world, lock=two.lock(), owner=two.name) as kept:
            await world.clock.advance(3.0)
            assert kept.states == [LoginState.OK]
            assert (await world.row()).status is LoginState.OK


async def test_a_login_is_judged_by_what_stands_in_the_store_under_its_lock(world: World) -> None:
    row = await world.log_in()
    intent = sent_intent(row)
    await world.real_store.credentials.intend(row, intent, reserve_bytes=10)
    await world.real_store.credentials.mark_sent(row, intent.id)
    before = await world.row()
    await world.real_store.credentials.clear_intent(row, intent.id)
    judged = await keeper_in(world).keeper._refresher.judge(before, first=False)
    assert (judged.intent, judged.status) == (None, LoginState.OK)


@pytest.mark.parametrize("state", [LoginState.DEAD, LoginState.CONFIG])
async def test_a_login_that_another_process_gave_up_meanwhile_is_not_refreshed(
    world: World, state: LoginState
) -> None:
    row = await world.log_in(left=EXPIRED)
    kept = keeper_in(world)
    await kept.keeper.holdings(GREETER.id)
    rows = keeper_in(world).keeper.context.rows
    await rows.mark(row, state, "said by another process")
    with pytest.raises((InvalidGrant, InvalidClient), match="said by another process"):
        await kept.access()
    assert (kept.states[-1], world.refreshes) == (state, [])


async def test_the_death_of_another_process_over_a_refresh_is_announced_within_five_seconds(
    world: World, one: Host, two: Host
) -> None:
    row = await world.log_in(left=timedelta(minutes=90))
    intent = sent_intent(row)
    await world.real_store.credentials.intend(row, intent, reserve_bytes=10)
    async with one.lock()(row):
        await world.real_store.credentials.mark_sent(row, intent.id)
        context = running(world, lock=two.lock(), owner=two.name)
        kept = await context.__aenter__()
        await world.clock.advance(3.0)
    await world.clock.advance(5.0)
    assert kept.states == [LoginState.OK, LoginState.UNCERTAIN]
    assert (await world.row()).status is LoginState.UNCERTAIN
    assert await kept.access() == "at-1"
    await context.__aexit__(None, None, None)
    assert world.refreshes == []


async def test_what_another_process_was_refreshing_is_taken_over_when_it_is_there(
    world: World, one: Host, two: Host
) -> None:
    await world.log_in(left=EXPIRED)

    async def wait() -> None:
        await world.clock.sleep(4.0)

    world.peer.hold = wait
    other = keeper_in(world, lock=one.lock(), owner=one.name)
    async with running(world, lock=two.lock(), owner=two.name) as kept:
        asking = asyncio.gather(other.access(), kept.access())
        await world.clock.advance(10.0)
        assert await asking == ["at-2", "at-2"]
        assert LoginState.UNCERTAIN not in kept.states
    assert world.refreshes == ["rt-1"]


async def test_a_token_that_was_sent_since_it_was_read_is_not_sent_by_another(
    world: World,
) -> None:
    row = await world.log_in(left=EXPIRED)
    first = sent_intent(row)
    await world.real_store.credentials.intend(row, first, reserve_bytes=10)
    seen = await world.row()
    await world.real_store.credentials.mark_sent(row, first.id)
    with pytest.raises(Conflict):
        await world.real_store.credentials.intend(seen, sent_intent(row), reserve_bytes=10)
