"""The lock of a login across processes, and what a keeper does with it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import stat
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from botkit.client.refresh.refresh_lock import FileRefreshLock
from botkit.errors import Conflict, LeaseLost, StoreUnavailable
from botkit.model.tokens import LoginState
from botkit.sandbox.harness.pauses import threads_counted
from tests.unit.client.fakes import World
from tests.unit.client.keeping import EXPIRED, LAST_MINUTE, keeper_in, running, sent_intent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from botkit.model.records import CredentialRow


@pytest.fixture
async def lock(world: World, tmp_path: Path) -> AsyncIterator[FileRefreshLock]:
    with threads_counted(world.clock):
        yield FileRefreshLock(tmp_path / "logins", clock=world.clock, entropy=world.entropy)


@pytest.fixture
async def row(world: World) -> CredentialRow:
    return await world.log_in(left=LAST_MINUTE)


def _file(tmp_path: Path) -> Path:
    """The one that is held."""
    (held,) = [path for path in (tmp_path / "logins").iterdir() if path.stat().st_size]
    return held


# ---- the lock ---------------------------------------------------------------------------------


async def test_one_holds_it_at_a_time_and_the_next_waits(
    world: World, lock: FileRefreshLock, row: CredentialRow
) -> None:
    seen: list[str] = []

    async def hold(name: str) -> None:
        async with lock(row):
            seen.append(f"{name} in")
            await world.clock.sleep(5.0)
            seen.append(f"{name} out")

    async with asyncio.TaskGroup() as group:
        group.create_task(hold("a"))
        group.create_task(hold("b"))
        await world.clock.advance(20.0)
    assert [word.split()[1] for word in seen] == ["in", "out", "in", "out"]


async def test_without_waiting_a_held_one_is_refused_at_once_and_says_by_whom(
    world: World, lock: FileRefreshLock, row: CredentialRow
) -> None:
    async with lock(row):
        before = world.clock.monotonic()
        with pytest.raises(StoreUnavailable, match=f"pid {os.getpid()}"):
            async with lock(row, wait=False):
                pytest.fail("two hold it")
        assert world.clock.monotonic() == before
    async with lock(row, wait=False):
        pass


async def test_whoever_waits_too_long_gives_up_and_never_takes_it_as_free(
    world: World, lock: FileRefreshLock, row: CredentialRow
) -> None:
    async def wait() -> None:
        async with lock(row):
            pytest.fail("two hold it")

    async with lock(row):
        waiting = asyncio.get_running_loop().create_task(wait())
        await world.clock.advance(89.0)
        assert not waiting.done()
        await world.clock.advance(2.0)
        with pytest.raises(StoreUnavailable, match="holds the lock"):
            await waiting


async def test_a_file_that_was_removed_while_it_is_held_still_keeps_others_out(
    lock: FileRefreshLock, row: CredentialRow, tmp_path: Path
) -> None:
    async with lock(row) as held:
        _file(tmp_path).unlink()
        with pytest.raises(StoreUnavailable):
            async with lock(row, wait=False):
                pytest.fail("two hold it")
        with pytest.raises(LeaseLost, match="removed or replaced"):
            await held.check()
    async with lock(row, wait=False) as held:
        await held.check()


async def test_a_file_that_was_replaced_while_it_is_held_is_noticed_before_the_bytes(
    lock: FileRefreshLock, row: CredentialRow, tmp_path: Path
) -> None:
    async with lock(row) as held:
        path = _file(tmp_path)
        path.unlink()
        path.touch(0o600)
        with pytest.raises(LeaseLost):
            await held.check()


async def test_a_process_that_stood_still_does_not_send(
    world: World, lock: FileRefreshLock, row: CredentialRow
) -> None:
    async with lock(row) as held:
        await world.clock.advance(29.0)
        await held.check()
        await world.clock.advance(2.0)
        with pytest.raises(LeaseLost, match="31 s"):
            await held.check()
        with pytest.raises(LeaseLost):
            held.check_age()


async def test_files_and_folder_are_for_this_user_only_whatever_the_umask(
    lock: FileRefreshLock, row: CredentialRow, tmp_path: Path
) -> None:
    before = os.umask(0)
    try:
        async with lock(row):
            pass
    finally:
        os.umask(before)
    folder = tmp_path / "logins"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


async def test_a_link_in_its_place_is_not_followed(
    lock: FileRefreshLock, row: CredentialRow, tmp_path: Path
) -> None:
    async with lock(row):
        path = _file(tmp_path)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreUnavailable, match="cannot be taken"):
        async with lock(row):
            pytest.fail("taken")
    assert not (tmp_path / "elsewhere").exists()


async def test_a_wait_that_is_cancelled_leaves_nothing_locked(
    world: World, lock: FileRefreshLock, row: CredentialRow
) -> None:
    async def take() -> None:
        async with lock(row):
            pytest.fail("it was cancelled before")

    for _ in range(5):
        taking = asyncio.get_running_loop().create_task(take())
        await world.clock.sleep(0)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
    await world.clock.at_rest()
    async with lock(row, wait=False):
        pass


async def test_a_holder_that_is_killed_loses_it_at_once(
    lock: FileRefreshLock, row: CredentialRow, tmp_path: Path
) -> None:
    async with lock(row):
        path = _file(tmp_path)
    code = (
        "import fcntl, os, sys; d = os.open(sys.argv[1], os.O_RDWR);"
        "fcntl.flock(d, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
    )
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, path), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"
    with pytest.raises(StoreUnavailable):
        async with lock(row, wait=False):
            pytest.fail("two hold it")
    holder.kill()
    await holder.wait()
    async with lock(row, wait=False):
        pass


async def test_a_forked_child_does_not_keep_what_its_parent_gave_back(
    lock: FileRefreshLock, row: CredentialRow, tmp_path: Path
) -> None:
    async with lock(row):
        inherited = [_duplicate(path) for path in (_file(tmp_path), tmp_path)]
    try:
        async with lock(row, wait=False):
            pass
    finally:
        for descriptor in inherited:
            os.close(descriptor)


def _duplicate(path: Path) -> int:
    """What a fork makes of the descriptor that has this file open."""
    for opened in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if opened.samefile(path):
                return os.dup(int(opened.name))
    pytest.fail("not open")


async def test_a_flock_that_others_hold_on_the_folder_alone_is_waited_for(
    lock: FileRefreshLock, row: CredentialRow, tmp_path: Path
) -> None:
    making = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(making, fcntl.LOCK_EX)
        with pytest.raises(StoreUnavailable):
            async with lock(row, wait=False):
                pytest.fail("taken")
    finally:
        os.close(making)


# ---- a keeper with it --------------------------------------------------------------------------


async def test_two_keepers_on_one_store_refresh_once_and_both_serve(
    world: World, lock: FileRefreshLock
) -> None:
    await world.log_in(left=EXPIRED)
    first, second = keeper_in(world, lock=lock), keeper_in(world, lock=lock)
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

        async def check(self) -> None:
            self.check_age()

        def check_age(self) -> None:
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


@pytest.mark.parametrize("when", ["check", "check_age"])
async def test_a_lock_that_is_lost_before_the_bytes_sends_nothing(world: World, when: str) -> None:
    await world.log_in(left=LAST_MINUTE)

    def lost() -> None:
        raise LeaseLost("too old")

    class Held:
        fence = None

        async def check(self) -> None:
            if when == "check":
                lost()

        def check_age(self) -> None:
            lost()

    @asynccontextmanager
    async def lock(row: CredentialRow, *, wait: bool = True) -> AsyncIterator[Any]:
        yield Held()

    kept = keeper_in(world, lock=lock)
    assert await kept.access() == "at-1"
    assert world.refreshes == []
    assert (await world.row()).intent is None


async def test_a_refresh_of_a_living_process_is_not_taken_for_a_lost_one(
    world: World, lock: FileRefreshLock
) -> None:
    row = await world.log_in(left=timedelta(minutes=90))
    intent = sent_intent(row)
    await world.real_store.credentials.intend(row, intent, reserve_bytes=10)
    async with lock(row):
        await world.real_store.credentials.mark_sent(row, intent.id)
        async with running(world, lock=lock) as kept:
            await world.clock.advance(3.0)
            assert kept.states == [LoginState.OK]
            assert (await world.row()).status is LoginState.OK


async def test_the_death_of_another_process_over_a_refresh_is_announced_within_five_seconds(
    world: World, lock: FileRefreshLock
) -> None:
    row = await world.log_in(left=timedelta(minutes=90))
    intent = sent_intent(row)
    await world.real_store.credentials.intend(row, intent, reserve_bytes=10)
    async with lock(row):
        await world.real_store.credentials.mark_sent(row, intent.id)
        context = running(world, lock=lock)
        kept = await context.__aenter__()
        await world.clock.advance(3.0)
    await world.clock.advance(5.0)
    assert kept.states == [LoginState.OK, LoginState.UNCERTAIN]
    assert (await world.row()).status is LoginState.UNCERTAIN
    assert await kept.access() == "at-1"
    await context.__aexit__(None, None, None)
    assert world.refreshes == []


async def test_what_another_process_was_refreshing_is_taken_over_when_it_is_there(
    world: World, lock: FileRefreshLock
) -> None:
    await world.log_in(left=EXPIRED)

    async def wait() -> None:
        await world.clock.sleep(4.0)

    world.peer.hold = wait
    other = keeper_in(world, lock=lock)
    async with running(world, lock=lock) as kept:
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
