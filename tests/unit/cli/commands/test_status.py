"""`botkit status` beside whoever holds a role in the store."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from botkit.cli import main
from botkit.config import load_settings
from botkit.storage import open_store
from botkit.system import SystemClock

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Desk

COMMAND, BOT = "box/boot/4711/1/cafe", "box/boot/42/1/beef"


async def _status(*words: str, **roles: str) -> int:
    """The command's exit code, while these roles are held."""
    settings = await asyncio.to_thread(load_settings)
    async with open_store(settings.store_url, clock=SystemClock(), create=False) as store:
        for name, owner in roles.items():
            await store.leases.acquire(name, owner, ttl=timedelta(minutes=1))
        return await asyncio.to_thread(main, ["status", *words])


def test_who_refreshes_the_logins_is_named_when_it_is_not_the_runner(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.log_in()
    asyncio.run(_status(keeper=COMMAND))
    assert "keeper   process 4711 on box refreshes the logins" in capsys.readouterr().out
    asyncio.run(_status("--json", keeper=COMMAND))
    assert json.loads(capsys.readouterr().out)["keeper"] == COMMAND


def test_a_runner_that_refreshes_its_logins_is_no_news(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.log_in()
    asyncio.run(_status(keeper=BOT, runner=BOT))
    said = capsys.readouterr().out
    assert "runner   process 42 on box" in said
    assert "keeper" not in said
