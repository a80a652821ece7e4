"""What a second process does beside a running bot, and the settings that a bot finds."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from botkit.bot.compose_client import open_the_vault, open_x
from botkit.sandbox import SandboxTransport
from botkit.sandbox.harness.clock import SeededEntropy
from botkit.storage import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from botkit.client.logins.context import LoginContext
    from botkit.sandbox import Process, Sandbox

__all__ = ["surroundings_of", "write_settings"]


@asynccontextmanager
async def surroundings_of(sandbox: Sandbox, process: Process) -> AsyncIterator[LoginContext]:
    """The surroundings of a command beside the running bot, on a connection of its own."""
    home = process.home
    settings = await asyncio.to_thread(home.settings)
    async with open_store(home.store_url, clock=sandbox.clock, create=False) as store:
        vault = await open_the_vault(settings, store)
        transport = SandboxTransport(sandbox.server, sandbox.clock)
        entropy = SeededEntropy("again")
        async with open_x(
            settings, store, vault, transport=transport, clock=sandbox.clock, entropy=entropy
        ) as x:
            yield x.keeper.context


def write_settings(folder: Path, text: str, *, account: str = "greeter") -> None:
    """The botkit.toml that the sandbox's bot will find."""
    home = folder / "sandbox" / account
    home.mkdir(parents=True, exist_ok=True)
    (home / "botkit.toml").write_text(text)
