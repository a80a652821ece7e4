"""A full or read-only volume: said with the cure, nothing half done, and over when it is over."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from botkit.errors import StoreUnavailable
from botkit.storage.conformance.bench import (
    T0,
    SuiteClock,
    credential,
    event,
    intent,
    lease,
    raised,
    write,
)
from botkit.storage.opening import open_store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount a small volume"
    ),
]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "volume"
    place.mkdir()
    try:
        _run("mount", "-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs", str(place))
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets nobody mount a volume")
    yield place
    _run("umount", str(place))


def _fill(volume: Path) -> Path:
    """Leave not one free block."""
    ballast = volume / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 4096, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    return ballast


async def test_a_full_disk_refuses_and_is_used_again_when_there_is_room(volume: Path) -> None:
    async with open_store(f"sqlite:///{volume}/bot.db", clock=SuiteClock()) as store:
        fence = await lease(store)
        await store.events.append([event("before")])
        ballast = await asyncio.to_thread(_fill, volume)
        told = {"before"}
        for n in range(50):
            try:
                await store.events.append([event(f"e{n}", body=bytes(50_000))])
            except StoreUnavailable as error:
                refusal = error
                break
            told.add(f"e{n}")
        assert "the disk is full" in refusal.message
        assert "Free some space" in refusal.hint
        big = write(body=bytes(100_000))
        await raised(StoreUnavailable, store.writes.begin(big, now=T0, fence=fence))
        assert {item.key for item in await store.events.due(T0)} == told
        await asyncio.to_thread(ballast.unlink)
        await store.events.append([event("after")])
        assert {item.key for item in await store.events.due(T0)} == {*told, "after"}
        assert await store.writes.listing() == []


async def test_no_token_is_spent_when_its_successor_could_not_be_stored(volume: Path) -> None:
    async with open_store(f"sqlite:///{volume}/bot.db", clock=SuiteClock()) as store:
        row = await store.credentials.replace(credential(sealed=bytes(1084)))
        await asyncio.to_thread(_fill, volume)
        attempt = store.credentials.intend(row, intent(), reserve_bytes=4096)
        await raised(StoreUnavailable, attempt)
        assert await store.credentials.listing() == [row]


async def test_once_an_intent_is_written_the_result_fits_whatever_fills_the_disk(
    volume: Path,
) -> None:
    async with open_store(f"sqlite:///{volume}/bot.db", clock=SuiteClock()) as store:
        row = await store.credentials.replace(credential(sealed=bytes(1084)))
        for gen in range(1, 4):
            await store.credentials.intend(row, intent(f"i{gen}", gen), reserve_bytes=4096)
            ballast = await asyncio.to_thread(_fill, volume)
            await store.credentials.mark_sent(row, f"i{gen}")
            row = credential(gen + 1, sealed=os.urandom(4096))
            await store.credentials.store_result(row, f"i{gen}")
            assert await store.credentials.listing() == [row]
            await asyncio.to_thread(ballast.unlink)


async def test_a_new_store_on_a_full_disk_leaves_nothing_behind(volume: Path) -> None:
    ballast = await asyncio.to_thread(_fill, volume)
    with pytest.raises(StoreUnavailable):
        async with open_store(f"sqlite:///{volume}/bot.db", clock=SuiteClock()):
            pass
    assert await asyncio.to_thread(os.listdir, volume) == ["ballast"]
    await asyncio.to_thread(ballast.unlink)
    async with open_store(f"sqlite:///{volume}/bot.db", clock=SuiteClock()) as store:
        await store.events.append([event()])


async def test_a_read_only_volume_is_named_as_such(volume: Path) -> None:
    url = f"sqlite:///{volume}/bot.db"
    async with open_store(url, clock=SuiteClock()) as store:
        await store.events.append([event()])
    await asyncio.to_thread(_run, "mount", "-o", "remount,ro", str(volume))
    before = await asyncio.to_thread((volume / "bot.db").read_bytes)
    with pytest.raises(StoreUnavailable) as caught:
        async with open_store(url, clock=SuiteClock()) as store:
            await store.events.append([event("b")])
    assert caught.value.hint
    with pytest.raises(StoreUnavailable, match="Read-only"):
        async with open_store(f"sqlite:///{volume}/new.db", clock=SuiteClock()):
            pass
    assert await asyncio.to_thread((volume / "bot.db").read_bytes) == before
    await asyncio.to_thread(_run, "mount", "-o", "remount,rw", str(volume))
    async with open_store(url, clock=SuiteClock()) as store:
        assert await store.events.append([event("b")]) == [2]
