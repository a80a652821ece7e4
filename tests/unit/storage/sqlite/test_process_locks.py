"""A lease is free as soon as its holder has ended, and not before."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import struct
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from botkit.errors import LeaseLost
from botkit.storage.opening import open_store
from botkit.storage.sql.leases import Holder
from botkit.storage.sqlite import process_locks
from botkit.storage.sqlite.process_locks import ProcessLocks
from tests.storage.conformance.bench import SuiteClock, event, raised

if sys.platform != "win32":
    import fcntl

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's locks of Linux")

TTL = timedelta(seconds=10)
HOLDER = """
import asyncio, sys
from datetime import timedelta
from botkit.storage import open_store
from tests.storage.conformance.bench import SuiteClock

async def main():
    async with open_store(sys.argv[1], clock=SuiteClock()) as store:
        await store.leases.acquire("runner", "child", ttl=timedelta(seconds=10))
        print("held", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


def _child(url: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def _end(child: subprocess.Popen[str], number: int) -> None:
    child.send_signal(number)
    child.communicate()


async def test_the_lease_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bot.db"
    child = await asyncio.to_thread(_child, url)
    async with open_store(url, clock=SuiteClock()) as store:
        acquire = store.leases.acquire
        assert await acquire("runner", "me", ttl=TTL) is None
        assert await store.leases.holder("runner") == "child"
        await asyncio.to_thread(_end, child, signal.SIGKILL)
        assert await store.leases.holder("runner") is None
        fence = await acquire("runner", "me", ttl=TTL)
        assert fence is not None
        assert fence.epoch == 2


async def test_a_frozen_process_keeps_its_lease_until_its_time_is_over(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bot.db"
    child = await asyncio.to_thread(_child, url)
    clock = SuiteClock()
    async with open_store(url, clock=clock) as store:
        child.send_signal(signal.SIGSTOP)
        acquire = store.leases.acquire
        clock.move(TTL / 2)
        assert await acquire("runner", "me", ttl=TTL) is None
        clock.move(TTL / 2)
        fence = await acquire("runner", "me", ttl=TTL)
        assert fence is not None
        await asyncio.to_thread(_end, child, signal.SIGKILL)
        assert await store.leases.holder("runner") == "me"
        assert await store.events.append([event()], fence=fence) != [None]


async def test_a_patient_one_does_not_take_it_from_a_frozen_process_that_lives(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/bot.db"
    child = await asyncio.to_thread(_child, url)
    clock = SuiteClock()
    async with open_store(url, clock=clock) as store:
        child.send_signal(signal.SIGSTOP)
        acquire = store.leases.acquire
        clock.move(10 * TTL)
        assert await acquire("runner", "me", ttl=TTL, patient=True) is None
        await asyncio.to_thread(_end, child, signal.SIGKILL)
        assert await acquire("runner", "me", ttl=TTL, patient=True) is not None


async def test_a_deleted_lock_file_frees_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bot.db"
    child = await asyncio.to_thread(_child, url)
    await asyncio.to_thread(os.unlink, tmp_path / "bot.db-locks")
    clock = SuiteClock()
    async with open_store(url, clock=clock) as store:
        assert await store.leases.acquire("runner", "me", ttl=TTL) is None
        clock.move(TTL)
        assert await store.leases.acquire("runner", "me", ttl=TTL) is not None
    await asyncio.to_thread(_end, child, signal.SIGKILL)


async def test_a_process_of_the_same_name_does_not_share_the_lease(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bot.db"
    async with (
        open_store(url, clock=SuiteClock()) as one,
        open_store(url, clock=SuiteClock()) as other,
    ):
        first = await one.leases.acquire("runner", "bot", ttl=TTL)
        assert first is not None
        assert await other.leases.acquire("runner", "bot", ttl=TTL) is None
        again = await one.leases.acquire("runner", "bot", ttl=TTL)
        assert again is not None
        await raised(LeaseLost, one.leases.renew(first, ttl=TTL))


def test_each_lease_and_epoch_has_a_lock_of_its_own(tmp_path: Path) -> None:
    one, other = ProcessLocks(tmp_path / "a"), ProcessLocks(tmp_path / "a")
    mark = one.take("runner", 1)
    assert mark
    assert one.judge("runner", 1, mark) is Holder.OURS
    assert other.judge("runner", 1, mark) is Holder.ALIVE
    assert other.judge("runner", 2, mark) is Holder.DEAD
    assert other.judge("keeper", 1, mark) is Holder.DEAD
    assert other.judge("runner", 1, 0) is Holder.UNKNOWN
    assert other.take("runner", 1) == 0
    assert other.take("runner", 2) == mark
    one.drop("runner", 1)
    assert other.judge("runner", 1, mark) is Holder.DEAD
    one.close()
    other.close()
    other.drop("runner", 2)


def test_what_was_given_back_or_closed_is_no_longer_ours(tmp_path: Path) -> None:
    one, other = ProcessLocks(tmp_path / "a"), ProcessLocks(tmp_path / "a")
    mark = one.take("runner", 1)
    one.drop("runner", 1)
    assert one.judge("runner", 1, mark) is Holder.DEAD
    one.take("runner", 2)
    one.close()
    assert one.judge("runner", 2, mark) is Holder.DEAD
    assert other.take("runner", 2) == mark
    assert one.judge("runner", 2, mark) is Holder.ALIVE
    one.close()
    other.close()


def test_a_holder_of_whom_the_kernel_does_not_tell_counts_as_alive_until_its_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = ProcessLocks(tmp_path / "a")
    mark = locks.take("runner", 1)
    assert locks.judge("keeper", 1, mark) is Holder.DEAD

    def mute(*_: object) -> bytes:
        raise OSError(38, "Function not implemented")

    with monkeypatch.context() as during:
        during.setattr(process_locks.fcntl, "fcntl", mute)
        assert locks.judge("keeper", 1, mark) is Holder.ALIVE
        assert locks.take("keeper", 1) == 0
    locks.close()


def test_all_botkits_lock_the_same_byte_for_a_lease_and_epoch() -> None:
    """One of another version may hold the lease; an epoch stays within its lease's range."""
    first = 0xF92B8B3E << 20
    for epoch, start in ((1, first + 1), (7, first + 7), ((1 << 20) + 7, first + 7)):
        flock = process_locks._range("runner", epoch, fcntl.F_WRLCK)
        assert struct.unpack("hhqqi4x", flock) == (fcntl.F_WRLCK, os.SEEK_SET, start, 1, 0)


def test_no_thread_judges_a_lease_while_another_takes_or_drops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks, alone = ProcessLocks(tmp_path / "a"), list[bool]()
    real = fcntl.fcntl

    def noted(descriptor: int, what: int, flock: bytes) -> bytes | int:
        alone.append(locks._guard.locked())
        return real(descriptor, what, flock)

    monkeypatch.setattr(process_locks.fcntl, "fcntl", noted)
    mark = locks.take("runner", 1)
    locks.judge("keeper", 1, mark)
    locks.drop("runner", 1)
    assert alone == [True, True, True]
    monkeypatch.setattr(process_locks.os, "close", lambda _: alone.append(locks._guard.locked()))
    descriptor = locks._descriptor
    locks.close()
    monkeypatch.undo()
    assert descriptor is not None
    os.close(descriptor)
    assert alone == [True] * 4


def test_without_the_kernels_help_only_time_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = ProcessLocks(tmp_path / "missing" / "a")
    assert locks.take("runner", 1) == 0
    assert locks.judge("runner", 1, 7) is Holder.UNKNOWN
    monkeypatch.setattr(process_locks.sys, "platform", "darwin")
    assert ProcessLocks(tmp_path / "a").take("runner", 1) == 0


def test_the_lock_file_is_for_this_user_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert ProcessLocks(tmp_path / "a").take("runner", 1)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a-locks").stat().st_mode) == 0o600


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a-locks").symlink_to(tmp_path / "elsewhere")
    assert ProcessLocks(tmp_path / "a").take("runner", 1) == 0
    assert not (tmp_path / "elsewhere").exists()


def test_a_forked_child_does_not_keep_what_its_parent_gave_back(tmp_path: Path) -> None:
    one, other = ProcessLocks(tmp_path / "a"), ProcessLocks(tmp_path / "a")
    mark = one.take("runner", 1)
    assert one._descriptor is not None
    inherited = os.dup(one._descriptor)  # what a fork makes of it
    try:
        one.drop("runner", 1)
        assert other.judge("runner", 1, mark) is Holder.DEAD
    finally:
        os.close(inherited)
