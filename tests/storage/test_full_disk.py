"""A full or read-only volume: said with the cure, nothing half done, and over when it is over."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from botkit.errors import StoreUnavailable
from botkit.storage.opening import open_store
from tests.storage.conformance.bench import (
    T0,
    SuiteClock,
    credential,
    event,
    intent,
    lease,
    raised,
    write,
)
from tests.volumes import fill, remount, small_volume

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount a small volume"
    ),
]


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    with small_volume(tmp_path / "volume") as place:
        yield place


async def test_a_full_disk_refuses_and_is_used_again_when_there_is_room(volume: Path) -> None:
    async with open_store(f"sqlite:///{volume}/bot.db", clock=SuiteClock()) as store:
        fence = await lease(store)
        await store.events.append([event("before")])
        ballast = await asyncio.to_thread(fill, volume)
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
        assert {item.key for item in (await store.events.due(T0)).items} == told
        await asyncio.to_thread(ballast.unlink)
        await store.events.append([event("after")])
        assert {item.key for item in (await store.events.due(T0)).items} == {*told, "after"}
        assert await store.writes.listing() == []


async def test_no_token_is_spent_when_its_successor_could_not_be_stored(volume: Path) -> None:
    async with open_store(f"sqlite:///{volume}/bot.db", clock=SuiteClock()) as store:
        row = await store.credentials.replace(credential(sealed=bytes(1084)))
        await asyncio.to_thread(fill, volume)
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
            ballast = await asyncio.to_thread(fill, volume)
            await store.credentials.mark_sent(row, f"i{gen}")
            row = credential(gen + 1, sealed=os.urandom(4096))
            await store.credentials.store_result(row, f"i{gen}")
            assert await store.credentials.listing() == [row]
            await asyncio.to_thread(ballast.unlink)


async def test_a_new_store_on_a_full_disk_leaves_nothing_behind(volume: Path) -> None:
    ballast = await asyncio.to_thread(fill, volume)
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
    await asyncio.to_thread(remount, volume, "ro")
    before = await asyncio.to_thread((volume / "bot.db").read_bytes)
    with pytest.raises(StoreUnavailable) as caught:
        async with open_store(url, clock=SuiteClock()) as store:
            await store.events.append([event("b")])
    assert caught.value.hint
    with pytest.raises(StoreUnavailable, match="Read-only"):
        async with open_store(f"sqlite:///{volume}/new.db", clock=SuiteClock()):
            pass
    assert await asyncio.to_thread((volume / "bot.db").read_bytes) == before
    await asyncio.to_thread(remount, volume, "rw")
    async with open_store(url, clock=SuiteClock()) as store:
        assert await store.events.append([event("b")]) == [2]
