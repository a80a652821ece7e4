"""Old generations of a login leave every file, the log and the free pages included."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from botkit.model.tokens import CredentialKind
from botkit.ports import Store
from botkit.storage.opening import open_store
from botkit.storage.sqlite import engine as engines
from botkit.storage.sqlite import wal
from tests.storage.conformance.bench import ME, SuiteClock, credential, event, intent


def _mark(gen: int) -> bytes:
    return b"<secret of generation %d>" % gen * 60


def _found(folder: Path, gen: int) -> list[str]:
    return [
        path.name
        for path in folder.iterdir()
        if b"<secret of generation %d>" % gen in path.read_bytes()
    ]


@pytest.fixture
def rest(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set each time the writer had nothing to do and cleaned up."""
    rested = threading.Event()
    real = engines._Writer._idle

    def noted(self: engines._Writer) -> None:
        real(self)
        rested.set()

    monkeypatch.setattr(engines._Writer, "_idle", noted)
    monkeypatch.setattr(wal, "IDLE_S", 0.02)
    return rested


async def _cleaned(store: Store, rest: threading.Event) -> None:
    rest.clear()
    await store.progress.clear_reports()
    assert await asyncio.to_thread(rest.wait, 10)


async def test_only_the_present_generation_is_in_any_file(
    tmp_path: Path, rest: threading.Event
) -> None:
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=SuiteClock()) as store:
        row = await store.credentials.replace(credential(1, sealed=_mark(1)))
        for gen in range(1, 4):
            await store.credentials.intend(row, intent(f"i{gen}", gen), reserve_bytes=3000)
            row = credential(gen + 1, sealed=_mark(gen + 1))
            await store.credentials.store_result(row, f"i{gen}")
            await store.events.append([event(f"e{gen}", body=bytes(5000))])
        await _cleaned(store, rest)
        for gen in range(1, 4):
            assert await asyncio.to_thread(_found, tmp_path, gen) == []
        assert await asyncio.to_thread(_found, tmp_path, 4)


async def test_a_removed_login_is_in_no_file(tmp_path: Path, rest: threading.Event) -> None:
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=SuiteClock()) as store:
        await store.credentials.replace(credential(1, sealed=_mark(1)))
        await _cleaned(store, rest)
        assert await asyncio.to_thread(_found, tmp_path, 1)
        await store.credentials.remove(ME, "default", CredentialKind.OAUTH2)
        await _cleaned(store, rest)
        assert await asyncio.to_thread(_found, tmp_path, 1) == []


async def test_the_login_of_a_removed_account_is_in_no_file(
    tmp_path: Path, rest: threading.Event
) -> None:
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=SuiteClock()) as store:
        await store.credentials.replace(credential(1, sealed=_mark(1)))
        await _cleaned(store, rest)
        await store.accounts.remove(ME)
        await _cleaned(store, rest)
        assert await asyncio.to_thread(_found, tmp_path, 1) == []


async def test_what_was_sealed_with_the_old_key_is_in_no_file(
    tmp_path: Path, rest: threading.Event
) -> None:
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=SuiteClock()) as store:
        row = await store.credentials.replace(credential(1, sealed=_mark(1)))
        await _cleaned(store, rest)
        assert await store.credentials.reseal(row, replace(row, sealed=_mark(2)))
        await _cleaned(store, rest)
        assert await asyncio.to_thread(_found, tmp_path, 1) == []
        assert await asyncio.to_thread(_found, tmp_path, 2)


async def test_a_login_that_another_replaced_is_in_no_file(
    tmp_path: Path, rest: threading.Event
) -> None:
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=SuiteClock()) as store:
        await store.credentials.replace(credential(1, sealed=_mark(1)))
        await _cleaned(store, rest)
        for gen in (2, 3):
            await store.credentials.replace(credential(gen, sealed=_mark(gen)))
        await _cleaned(store, rest)
        for gen in (1, 2):
            assert await asyncio.to_thread(_found, tmp_path, gen) == []
        assert await asyncio.to_thread(_found, tmp_path, 3)


async def test_the_log_is_not_cut_while_a_refresh_counts_on_its_room(
    tmp_path: Path, rest: threading.Event
) -> None:
    file = tmp_path / "bot.db-wal"
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=SuiteClock()) as store:
        row = await store.credentials.replace(credential(1, sealed=_mark(1)))
        await store.credentials.intend(row, intent(), reserve_bytes=3000)
        await _cleaned(store, rest)
        assert (await asyncio.to_thread(file.stat)).st_size > 128 * 1024
        await store.credentials.store_result(credential(2, sealed=_mark(2)), "i1")
        await _cleaned(store, rest)
        assert (await asyncio.to_thread(file.stat)).st_size == 0
        assert await asyncio.to_thread(_found, tmp_path, 1) == []


async def test_nothing_of_the_log_is_left_after_closing(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=SuiteClock()) as store:
        await store.credentials.replace(credential(1, sealed=_mark(1)))
        await store.credentials.replace(credential(2, sealed=_mark(2)))
    assert await asyncio.to_thread(_found, tmp_path, 1) == []
    assert await asyncio.to_thread(_found, tmp_path, 2) == ["bot.db"]
