"""An app's bearer token: given or fetched, found dead, and another one put into the store."""

from __future__ import annotations

import msgspec
import pytest

from botkit.client.api.limiter import Limiter
from botkit.client.api.x_api import XApi
from botkit.client.logins.app_tokens import forget_bearer, is_bearer_kept, keep_bearer
from botkit.errors import Parked, Unauthorized
from botkit.model.tokens import CredentialKind, LoginState, Secret
from botkit.protocol.api import push_requests, requests
from tests.unit.client.fakes import APPS, World, json_answer
from tests.unit.client.keeping import Kept, keeper_in

FETCH = "POST /oauth2/token"
USAGE = "GET /2/usage/tweets"
STREAM = "GET /2/activity/stream"
FINE = json_answer(200, {"data": {}})
BARE = json_answer(401, {"title": "Unauthorized", "status": 401})
BAD_KEYS = json_answer(403, {"errors": [{"code": 99, "message": "Unable to verify"}]})
OK, CONFIG = LoginState.OK, LoginState.CONFIG
NO_KEYS = {"default": msgspec.structs.replace(APPS["default"], api_key="")}
GIVEN = {"default": msgspec.structs.replace(NO_KEYS["default"], bearer_token=Secret("BBBB"))}


def api_of(world: World, kept: Kept) -> XApi:
    return XApi(kept.keeper, limiter=Limiter(clock=world.clock, entropy=world.entropy))


def bearers(world: World) -> list[str]:
    return [dict(call.headers)["Authorization"] for call in world.peer.named(USAGE)]


async def give(world: World, token: str) -> None:
    await keep_bearer(world.rows, "default", Secret(token), now=world.clock.now())


async def test_a_given_one_that_x_refuses_twice_is_said_and_one_that_works_again_too(
    world: World,
) -> None:
    kept = keeper_in(world, apps=GIVEN)
    x = api_of(world, kept)
    world.peer.plan[USAGE] = [BARE, BARE, BARE, FINE, FINE]
    for wait_s in (5, 31, 0):
        with pytest.raises(Unauthorized):
            await x.send(requests.get_usage())
        await world.clock.advance(wait_s)
    assert [(each.kind, each.app, each.status) for each in kept.changes] == [
        (CredentialKind.APP_ONLY, "default", CONFIG)
    ]
    assert kept.changes[0].next_step == (
        "correct bearer_token, or api_key and api_secret, of app 'default', then restart"
    )
    await x.send(requests.get_usage())
    await x.send(requests.get_usage())
    assert kept.states == [CONFIG, OK]
    world.peer.plan[USAGE] = [BARE]
    with pytest.raises(Unauthorized):
        await x.send(requests.get_usage())
    assert kept.states == [CONFIG, OK], "one refusal proves nothing"


async def test_a_bearer_that_nobody_gave_or_that_was_forgotten_is_not_kept(world: World) -> None:
    assert not await is_bearer_kept(world.rows, "default")
    await give(world, "B-1")
    assert await is_bearer_kept(world.rows, "default")
    await forget_bearer(world.rows, "default")
    await forget_bearer(world.rows, "default")
    assert not await is_bearer_kept(world.rows, "default")


async def test_one_refusal_is_forgotten_when_a_stream_opens(world: World) -> None:
    kept = keeper_in(world, apps=GIVEN)
    x = api_of(world, kept)
    world.peer.plan[USAGE] = [BARE]
    world.peer.plan[STREAM] = [FINE]
    with pytest.raises(Unauthorized):
        await x.send(requests.get_usage())
    async with x.stream(push_requests.activity_stream()):
        assert kept.keeper.bearers.is_fine("default")
    assert kept.states == [OK]


async def test_what_a_setup_puts_into_the_store_is_used_from_then_on(world: World) -> None:
    world.peer.plan[USAGE] = [FINE] * 3
    kept = keeper_in(world, apps=NO_KEYS)
    x = api_of(world, kept)
    await kept.keeper.reload()
    assert not kept.keeper.app_can_serve("default")
    await give(world, "FIRST")
    await kept.keeper.reload()
    assert kept.keeper.app_can_serve("default")
    await x.send(requests.get_usage())
    await give(world, "SECOND")
    await kept.keeper.reload()
    await kept.keeper.reload()
    await x.send(requests.get_usage())
    assert bearers(world) == ["Bearer FIRST", "Bearer SECOND"]
    await forget_bearer(world.rows, "default")
    await kept.keeper.reload()
    assert not kept.keeper.app_can_serve("default")


async def test_a_kept_one_that_is_dead_is_so_in_the_store_and_a_new_one_cures_it(
    world: World,
) -> None:
    world.peer.plan[USAGE] = [BARE, BARE, FINE]
    await give(world, "FIRST")
    kept = keeper_in(world, apps=NO_KEYS)
    await kept.keeper.bearers.read()
    x = api_of(world, kept)
    for _ in range(2):
        with pytest.raises(Unauthorized):
            await x.send(requests.get_usage())
        await world.clock.advance(31)
    row = await world.real_store.credentials.get("", "default", CredentialKind.APP_ONLY)
    assert row is not None
    assert row.status is CONFIG
    again = keeper_in(world, apps=NO_KEYS)
    await again.keeper.bearers.read()
    assert again.states == [CONFIG]
    assert await again.keeper.bearer() == Secret("FIRST")
    await give(world, "SECOND")
    await kept.keeper.reload()
    assert kept.states == [OK, CONFIG, OK]


async def test_a_fetched_one_of_another_process_is_taken_over(world: World) -> None:
    world.peer.plan[FETCH] = [
        json_answer(200, {"token_type": "bearer", "access_token": "OLD"}),
        json_answer(200, {"token_type": "bearer", "access_token": "NEW"}),
    ]
    mine, theirs = keeper_in(world), keeper_in(world)
    assert await mine.keeper.bearer() == Secret("OLD")
    assert await theirs.keeper.bearer() == Secret("OLD")
    await world.clock.advance(61)
    assert await theirs.keeper.report_bearer_unauthorized("default", Secret("OLD")) == Secret(
        "NEW"
    )
    await mine.keeper.reload()
    assert await mine.keeper.bearer() == Secret("NEW")
    other = {"default": msgspec.structs.replace(APPS["default"], api_key="other")}
    strange = keeper_in(world, apps=other)
    await strange.keeper.bearers.read()
    assert strange.states == []


async def test_a_fetched_one_that_x_refuses_is_fetched_again_a_minute_after_the_last_fetch(
    world: World,
) -> None:
    tokens = [
        json_answer(200, {"token_type": "bearer", "access_token": name}) for name in ("A", "B")
    ]
    world.peer.plan[FETCH] = tokens
    keeper = keeper_in(world).keeper
    first = await keeper.bearer()
    await world.clock.advance(59.9)
    assert await keeper.report_bearer_unauthorized("default", first) is None
    await world.clock.advance(0.1)
    assert await keeper.report_bearer_unauthorized("default", first) == Secret("B")
    assert await keeper.bearer() == Secret("B")


async def test_a_kept_one_that_x_refuses_at_once_is_fetched_anew_at_once(world: World) -> None:
    await keeper_in(world).keeper.bearer()
    later = keeper_in(world).keeper
    kept = await later.bearer()
    world.peer.plan[FETCH] = [json_answer(200, {"token_type": "bearer", "access_token": "B"})]
    assert await later.report_bearer_unauthorized("default", kept) == Secret("B")


async def test_a_kept_one_of_an_older_secret_or_of_a_person_says_nothing_of_the_keys_of_now(
    world: World,
) -> None:
    await keeper_in(world).keeper.bearer()
    renewed = {"default": msgspec.structs.replace(APPS["default"], api_secret=Secret("new"))}
    kept = keeper_in(world, apps=renewed)
    await kept.keeper.bearers.read()
    assert kept.states == []
    await give(world, "GIVEN")
    kept = keeper_in(world)
    await kept.keeper.bearers.read()
    assert kept.states == []
    assert await kept.keeper.bearer() == Secret("AAAA"), "the keys fetch one of their own"


async def test_a_bearer_of_an_app_that_left_the_settings_is_not_read(world: World) -> None:
    await give(world, "FIRST")
    await keep_bearer(world.rows, "gone", Secret("GONE"), now=world.clock.now())
    kept = keeper_in(world, apps=NO_KEYS)
    await kept.keeper.bearers.read()
    assert [change.app for change in kept.changes] == ["default"]
    assert not kept.keeper.app_can_serve("gone")


async def test_keys_that_x_does_not_take_are_config_until_they_work(world: World) -> None:
    world.peer.plan[FETCH] = [
        BAD_KEYS,
        json_answer(200, {"token_type": "bearer", "access_token": "A"}),
    ]
    world.peer.plan[USAGE] = [FINE]
    kept = keeper_in(world)
    x = api_of(world, kept)
    with pytest.raises(Parked):
        await x.send(requests.get_usage())
    assert kept.states == [CONFIG]
    await x.send(requests.get_usage())
    assert kept.states == [CONFIG, OK]


async def test_a_bearer_of_the_settings_is_stronger_than_a_kept_one(world: World) -> None:
    await give(world, "KEPT")
    kept = keeper_in(world, apps=GIVEN)
    await kept.keeper.bearers.read()
    assert await kept.keeper.bearer() == Secret("BBBB")


async def test_a_state_that_the_store_cannot_take_is_said_all_the_same(world: World) -> None:
    world.peer.plan[FETCH] = [BAD_KEYS]
    kept = keeper_in(world)
    world.broken.add("credentials.set_status")
    with pytest.raises(Parked):
        await api_of(world, kept).send(requests.get_usage())
    assert kept.states == [CONFIG]
