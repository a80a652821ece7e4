"""An old store that was put back is noticed before its spent token is sent."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from typing import TYPE_CHECKING

import pytest
import structlog

from botkit.client.logins.context import LoginContext
from botkit.client.logins.rollback_guard import FileRollbackGuard, Seen
from botkit.client.signin.attempt import LoginWish
from botkit.client.signin.oauth2_attempt import OAuth2Attempt
from botkit.errors import InvalidGrant
from botkit.model.tokens import LoginState
from botkit.sandbox.harness.pauses import threads_counted
from tests.syncs import recorded_syncs
from tests.unit.client.fakes import APPS, SCOPES, World
from tests.unit.client.keeping import EXPIRED, LAST_MINUTE, keeper_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def witness(world: World, tmp_path: Path) -> AsyncIterator[FileRollbackGuard]:
    with threads_counted(world.clock):
        yield FileRollbackGuard(tmp_path / "witness")


async def _refreshed(world: World, witness: FileRollbackGuard, tmp_path: Path) -> None:
    """A login of generation 2, whose first generation was copied before."""
    await world.log_in(left=EXPIRED)
    row, tokens = await world.row(), await world.tokens()
    assert await keeper_in(world, rollback_guard=witness).access() == "at-2"
    # The copy comes back: the row of generation 1, as it was.
    await world.real_store.credentials.remove(row.account_id, row.app, row.kind)
    await world.log_in(left=EXPIRED, refresh_token=tokens["refresh_token"])


async def test_an_old_store_refreshes_nothing_and_says_so(
    world: World, witness: FileRollbackGuard, tmp_path: Path
) -> None:
    await _refreshed(world, witness, tmp_path)
    kept = keeper_in(world, rollback_guard=witness)
    with pytest.raises(InvalidGrant, match="an old store was put back"):
        await kept.access()
    assert world.refreshes == ["rt-1"]
    row = await world.row()
    assert (row.status, "generation 1" in row.reason) == (LoginState.DEAD, True)


async def test_it_is_said_at_the_start_though_the_access_token_lives(
    world: World, witness: FileRollbackGuard
) -> None:
    await world.log_in(left=LAST_MINUTE)
    row = await world.row()
    await witness.note(row, Seen(gen=7, hash="of another"))
    kept = keeper_in(world, rollback_guard=witness)
    await kept.keeper.reload()
    assert kept.states == [LoginState.DEAD]


async def test_two_copies_that_went_different_ways_are_told_apart(
    world: World, witness: FileRollbackGuard
) -> None:
    await world.log_in(left=EXPIRED)
    await witness.note(await world.row(), Seen(gen=1, hash="of the other copy"))
    with pytest.raises(InvalidGrant):
        await keeper_in(world, rollback_guard=witness).access()
    assert world.refreshes == []


async def test_after_an_old_store_a_new_login_is_good(
    world: World, witness: FileRollbackGuard, tmp_path: Path
) -> None:
    await _refreshed(world, witness, tmp_path)
    with pytest.raises(InvalidGrant):
        await keeper_in(world, rollback_guard=witness).access()
    context = LoginContext(
        store=world.real_store,
        vault=world.vault,
        transport=world.peer,
        clock=world.clock,
        entropy=world.entropy,
        apps=APPS,
        rollback_guard=witness,
    )
    attempt = OAuth2Attempt(
        context, LoginWish(redirect_uri="http://127.0.0.1:8765/callback", scopes=SCOPES)
    )
    state = attempt.url.partition("state=")[2].partition("&")[0]
    await attempt.finish(f"code=code-1&state={state}")
    kept = keeper_in(world, rollback_guard=witness)
    assert (await kept.access()).startswith("at-")
    assert kept.states == [LoginState.OK]


@pytest.mark.parametrize("known", [None, Seen(gen=1, hash="older")])
async def test_a_witness_that_is_behind_is_made_whole_with_a_warning(
    world: World, witness: FileRollbackGuard, known: Seen | None
) -> None:
    await world.log_in(left=LAST_MINUTE, gen=1)
    first = await world.row()
    assert await keeper_in(world).access() == "at-2"
    if known is not None:
        await witness.note(first, known)
    with structlog.testing.capture_logs() as logs:
        kept = keeper_in(world, rollback_guard=witness)
        await kept.keeper.reload()
    assert [line["log_level"] for line in logs if "rollback_guard" in line["event"]] == ["warning"]
    assert kept.states == [LoginState.OK]
    found = await witness.recall(await world.row())
    assert found is not None
    assert found.gen == 2


async def test_a_witness_that_cannot_be_written_costs_a_warning_and_no_login(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "witness").write_text("a file where the folder belongs")
    await world.log_in(left=EXPIRED)
    with structlog.testing.capture_logs() as logs, threads_counted(world.clock):
        kept = keeper_in(world, rollback_guard=FileRollbackGuard(tmp_path / "witness"))
        assert await kept.access() == "at-2"
    assert "rollback_guard.not_written" in [line["event"] for line in logs]


async def test_it_names_no_token_and_is_for_this_user_only(
    world: World, witness: FileRollbackGuard, tmp_path: Path
) -> None:
    await world.log_in(left=EXPIRED)
    await keeper_in(world, rollback_guard=witness).access()
    (file,) = (tmp_path / "witness").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    text = file.read_text()
    assert "rt-" not in text
    assert "at-" not in text


async def test_what_is_cut_or_forgotten_is_as_if_it_were_not_there(
    world: World, witness: FileRollbackGuard, tmp_path: Path
) -> None:
    row = await world.log_in()
    await witness.note(row, Seen(gen=1, hash="h"))
    (file,) = (tmp_path / "witness").iterdir()
    file.write_bytes(file.read_bytes()[:5])
    assert await witness.recall(row) is None
    await witness.note(row, Seen(gen=1, hash="h"))
    await witness.forget(row)
    await witness.forget(row)
    assert await witness.recall(row) is None
    shutil.rmtree(tmp_path / "witness")
    assert await witness.recall(row) is None


@pytest.mark.skipif(sys.platform != "linux", reason="names of open files are Linux's")
async def test_what_it_notes_is_on_the_disk(world: World, tmp_path: Path) -> None:
    row = await world.log_in()
    guard = FileRollbackGuard(tmp_path / "witness")
    with threads_counted(world.clock):
        await guard.note(row, Seen(gen=1, hash="a"))
        with recorded_syncs() as steps:
            await guard.note(row, Seen(gen=2, hash="b"))
    (path,) = (tmp_path / "witness").iterdir()
    assert steps == [("sync", "~"), ("rename", str(path)), ("sync", str(path.parent))]


async def test_no_file_stays_open_after_a_note_that_was_kept_or_that_failed(
    world: World, witness: FileRollbackGuard, tmp_path: Path
) -> None:
    row = await world.log_in()
    free = _lowest_free()
    await witness.note(row, Seen(gen=1, hash="h"))
    with pytest.raises(FileNotFoundError):
        await FileRollbackGuard(tmp_path / "nowhere" / "witness").note(row, Seen(gen=1, hash="h"))
    assert await witness.recall(row) == Seen(gen=1, hash="h")
    assert _lowest_free() == free


def _lowest_free() -> int:
    """The number that the next file to be opened gets."""
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor
