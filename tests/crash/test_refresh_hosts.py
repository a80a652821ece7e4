"""Two machines with one store, of which one stands still for about as long as its lease lasts.

The processes of each have kernel locks of their own, and know nothing of the other's processes.
Source: docs/explanation/requirements.md, F10 and F12.
`CRASH_ROUNDS` makes more rounds; leases last two seconds here instead of sixty.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from botkit.model.tokens import LoginState
from tests.crash.peer import Peer
from tests.crash.refreshing import DUE, OVER, Refreshers, log_in, settled

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "4"))  # noqa: TID251 - a test's own knob
TTL_S = 2.0
OFF = 5 / 60
"""Five seconds of a lease of sixty."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60 + 15 * ROUNDS)]


@pytest.fixture
def hosts(tmp_path: Path, peer: Peer) -> Iterator[tuple[Refreshers, Refreshers]]:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    with ExitStack() as stack:
        opened = [
            stack.enter_context(
                closing(
                    Refreshers(
                        folder,
                        peer,
                        REFRESHER_HOST=str(folder / f"host-{name}"),
                        REFRESHER_TTL_S=str(TTL_S),
                    )
                )
            )
            for name in "ab"
        ]
        yield opened[0], opened[1]


def test_a_holder_that_stands_still_for_about_its_lease_leads_to_no_second_sending(
    hosts: tuple[Refreshers, Refreshers], peer: Peer
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    for number in range(ROUNDS):
        left = (OVER, DUE)[number % 2]
        asyncio.run(log_in(hosts[0], peer, left))
        for host in hosts:
            host.fork()
        _stand_still(hosts, peer, chance, over_the_answer=number % 4 in {0, 1})
        ends = [host.ends() for host in hosts]
        where = f"round {number}, seed {seed}: {ends}, {peer.sent}"
        assert (peer.reused, len(peer.sent) <= 1) == (0, True), where
        assert all(code == 0 for ((code, _),) in ends), where
        assert all(token in peer.living for ((_, token),) in ends), where
        state, _, token = asyncio.run(settled(hosts[0]))
        assert (peer.reused, token in peer.living) == (0, True), where
        # Stopped between its mark and its bytes it sent nothing, and the other could not know.
        assert (state, len(peer.sent)) in {(LoginState.OK, 1), (LoginState.UNCERTAIN, 0)}, where


def _stand_still(
    hosts: tuple[Refreshers, Refreshers],
    peer: Peer,
    chance: random.Random,
    *,
    over_the_answer: bool,
) -> None:
    """The first machine's process is stopped, the second's starts, the first's goes on."""
    first, second = hosts
    (pid,) = first.pids
    if over_the_answer:
        peer.answers.clear()
        first.go()
        assert peer.arrived.wait(20)
    else:
        first.go()
        time.sleep(chance.uniform(0.0, 0.1))  # noqa: TID251 - wherever it is then
    os.kill(pid, signal.SIGSTOP)
    peer.answers.set()
    second.go()
    time.sleep(TTL_S * (1 + chance.uniform(-OFF, OFF)))  # noqa: TID251
    os.kill(pid, signal.SIGCONT)
