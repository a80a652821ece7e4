"""A refresh whose disk fails: nothing is sent, or the new token survives and is used.

Source: docs/explanation/requirements.md, F7 and F11.
`CRASH_EVERY_CALL=1` gives each call each of the errors, instead of one of them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from botkit.model.tokens import LoginState
from tests.crash.peer import Peer
from tests.crash.refreshing import DUE, Refreshers, log_in, settled, traced
from tests.volumes import fill, remount, small_volume

EVERY_CALL = bool(os.environ.get("CRASH_EVERY_CALL"))  # noqa: TID251 - a test's own knob

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600 if EVERY_CALL else 300)]

ERRORS = ("ENOSPC", "EIO", "EROFS")
WRITING = (
    *("openat", "pwrite64", "fdatasync", "fsync", "ftruncate", "fallocate", "rename", "flock"),
    *("fchmod", "unlink"),
)


def _after(refreshers: Refreshers, peer: Peer, *, where: str) -> None:
    """What the next start finds once the disk works."""
    sent = len(peer.sent)
    state, _, token = asyncio.run(settled(refreshers))
    assert peer.reused == 0, where
    assert (state, len(peer.sent)) == (LoginState.OK, 1), f"{where}: {sent} sent before"
    assert token == f"at-{peer.number}", where


def test_an_error_at_any_writing_call_costs_no_token(
    strace: str, refreshers: Refreshers, peer: Peer
) -> None:
    struck = 0
    for name in WRITING:
        for at in range(1, 1000):
            errors = ERRORS if EVERY_CALL else (ERRORS[(struck + at) % 3],)
            hits = [_strike(strace, refreshers, peer, name, error, at) for error in errors]
            struck += sum(hits)
            if not all(hits):
                break
    assert struck > 40


def test_a_store_that_cannot_be_synced_any_more_leaves_the_token_in_the_rescue_file(
    strace: str, refreshers: Refreshers, peer: Peer
) -> None:
    sent: set[bool] = set()
    for at in range(1, 1000):
        if not _strike(strace, refreshers, peer, "fdatasync", "EIO", at, ever_since="+"):
            break
        sent.add("rescued=True" in refreshers.log.read_text())
        refreshers.log.write_text("")
    assert sent == {True, False}


def _strike(
    strace: str,
    refreshers: Refreshers,
    peer: Peer,
    name: str,
    error: str,
    at: int,
    ever_since: str = "",
) -> bool:
    """One refresh whose n-th call of that name fails; False when there are not so many."""
    asyncio.run(log_in(refreshers, peer, DUE))
    (pid,) = refreshers.fork()
    log = refreshers.folder / "strace"
    fault = f"inject={name}:error={error}:when={at}{ever_since}"
    with traced(strace, pid, "-e", f"trace={name}", "-e", fault, "-o", str(log)):
        refreshers.go()
        ((code, said),) = refreshers.ends()
    where = f"{name} {at} {error}: {code} {said}"
    if code == 0:
        assert said in {f"at-{peer.number}", f"at-{peer.number - len(peer.sent)}"}, where
    _after(refreshers, peer, where=where)
    return "(INJECTED)" in log.read_text()


# ---- real volumes --------------------------------------------------------------------------------


@pytest.fixture
def on_volume(tmp_path: Path, peer: Peer) -> Iterator[Refreshers]:
    """Refreshers whose store lies on a volume of its own; their logs do not."""
    with (
        small_volume(tmp_path / "volume") as volume,
        closing(Refreshers(volume, peer, log=tmp_path / "log")) as opened,
    ):
        yield opened


def test_on_a_disk_that_is_full_before_nothing_is_sent(on_volume: Refreshers, peer: Peer) -> None:
    asyncio.run(log_in(on_volume, peer, DUE))
    on_volume.fork()
    ballast = fill(on_volume.folder)
    on_volume.go()
    ((code, said),) = on_volume.ends()
    assert (code, peer.sent) == (1, []), said
    assert "disk is full" in said
    ballast.unlink()
    _after(on_volume, peer, where="full before")


def test_a_disk_that_fills_up_while_x_answers_has_room_for_the_answer(
    on_volume: Refreshers, peer: Peer
) -> None:
    asyncio.run(log_in(on_volume, peer, DUE))
    peer.answers.clear()
    on_volume.fork()
    on_volume.go()
    assert peer.arrived.wait(20)
    ballast = fill(on_volume.folder)
    peer.answers.set()
    assert on_volume.ends() == [(0, f"at-{peer.number}")]
    state, _, token = asyncio.run(settled(on_volume))
    assert (state, token, len(peer.sent)) == (LoginState.OK, f"at-{peer.number}", 1)
    ballast.unlink()
    _after(on_volume, peer, where="full while X answered")


def test_a_volume_that_is_read_only_at_the_start_sends_nothing(
    on_volume: Refreshers, peer: Peer
) -> None:
    asyncio.run(log_in(on_volume, peer, DUE))
    on_volume.fork()
    remount(on_volume.folder, "ro")
    on_volume.go()
    ((code, said),) = on_volume.ends()
    remount(on_volume.folder, "rw")
    assert (code, peer.sent) == (1, []), said
    _after(on_volume, peer, where="read-only")
