"""The logins that a process holds follow those of the store."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from botkit.client.logins.rescue_file import Rescued
from botkit.errors import InvalidGrant, Parked
from botkit.model.tokens import CredentialKind, LoginState
from tests.unit.client.fakes import GREETER, MemoryRescue, World
from tests.unit.client.keeping import keeper_in


async def test_a_login_that_is_gone_from_the_store_is_told_and_used_no_more(world: World) -> None:
    row = await world.log_in()
    kept = keeper_in(world)
    await kept.keeper.reload()
    assert await kept.access() == "at-1"
    await world.real_store.credentials.remove(row.account_id, row.app, row.kind)
    await kept.keeper.reload()
    last = kept.changes[-1]
    assert (last.status, last.is_gone) == (LoginState.DEAD, True)
    with pytest.raises(InvalidGrant):
        await kept.access()


async def test_a_pair_that_is_gone_from_the_store_is_told_and_a_grant_beside_it_stays(
    world: World,
) -> None:
    await world.log_in()
    row = await world.log_in_1a(level="read")
    kept = keeper_in(world)
    await kept.keeper.reload()
    await world.real_store.credentials.remove(row.account_id, row.app, row.kind)
    await kept.keeper.reload()
    last = kept.changes[-1]
    assert (last.kind, last.is_gone, last.reason) == (
        CredentialKind.OAUTH1,
        True,
        "it was removed here",
    )
    assert not kept.keeper.has_left(GREETER.id)
    assert await kept.access() == "at-1"
    told = len(kept.changes)
    await kept.keeper.reload()
    assert len(kept.changes) == told, "said once"


async def test_an_account_has_left_until_it_has_a_login_again(world: World) -> None:
    kept = keeper_in(world)
    assert not kept.keeper.has_left(GREETER.id)
    row = await world.log_in()
    await kept.keeper.reload()
    assert not kept.keeper.has_left(GREETER.id)
    await world.real_store.credentials.remove(row.account_id, row.app, row.kind)
    await kept.keeper.reload()
    assert kept.keeper.has_left(GREETER.id)
    await world.log_in_1a(level="read")
    await kept.keeper.reload()
    assert not kept.keeper.has_left(GREETER.id)


async def test_an_older_generation_of_the_store_replaces_nothing(world: World) -> None:
    await world.log_in(gen=1)
    row = await world.log_in(gen=2, access_token="at-2")
    kept = keeper_in(world)
    await kept.keeper.reload()
    assert await kept.access() == "at-2"
    await world.real_store.credentials.remove(row.account_id, row.app, row.kind)
    await world.log_in(gen=1, access_token="at-old", status=LoginState.DEAD, reason="old")
    before = len(kept.changes)
    await kept.keeper.reload()
    assert await kept.access() == "at-2"
    assert len(kept.changes) == before


async def test_a_login_moved_to_another_app_is_used_no_more_and_not_said_to_be_removed(
    world: World,
) -> None:
    await world.log_in()
    kept = keeper_in(world)
    await kept.keeper.reload()
    await world.real_store.accounts.put(replace(GREETER, app="second"))
    await kept.keeper.reload()
    assert not any(change.is_gone for change in kept.changes)
    assert not kept.keeper.has_left(GREETER.id)
    with pytest.raises((InvalidGrant, Parked)):
        await kept.access()


@pytest.mark.parametrize(("ahead", "used"), [(1, "at-9"), (2, "at-1")])
async def test_a_rescued_generation_is_used_at_once_if_it_is_the_next_one(
    world: World, ahead: int, used: str
) -> None:
    row = await world.log_in()
    gen = row.gen + ahead
    sealed = world.vault.seal(
        {"access_token": "at-9", "refresh_token": "rt-9"},
        account_id=row.account_id,
        app=row.app,
        kind=row.kind,
        gen=gen,
    )
    rescue = MemoryRescue()
    rescue.entries = [Rescued(row=replace(row, gen=gen, sealed=sealed), intent_id="i-1")]
    world.broken.add("credentials.store_result")
    kept = keeper_in(world, rescue=rescue)
    async with kept.keeper:
        assert await kept.access() == used
        assert [status.saved for status in kept.keeper.statuses()] == [ahead != 1]
