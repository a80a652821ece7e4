"""What a keeper of logins answers about an account: from memory, and without asking X."""

from __future__ import annotations

from datetime import timedelta

import pytest

from botkit.client.logins.oauth2_login import NOT_GRANTED
from botkit.errors import Parked
from botkit.model.tokens import LoginState, Secret
from tests.unit.client.fakes import GREETER, World
from tests.unit.client.keeping import keeper_in


@pytest.mark.parametrize(
    ("oauth2", "oauth1", "signs_only"),
    [(False, False, False), (True, False, False), (False, True, True), (True, True, False)],
)
async def test_an_account_signs_only_if_a_token_that_signs_is_all_it_has(
    world: World, *, oauth2: bool, oauth1: bool, signs_only: bool
) -> None:
    if oauth2:
        await world.log_in()
    if oauth1:
        await world.log_in_1a()
    keeper = keeper_in(world).keeper
    await keeper.holdings(GREETER.id)
    assert keeper.signs_only(GREETER.id) is signs_only


async def test_a_login_is_alive_in_each_state_but_dead(world: World) -> None:
    with pytest.raises(Parked) as none:
        await keeper_in(world).keeper.check_alive(GREETER.id)
    assert none.value.waiting_for == "login"
    row = await world.log_in()
    for state in LoginState:
        now = world.clock.now()
        await world.real_store.credentials.set_status(row, state, reason="a test", now=now)
        keeper = keeper_in(world).keeper
        if state is LoginState.DEAD:
            with pytest.raises(Parked) as dead:
                await keeper.check_alive(GREETER.id)
            assert dead.value.waiting_for == "login"
        else:
            await keeper.check_alive(GREETER.id)
    assert world.peer.calls == []


async def test_an_account_has_left_when_its_last_login_was_removed_and_is_back_with_a_new_one(
    world: World,
) -> None:
    keeper = keeper_in(world).keeper
    assert not keeper.has_left(GREETER.id)
    oauth2, oauth1 = await world.log_in(), await world.log_in_1a()
    await keeper.reload()
    for row, has_left in ((oauth2, False), (oauth1, True)):
        await world.real_store.credentials.remove(row.account_id, row.app, row.kind)
        await keeper.reload()
        assert keeper.has_left(GREETER.id) is has_left
    await world.log_in()
    await keeper.reload()
    assert not keeper.has_left(GREETER.id)


async def test_a_token_is_given_at_once_until_its_refresh_is_due_or_in_doubt(
    world: World,
) -> None:
    keeper = keeper_in(world).keeper
    assert keeper.fresh_token(GREETER.id) is None
    row = await world.log_in()
    await keeper.reload()
    assert keeper.fresh_token(GREETER.id) == Secret("at-1")
    await world.clock.advance(timedelta(minutes=79))
    assert keeper.fresh_token(GREETER.id) == Secret("at-1")
    await world.clock.advance(timedelta(minutes=22))
    assert keeper.fresh_token(GREETER.id) is None
    doubted = keeper_in(world).keeper
    now = world.clock.now()
    await world.real_store.credentials.set_status(
        row, LoginState.UNCERTAIN, reason="no answer", now=now
    )
    world.clock.set(row.since)
    await doubted.reload()
    assert doubted.fresh_token(GREETER.id) is None


@pytest.mark.parametrize(
    ("status", "sent"), [(LoginState.OK, ["rt-1"]), (LoginState.UNCERTAIN, [])]
)
async def test_a_call_refreshes_a_due_login_and_leaves_a_refused_one_to_its_own_time(
    world: World, status: LoginState, sent: list[str]
) -> None:
    reason = "" if status is LoginState.OK else f"{NOT_GRANTED}: 401"
    await world.log_in(left=timedelta(minutes=10), status=status, reason=reason)
    kept = keeper_in(world)
    assert await kept.access() == "at-1"
    await world.clock.at_rest()
    assert world.refreshes == sent
