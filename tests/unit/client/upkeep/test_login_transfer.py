"""A login leaves for another machine whole, or not at all."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from botkit.client.logins.app_tokens import keep_bearer
from botkit.client.upkeep.login_transfer import hand_over, pack, take_over
from botkit.errors import ConfigError
from botkit.model.tokens import CredentialKind, LoginState, Secret
from tests.unit.client.fakes import GREETER, World
from tests.unit.client.keeping import keeper_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from botkit.client.refresh.refresh_lock import Held
    from botkit.model.records import CredentialRow


async def test_an_account_without_a_login_of_its_own_has_none_that_could_leave(
    world: World,
) -> None:
    await keep_bearer(world.rows, "default", Secret("B-1"), now=world.clock.now())
    async with keeper_in(world).keeper as keeper:
        with pytest.raises(ConfigError, match="has no login that could leave"):
            await hand_over(keeper, GREETER)


async def test_a_login_comes_in_as_it_left_and_under_its_lock(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await world.log_in()
    async with keeper_in(world).keeper as keeper:
        parcel = await pack(keeper, GREETER, [row])
    doubted = tuple(
        replace(login, status=LoginState.UNCERTAIN, reason="asked") for login in parcel.logins
    )
    await world.real_store.credentials.remove(row.account_id, row.app, row.kind)
    locked: list[CredentialKind] = []
    async with keeper_in(world).keeper as keeper:
        lock = keeper.lock

        @asynccontextmanager
        async def noted(of: CredentialRow) -> AsyncIterator[Held]:
            async with lock(of) as held:
                assert await world.real_store.credentials.listing() == []
                yield held
                assert len(await world.real_store.credentials.listing()) == 1
            locked.append(of.kind)

        monkeypatch.setattr(keeper, "lock", noted)
        await take_over(keeper, replace(parcel, logins=doubted), app="default")
    came = await world.row()
    assert locked == [row.kind]
    assert (came.status, came.reason) == (LoginState.UNCERTAIN, "asked")
    assert (came.scopes, came.access_until) == (row.scopes, row.access_until)
    assert (came.granted_at, came.last_success) == (row.granted_at, row.last_success)
