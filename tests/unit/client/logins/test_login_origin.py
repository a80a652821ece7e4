"""A login is used only with the X and the app that it came from: row L1 of the list of faults."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from structlog.testing import capture_logs

from botkit.client.logins.app_tokens import BearerKeeper, is_bearer_kept, keep_bearer
from botkit.client.logins.endpoints import API_URL, AppKeys, Endpoints
from botkit.client.logins.login_rows import LoginRows, OpenRow
from botkit.client.logins.rollback_guard import FileRollbackGuard
from botkit.client.refresh.refresh_leader import Alone, NeverLeader
from botkit.client.upkeep.check import check_logins
from botkit.client.upkeep.invalidate import invalidate_bearer, invalidate_pair
from botkit.client.upkeep.login_transfer import hand_over, pack, take_over
from botkit.client.upkeep.revoke import revoke_login
from botkit.errors import (
    ConfigError,
    Corrupt,
    InvalidClient,
    Parked,
    TransportError,
    WrongCredential,
)
from botkit.model.records import CredentialRow
from botkit.model.tokens import CredentialKind, LoginState, Secret
from tests.unit.client.fakes import APPS, GREETER, MemoryRescue, World, json_answer
from tests.unit.client.keeping import EXPIRED, TOKEN, keeper_in, running
from tests.unit.client.signin.test_oauth2_attempt import context

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

ELSEWHERE = Endpoints.at("http://127.0.0.1:8123")
OTHER_APP = {"default": msgspec.structs.replace(APPS["default"], client_id="other", api_key="o")}
OTHERS: list[dict[str, Any]] = [{"endpoints": ELSEWHERE}, {"apps": OTHER_APP}]


async def bound_login(world: World, **more: Any) -> CredentialRow:
    """A login as setup stores it today: the row names X and the app, and so does its seal."""
    row = await world.log_in(**more)
    await world.rows.bind(row)
    return await world.row()


async def bound_pair(world: World) -> CredentialRow:
    row = await world.log_in_1a()
    await world.rows.bind(row)
    found = await world.real_store.credentials.get("1999", "default", CredentialKind.OAUTH1)
    assert found is not None
    return found


def rows_of(world: World, **more: Any) -> LoginRows:
    return LoginRows(world.real_store, world.vault, world.clock, **{"apps": APPS, **more})


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("left", [EXPIRED, None])
async def test_no_byte_of_a_login_leaves_for_another_x_or_with_another_apps_keys(
    world: World, other: dict[str, Any], left: Any
) -> None:
    row = await bound_login(world, **({} if left is None else {"left": left}))
    async with running(world, **other) as kept:
        with pytest.raises(InvalidClient, match=r"waits for settings: it (came from|belongs to)"):
            await kept.access()
        assert kept.keeper.fresh_token(GREETER.id) is None
        assert kept.states == [LoginState.CONFIG]
        assert kept.changes[0].next_step
        await kept.keeper.reload()
        await world.clock.advance(7200)
    assert world.peer.calls == []
    assert await world.row() == row  # for the X that it is of, nothing has changed
    async with keeper_in(world).keeper as keeper:
        assert (await keeper.access_token(GREETER.id)).reveal() in {"at-1", "at-2"}


@pytest.mark.parametrize("other", OTHERS)
async def test_a_signing_login_is_kept_from_another_x_and_another_app(
    world: World, other: dict[str, Any]
) -> None:
    row = await bound_pair(world)
    async with running(world, **other) as kept:
        with pytest.raises(Parked, match="login"):
            await kept.keeper.token_pair(GREETER.id)
        await kept.keeper.oauth1_logins.learn_level(GREETER.id)
        await kept.keeper.oauth1_logins.suspect(GREETER.id, "X says so")
        assert not kept.keeper.oauth1_logins.any_doubt
        (checked,) = await check_logins(kept.keeper, GREETER, on_asked=lambda: None)
        assert (checked.status, checked.owner) == (LoginState.CONFIG, None)
        with pytest.raises(ConfigError, match="Nothing was sent"):
            await revoke_login(context(world, **other), row)
        with pytest.raises(ConfigError, match="Nothing was sent"):
            await invalidate_pair(context(world, **other), row)
    assert world.peer.calls == []
    found = await world.real_store.credentials.get("1999", "default", CredentialKind.OAUTH1)
    assert found == row


@pytest.mark.parametrize("other", OTHERS)
async def test_check_revocation_and_transfer_refuse_it_with_the_cure(
    world: World, other: dict[str, Any]
) -> None:
    row = await bound_login(world)
    async with keeper_in(world, **other).keeper as keeper:
        (checked,) = await check_logins(keeper, GREETER, on_asked=lambda: None)
        assert checked.status is LoginState.CONFIG
        assert checked.reason.startswith(("it came from https://api.x.com", "it belongs to the"))
        with pytest.raises(ConfigError, match="not fit to travel: it"):
            await hand_over(keeper, GREETER)
    with pytest.raises(ConfigError) as refused:
        await revoke_login(context(world, **other), row)
    assert "BOTKIT_STORE__URL" in refused.value.hint
    assert await world.row() == row
    assert world.peer.calls == []
    assert not await revoke_login(context(world, **other), row, force=True)
    assert await world.real_store.credentials.listing() == []


async def test_a_bearer_token_that_a_person_gave_is_kept_from_another_x(world: World) -> None:
    apps = {"default": AppKeys(client_id="c", client_secret=Secret("s"))}
    await keep_bearer(rows_of(world, apps=apps), "default", Secret("B-1"), now=world.clock.now())
    there = context(world, apps=apps, endpoints=ELSEWHERE)
    keeper = BearerKeeper(there)
    await keeper.read()
    assert not keeper.can_serve("default")
    with pytest.raises(WrongCredential):
        await keeper.bearer("default")
    assert not await is_bearer_kept(there.rows, "default")
    assert await is_bearer_kept(context(world, apps=apps).rows, "default")
    with pytest.raises(ConfigError, match="app 'default' is not used"):
        await invalidate_bearer(context(world, endpoints=ELSEWHERE), "default")
    assert world.peer.calls == []


async def test_a_bearer_token_that_was_fetched_is_not_taken_to_another_x(world: World) -> None:
    await BearerKeeper(context(world)).bearer("default")
    world.peer.calls.clear()
    await BearerKeeper(context(world, endpoints=ELSEWHERE)).bearer("default")
    [fetch] = world.peer.calls
    assert fetch.url == "http://127.0.0.1:8123/oauth2/token"


async def test_an_older_row_is_one_of_x_itself_and_is_bound_once_x_took_it(world: World) -> None:
    await world.log_in(left=EXPIRED)
    async with keeper_in(world, endpoints=ELSEWHERE).keeper as keeper:
        with pytest.raises(InvalidClient, match=r"it came from https://api\.x\.com"):
            await keeper.access_token(GREETER.id)
    assert world.peer.calls == []
    async with keeper_in(world).keeper as keeper:
        await keeper.access_token(GREETER.id)
    row = await world.row()
    assert (row.gen, row.origin, row.client_id) == (2, API_URL, APPS["default"].client_id)


async def test_an_older_signing_row_is_bound_by_a_check(world: World) -> None:
    row = await world.log_in_1a()
    me = json_answer(200, {"data": world.peer.user})
    world.peer.plan["GET /2/users/me"] = [me, me]
    async with keeper_in(world).keeper as keeper:
        for _ in range(2):
            await check_logins(keeper, GREETER, on_asked=lambda: None)
    found = await world.real_store.credentials.get("1999", "default", CredentialKind.OAUTH1)
    assert found is not None
    assert (found.gen, found.origin, found.client_id) == (row.gen, API_URL, "key")
    assert world.rows.token_pair(found).token == Secret("t-1")


@pytest.mark.parametrize("changed", [{"origin": ELSEWHERE.origin}, {"origin": ""}])
async def test_a_row_whose_origin_was_changed_does_not_open(
    world: World, changed: dict[str, str]
) -> None:
    row = msgspec.structs.replace(await bound_login(world), **changed)
    here = ELSEWHERE if changed["origin"] else Endpoints()
    with pytest.raises(Corrupt):
        rows_of(world, endpoints=here).open(row)
    with pytest.raises(Corrupt):
        rows_of(world).open(msgspec.structs.replace(await world.row(), client_id=""))


async def in_time(world: World, work: Coroutine[Any, Any, str]) -> str:
    task = asyncio.get_running_loop().create_task(work)
    await world.clock.advance(60)
    return await task


@pytest.mark.parametrize("role", [Alone(), NeverLeader()])
async def test_a_newer_login_of_another_x_is_not_adopted(world: World, role: Alone) -> None:
    row = await bound_login(world, left=EXPIRED)
    theirs = rows_of(world, endpoints=ELSEWHERE)
    newer = msgspec.structs.replace(theirs.bound(row), gen=2, intent=None)
    kept = keeper_in(world, role=role)
    async with kept.keeper:
        world.peer.plan[TOKEN] = ["connect"]
        with pytest.raises((TransportError, Parked)):
            await in_time(world, kept.access())
        await world.real_store.credentials.replace(
            theirs.sealed(newer, {"access_token": Secret("theirs")})
        )
        await world.clock.advance(120)
        with pytest.raises(InvalidClient, match="it came from http"):
            await in_time(world, kept.access())
    assert world.peer.calls == []


async def test_a_login_of_another_x_that_comes_during_a_refresh_is_not_adopted_either(
    world: World,
) -> None:
    row = await bound_login(world, left=EXPIRED)
    theirs = rows_of(world, endpoints=ELSEWHERE)
    newer = msgspec.structs.replace(theirs.bound(row), gen=2, intent=None)

    async def other_setup(request: object) -> None:
        world.peer.before_answer = None
        await world.real_store.credentials.replace(
            theirs.sealed(newer, {"access_token": Secret("theirs")})
        )

    world.peer.before_answer = other_setup
    kept = keeper_in(world)
    async with kept.keeper:
        with pytest.raises(InvalidClient, match="it came from http"):
            await in_time(world, kept.access())
    assert kept.states[-1] is LoginState.CONFIG
    assert (await world.row()).origin == ELSEWHERE.origin


async def test_a_rescued_token_of_another_x_is_stored_and_not_used(
    world: World, tmp_path: Path
) -> None:
    rescue = MemoryRescue()
    await bound_login(world, left=EXPIRED)
    world.broken.add("credentials.store_result")
    async with keeper_in(world, rescue=rescue).keeper as keeper:
        await keeper.access_token(GREETER.id)
    assert rescue.entries
    async with keeper_in(world, rescue=rescue, endpoints=ELSEWHERE).keeper as keeper:
        with pytest.raises(InvalidClient):
            await keeper.access_token(GREETER.id)
    guard = FileRollbackGuard(tmp_path / "witness")
    with capture_logs() as said:
        async with running(world, rescue=rescue, endpoints=ELSEWHERE, rollback_guard=guard):
            world.broken.clear()
            await world.clock.advance(120)
    assert "refresh.crashed" not in {line["event"] for line in said}
    row = await world.row()
    assert (row.gen, rescue.entries) == (2, [])
    assert (await guard.recall(row)) is not None
    assert len(world.peer.calls) == 1


async def test_a_parcel_says_where_its_login_came_from(world: World) -> None:
    row = await bound_login(world)
    async with keeper_in(world).keeper as keeper:
        parcel = await pack(keeper, GREETER, [row])
    assert parcel.origin == API_URL
    await world.real_store.credentials.remove("1999", "default", CredentialKind.OAUTH2)
    for older in (parcel, msgspec.structs.replace(parcel, origin="")):
        async with keeper_in(world, endpoints=ELSEWHERE).keeper as keeper:
            with pytest.raises(ConfigError, match=r"came from https://api\.x\.com"):
                await take_over(keeper, older, app="default")
    async with keeper_in(world).keeper as keeper:
        await take_over(keeper, parcel, app="default")
    assert (await world.row()).origin == API_URL


async def test_a_store_of_another_x_is_refused_as_a_whole(world: World) -> None:
    row = await bound_login(world)
    await rows_of(world).check_origin()
    with pytest.raises(ConfigError, match="@greeter in this store is not used") as refused:
        await rows_of(world, endpoints=ELSEWHERE).check_origin()
    assert "botkit setup --account greeter" in refused.value.hint
    await rows_of(world, apps=OTHER_APP).check_origin()  # other logins of the store may work
    await world.rows.set_state(row, LoginState.DEAD, "it ended")
    await rows_of(world, endpoints=ELSEWHERE).check_origin()


async def test_a_new_vault_key_seals_a_login_of_whatever_x(world: World) -> None:
    row = await bound_login(world)
    world.vault.learn(bytes([7] * 32))
    assert await rows_of(world, endpoints=ELSEWHERE).reseal(row)
    fresh = OpenRow(world.rows, await world.row())
    assert fresh.tokens["refresh_token"] == Secret("rt-1")
    assert fresh.row.origin == API_URL


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://api.x.com", "https://API.x.com:443/", True),
        ("http://127.0.0.1:80", "http://127.0.0.1", True),
        ("http://[::1]:8080", "http://[::1]:8080/base", True),
        ("http://127.0.0.1:80", "https://127.0.0.1:80", False),
        ("https://api.x.com", "https://api.x.com:8443", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(one: str, other: str, *, same: bool) -> None:
    assert (Endpoints.at(one).origin == Endpoints.at(other).origin) is same


@pytest.mark.parametrize("name", ["token_url", "revoke_url", "access_token_url"])
def test_each_address_that_takes_a_token_counts(name: str) -> None:
    assert Endpoints.at(**{name: "https://gate.example/x"}).origin == (
        "https://api.x.com https://gate.example"
    )


def test_the_addresses_are_those_of_xs_pages() -> None:
    # Source: X API docs, "OAuth 2.0 Authorization Code Flow with PKCE", "OAuth 1.0a", "App only".
    assert {name: getattr(Endpoints(), name) for name in Endpoints.__struct_fields__} == {
        "api_url": "https://api.x.com",
        "consent_url": "https://x.com/i/oauth2/authorize",
        "token_url": "https://api.x.com/2/oauth2/token",
        "revoke_url": "https://api.x.com/2/oauth2/revoke",
        "app_token_url": "https://api.x.com/oauth2/token",
        "app_invalidate_url": "https://api.x.com/oauth2/invalidate_token",
        "request_token_url": "https://api.x.com/oauth/request_token",
        "authorize_url": "https://api.x.com/oauth/authorize",
        "access_token_url": "https://api.x.com/oauth/access_token",
        "invalidate_url": "https://api.x.com/1.1/oauth/invalidate_token",
        "issuer": None,
    }
    assert Endpoints.at() == Endpoints()
