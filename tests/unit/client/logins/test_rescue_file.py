"""The rescue file: its room is there before it is needed, and what it holds is whole or nothing."""

from __future__ import annotations

import errno
import os
import stat
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from botkit.client.logins.rescue_file import Rescued, RescueFile, RescueRestorer
from botkit.model.records import CredentialRow
from botkit.model.tokens import CredentialKind
from tests.syncs import recorded_syncs
from tests.unit.client.fakes import MemoryRescue, World

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2025, 12, 11, tzinfo=UTC)


def entry(gen: int, *, account: str = "1999", unread_answer: bool = False) -> Rescued:
    row = CredentialRow(
        account_id=account,
        app="default",
        kind=CredentialKind.OAUTH2,
        gen=gen,
        sealed=bytes(range(256)),
        since=NOW,
        granted_at=NOW,
    )
    return Rescued(row=row, intent_id="i", unread_answer=unread_answer)


async def test_what_is_kept_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "bot.db.rescue"
    assert await RescueFile(path).load() == []
    await RescueFile(path).keep([entry(1), entry(2, account="7")])
    assert await RescueFile(path).load() == [entry(1), entry(2, account="7")]
    await RescueFile(path).keep([])
    assert await RescueFile(path).load() == []


@pytest.mark.skipif(sys.platform != "linux", reason="names of open files are Linux's")
async def test_what_is_kept_is_on_the_disk(tmp_path: Path) -> None:
    rescue = RescueFile(tmp_path / "bot.db.rescue")
    await rescue.load()
    with recorded_syncs() as steps:
        await rescue.keep([entry(1)])
    assert steps == [("sync", str(tmp_path / "bot.db.rescue"))]


async def test_the_room_is_taken_at_the_start_and_only_the_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "bot.db.rescue"
    before = os.umask(0)
    try:
        await RescueFile(path).load()
    finally:
        os.umask(before)
    assert path.stat().st_size == 64 * 1024
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await RescueFile(path).keep([entry(1)])
    assert path.stat().st_size == 64 * 1024


@pytest.mark.parametrize("cut_bytes", [0, 5, 20, 40, 200])
async def test_a_damaged_file_holds_nothing(tmp_path: Path, cut_bytes: int) -> None:
    path = tmp_path / "bot.db.rescue"
    await RescueFile(path).keep([entry(1)])
    path.write_bytes(path.read_bytes()[:cut_bytes])
    assert await RescueFile(path).load() == []


async def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"")
    (tmp_path / "bot.db.rescue").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic"):
        await RescueFile(tmp_path / "bot.db.rescue").keep([entry(1)])


async def test_a_write_in_part_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", lambda *_: 3)
    with pytest.raises(OSError, match="in part") as caught:
        await RescueFile(tmp_path / "rescue").keep([entry(1)])
    assert caught.value.errno == errno.ENOSPC


class Unreadable(MemoryRescue):
    async def load(self) -> list[Rescued]:
        raise OSError(errno.EIO, "Input/output error")


async def test_an_unreadable_place_is_said_and_does_not_stop_the_start(world: World) -> None:
    restorer = RescueRestorer(Unreadable(), world.rows)
    assert await restorer.restore() == []


async def test_without_a_place_memory_is_all_there_is(world: World) -> None:
    restorer = RescueRestorer(None, world.rows)
    assert await restorer.restore() == []
    assert not await restorer.keep(entry(2))


async def test_a_newer_entry_of_a_login_replaces_the_older_and_unread_answers_are_bounded(
    world: World,
) -> None:
    rescue = MemoryRescue()
    restorer = RescueRestorer(rescue, world.rows)
    for gen in range(30):
        await restorer.keep(entry(gen, unread_answer=True))
    await restorer.keep(entry(2))
    await restorer.keep(entry(3))
    await restorer.keep(entry(9, account="7"))
    kept = [one.row.gen for one in rescue.entries if not one.unread_answer]
    assert kept == [3, 9]
    assert len(rescue.entries) <= 20


async def test_an_entry_that_the_store_is_past_is_dropped(world: World) -> None:
    await world.log_in(gen=1)
    await world.log_in(gen=2)
    rescue = MemoryRescue()
    rescue.entries = [entry(2)]
    restorer = RescueRestorer(rescue, world.rows)
    assert await restorer.restore() == []
    assert rescue.entries == []
    assert (await world.row()).sealed != entry(2).row.sealed
