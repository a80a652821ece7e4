"""The vault key is rotated under a running bot, which goes on and refreshes."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.crash.conftest import Machine, World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_a_running_bot_goes_on_with_the_new_key_and_refreshes(
    world: World, machine: Machine, until: Any
) -> None:
    machine.run()
    until(machine.starts)
    done = machine.do("accounts", "rekey")
    assert done.returncode == 0, done.stderr
    until(lambda: "vault_key.renewed" in machine.said(), why=machine.said)
    with closing(sqlite3.connect(machine.folder / "botkit.db")) as connection, connection:
        connection.execute(
            "UPDATE credential SET access_until = since, granted_at = since - 3600000000, "
            "last_success = since - 3600000000"
        )
    check = machine.do("accounts", "check", "--json")
    assert check.returncode == 0, check.stderr
    assert json.loads(check.stdout)[0]["logins"][0]["generation"] == 2
    world.call("/sandbox/users", {"username": "ada"})
    world.says("ada", "@greeter hello 000001")
    until(world.replies, why=machine.said)
    assert "VaultKeyError" not in machine.said()
