"""One rotating token, many processes, and death at every step of its refresh.

Source: docs/explanation/requirements.md, F1 to F11.
`CRASH_ROUNDS` and `CRASH_PROCESSES` make more of the races, `CRASH_EVERY_CALL=1` dies at every
system call instead of those that write, send or lock.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from botkit.errors import InvalidGrant
from botkit.model.tokens import LoginState
from tests.crash.peer import Peer
from tests.crash.refreshing import DUE, OVER, Refreshers, log_in, settled, traced

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "3"))  # noqa: TID251 - a test's own knob
PROCESSES = int(os.environ.get("CRASH_PROCESSES", "8"))  # noqa: TID251
EVERY_CALL = bool(os.environ.get("CRASH_EVERY_CALL"))  # noqa: TID251

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600 if EVERY_CALL else 300)]

WRITING = (
    *("pwrite64", "write", "fdatasync", "fsync", "ftruncate", "fallocate", "rename", "flock"),
    *("connect", "sendto", "recvfrom"),
)


# ---- races ---------------------------------------------------------------------------------------


def test_many_processes_with_an_expired_token_refresh_it_once_each_round(
    refreshers: Refreshers, peer: Peer
) -> None:
    for _ in range(ROUNDS):
        asyncio.run(log_in(refreshers, peer, OVER))
        refreshers.fork(PROCESSES)
        refreshers.go()
        ends = refreshers.ends()
        assert {code for code, _ in ends} == {0}, ends
        assert {token for _, token in ends} == {f"at-{peer.number}"}
        assert len(peer.sent) == 1
        assert peer.reused == 0


def test_a_holder_that_stands_still_is_waited_for_and_its_result_taken_over(
    refreshers: Refreshers, peer: Peer
) -> None:
    asyncio.run(log_in(refreshers, peer, OVER))
    peer.answers.clear()
    pids = refreshers.fork(3)
    refreshers.go()
    assert peer.arrived.wait(20)
    with closing(sqlite3.connect(refreshers.folder / "botkit.db")) as connection:
        ((owner,),) = connection.execute("SELECT owner FROM lease WHERE name LIKE 'refresh:%'")
    holder = int(owner.split("/")[2])
    assert holder in pids
    os.kill(holder, signal.SIGSTOP)
    peer.answers.set()
    time.sleep(1.0)  # noqa: TID251 - the others' time to do wrong
    assert len(peer.sent) == 1
    os.kill(holder, signal.SIGCONT)
    ends = refreshers.ends()
    assert {token for _, token in ends} == {f"at-{peer.number}"}, ends
    assert (len(peer.sent), peer.reused) == (1, 0)


@pytest.mark.parametrize("left", [DUE, OVER], ids=["due", "over"])
def test_the_next_process_goes_on_at_once_when_the_holder_is_killed_over_the_answer(
    refreshers: Refreshers, peer: Peer, left: timedelta
) -> None:
    asyncio.run(log_in(refreshers, peer, left))
    peer.answers.clear()
    (holder,) = refreshers.fork()
    refreshers.go()
    assert peer.arrived.wait(20)
    os.kill(holder, signal.SIGKILL)
    refreshers.ends()
    peer.answers.set()
    begun = time.monotonic()  # noqa: TID251 - other processes live in real time
    if left > OVER:
        state, _, token = asyncio.run(settled(refreshers))
        # The old access token works: it is served, nothing is sent, and it is said at once.
        assert (state, token, len(peer.sent)) == (LoginState.UNCERTAIN, "at-2", 1)
    else:
        with pytest.raises(InvalidGrant, match="dead"):
            asyncio.run(settled(refreshers))
        assert len(peer.sent) == 2
    assert time.monotonic() - begun < 5.0  # noqa: TID251


def test_real_commands_beside_a_running_bot_refresh_it_once(
    world: Any, machine: Any, until: Any
) -> None:
    import json

    machine.run()
    until(machine.starts)
    with sqlite3.connect(machine.folder / "botkit.db") as connection:
        connection.execute(
            "UPDATE credential SET access_until = since, granted_at = since - 3600000000, "
            "last_success = since - 3600000000"
        )
    connection.close()
    checks = [
        machine.start(
            "accounts", "check", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]
    for check in checks:
        out, err = check.communicate(timeout=60)
        assert check.returncode == 0, out + err
        (found,) = json.loads(out)
        assert found["logins"][0]["generation"] == 2, out


# ---- kill -9 at every step -----------------------------------------------------------------------


def _calls(strace: str, refreshers: Refreshers, peer: Peer, trace: Path) -> list[str]:
    """The system calls of one refresh, by name."""
    asyncio.run(log_in(refreshers, peer, DUE))
    (pid,) = refreshers.fork()
    with traced(strace, pid, "-o", str(trace)):
        refreshers.go()
        assert refreshers.ends() == [(0, f"at-{peer.number}")]
    names = (line.split()[1].partition("(")[0] for line in trace.read_text().splitlines())
    return sorted({name for name in names if name.isidentifier()} - {"exit", "exit_group"})


def test_killed_at_any_system_call_of_a_refresh_it_spends_no_token_twice_and_loses_none_silently(
    strace: str, refreshers: Refreshers, peer: Peer, tmp_path: Path
) -> None:
    names = _calls(strace, refreshers, peer, tmp_path / "trace")
    killed, unknown = 0, 0
    for name in names if EVERY_CALL else [name for name in names if name in WRITING]:
        for at in range(1, 1000):
            asyncio.run(log_in(refreshers, peer, DUE))
            (pid,) = refreshers.fork()
            death = f"inject={name}:signal=KILL:when={at}"
            with traced(strace, pid, "-e", f"trace={name}", "-e", death):
                refreshers.go()
                ((code, _),) = refreshers.ends()
            if code == 0:
                break
            killed += 1
            unknown += _survived(refreshers, peer, where=f"{name} {at}")
    assert killed > 20
    # Only between the mark and its synced result is it not known how it ended.
    assert 0 < unknown < killed / 2


def _survived(refreshers: Refreshers, peer: Peer, *, where: str) -> bool:
    """What the next start finds is as it must be; gives whether it is UNCERTAIN."""
    sent_before = len(peer.sent)
    state, gen, token = asyncio.run(settled(refreshers))
    assert peer.reused == 0, where
    assert len(peer.sent) <= 1 or state is LoginState.OK, where
    assert token in peer.living, where
    assert gen > 0
    if state is LoginState.UNCERTAIN:
        assert len(peer.sent) == sent_before, f"{where}: sent again while the old token lived"
        return True
    assert state is LoginState.OK, where
    assert len(peer.sent) == 1, where
    return False
