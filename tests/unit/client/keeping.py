"""A keeper of logins in a test's world, with its heap task or without."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botkit.client.refresh.token_keeper import TokenKeeper
from botkit.model.records import Intent
from tests.unit.client.fakes import APPS, GREETER, World, json_answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from botkit.client.logins.oauth2_login import LoginStatus
    from botkit.model.tokens import LoginState

__all__ = [
    "EXPIRED",
    "LAST_MINUTE",
    "TOKEN",
    "WRONG_SECRET",
    "Groups",
    "Kept",
    "keeper_in",
    "running",
    "sent_intent",
]

TOKEN = "POST /2/oauth2/token"
LAST_MINUTE = timedelta(seconds=50)
EXPIRED = timedelta(0)
WRONG_SECRET = json_answer(
    401,
    {"error": "unauthorized_client", "error_description": "Missing valid authorization header"},
)


class Kept:
    """A keeper in the test's world, and what it told."""

    def __init__(self, keeper: TokenKeeper, changes: list[LoginStatus]) -> None:
        self.keeper = keeper
        self.changes = changes

    @property
    def states(self) -> list[LoginState]:
        return [change.status for change in self.changes]

    async def access(self) -> str:
        return (await self.keeper.access_token(GREETER.id)).reveal()


class Groups:
    """The store as a keeper of logins sees it."""

    def __init__(self, world: World) -> None:
        self.credentials = world.credentials
        self.accounts = world.accounts
        self.leases = world.leases


def keeper_in(world: World, **more: Any) -> Kept:
    changes: list[LoginStatus] = []
    more.setdefault("apps", APPS)
    more.setdefault("check_owner", False)
    keeper = TokenKeeper(
        Groups(world),  # type: ignore[arg-type]
        world.vault,
        world.peer,
        world.clock,
        world.entropy,
        on_change=changes.append,
        **more,
    )
    return Kept(keeper, changes)


@asynccontextmanager
async def running(world: World, **more: Any) -> AsyncIterator[Kept]:
    """A keeper with its heap task, at rest."""
    kept = keeper_in(world, **more)
    async with kept.keeper:
        task = asyncio.get_running_loop().create_task(kept.keeper.run())
        await world.clock.at_rest()
        yield kept
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def sent_intent(row: Any) -> Intent:
    return Intent(
        id="i-1", gen=row.gen, refresh_hash="h", owner="other", boot_id="b", started=row.since
    )
