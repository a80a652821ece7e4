"""What a running bot says of itself when something under it goes away, seen from outside."""

from __future__ import annotations

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

    for file in machine.folder.glob("botkit.db*"):
        file.unlink()

    assert process.wait(10) == 5
    last = machine.said().splitlines()[-1]
    assert last.startswith(f"botkit: The store {machine.folder / 'botkit.db'} ")
    assert "was removed while it was in use. Put the file back" in last
    assert "Traceback" not in machine.said()
