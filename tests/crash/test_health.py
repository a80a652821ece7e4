"""What a running bot says of itself when something under it goes away, seen from outside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.crash.conftest import Machine, World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


def test_a_bot_whose_store_is_removed_ends_within_seconds_with_5(
    world: World, machine: Machine, until
):
    process = machine.run()
    until(world.listeners)
    place = world.environment.get("BOTKIT_STORE__URL", f"sqlite:///{machine.folder}/botkit.db")
    store = Path(place.removeprefix("sqlite:///"))

    for suffix in ("", "-wal", "-shm"):
        Path(f"{store}{suffix}").unlink()

    assert process.wait(10) == 5
    last = machine.said().splitlines()[-1]
    assert last.startswith(f"botkit: The store {store} ")
    assert "was removed while it was in use. Put the file back" in last
    assert "Traceback" not in machine.said()
