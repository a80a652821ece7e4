"""A login is taken back at X first, here after."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from botkit.client.logins.app_tokens import keep_bearer
from botkit.client.refresh.refresh_lock import in_process
from botkit.client.upkeep.revoke import revoke_login
from botkit.errors import ConfigError, InvalidClient, OutcomeUnknown, ServerError
from botkit.model.tokens import CredentialKind, Secret
from botkit.protocol.oauth.oauth1_flow import INVALIDATE
from tests.unit.client.fakes import World, json_answer
from tests.unit.client.keeping import WRONG_SECRET
from tests.unit.client.signin.test_oauth2_attempt import context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from botkit.client.refresh.refresh_lock import Held
    from botkit.model.records import CredentialRow

REVOKE = "POST /2/oauth2/revoke"


async def gone(world: World) -> bool:
    return await world.real_store.credentials.listing() == []


async def test_the_refresh_token_is_revoked_by_basic_and_then_removed(world: World) -> None:
    row = await world.log_in()
    assert await revoke_login(context(world), row)
    assert world.peer.revoked == ["rt-1"]
    [call] = world.peer.named(REVOKE)
    assert dict(call.headers)["Authorization"].startswith("Basic ")
    assert await gone(world)


async def test_without_a_refresh_token_the_access_token_is_revoked(world: World) -> None:
    row = await world.log_in(refresh_token="")
    await revoke_login(context(world), row)
    assert world.peer.revoked == ["at-1"]


async def test_a_refresh_under_way_is_waited_for_and_its_new_token_revoked(world: World) -> None:
    row = await world.log_in()

    @asynccontextmanager
    async def after_a_refresh(locked: CredentialRow) -> AsyncIterator[Held]:
        assert world.peer.calls == []
        await world.log_in(refresh_token="rt-2", gen=2)
        async with in_process(locked) as held:
            yield held

    assert await revoke_login(context(world), row, lock=after_a_refresh)
    assert world.peer.revoked == ["rt-2"]


async def test_an_unknown_token_counts_as_done(world: World) -> None:
    row = await world.log_in()
    world.peer.plan[REVOKE] = [json_answer(200, {})]
    assert await revoke_login(context(world), row)
    assert await gone(world)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (json_answer(503, {}), ServerError),
        (WRONG_SECRET, InvalidClient),
        ("lost", OutcomeUnknown),
    ],
)
async def test_what_x_did_not_confirm_stays_unless_forced(
    world: World, fault: Any, error: type[Exception]
) -> None:
    row = await world.log_in()
    world.peer.plan[REVOKE] = [fault, fault]
    with pytest.raises(error):
        await revoke_login(context(world), row)
    assert not await gone(world)
    assert not await revoke_login(context(world), row, force=True)
    assert await gone(world)


async def test_an_app_without_keys_removes_nothing(world: World) -> None:
    row = await world.log_in()
    with pytest.raises(ConfigError):
        await revoke_login(context(world, apps={}), row)
    assert not await gone(world)


async def test_a_1a_token_is_made_dead_at_x_before_it_is_removed(world: World) -> None:
    row = await world.log_in_1a()
    world.peer.plan[INVALIDATE] = [json_answer(503, {}), json_answer(200, {"access_token": "t"})]
    with pytest.raises(ServerError):
        await revoke_login(context(world), row)
    kept = world.real_store.credentials.get
    assert await kept("1999", "default", CredentialKind.OAUTH1) == row
    assert await revoke_login(context(world), row)
    assert len(world.peer.named(INVALIDATE)) == 2
    assert await kept("1999", "default", CredentialKind.OAUTH1) is None


async def test_x_is_told_which_of_the_two_tokens_it_gets(world: World) -> None:
    for given, hint in (("rt-1", "refresh_token"), ("", "access_token")):
        row = await world.log_in(refresh_token=given)
        await revoke_login(context(world), row)
        call = world.peer.named(REVOKE)[-1]
        assert f"token_type_hint={hint}".encode() in (call.body or b"")
        assert dict(call.headers)["Content-Type"] == "application/x-www-form-urlencoded"
        assert (call.method, call.writes, call.timeout_s) == ("POST", True, 30.0)


async def test_a_login_that_is_gone_already_needs_no_word_to_x(world: World) -> None:
    row = await world.log_in()
    await world.real_store.credentials.remove(row.account_id, row.app, row.kind)
    assert await revoke_login(context(world), row)
    assert world.peer.calls == []


async def test_an_apps_own_token_is_only_removed_here(world: World) -> None:
    await keep_bearer(world.rows, "default", Secret("B-1"), now=world.clock.now())
    row = await world.real_store.credentials.get("", "default", CredentialKind.APP_ONLY)
    assert row is not None
    assert await revoke_login(context(world), row)
    assert world.peer.calls == []
    assert await gone(world)


@pytest.mark.parametrize("kind", ["oauth2", "oauth1"])
async def test_without_keys_a_login_can_be_removed_here_by_force_and_it_is_said_to_live_on(
    world: World, kind: str
) -> None:
    row = await (world.log_in() if kind == "oauth2" else world.log_in_1a())
    assert not await revoke_login(context(world, apps={}), row, force=True)
    assert world.peer.calls == []
    assert await gone(world)
