"""What an answer tells beside its data: X's time, and how a credential is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from botkit.client.api.limiter import Limiter
from botkit.client.api.x_api import XApi
from botkit.errors import Forbidden, Parked, ServerError, Unauthorized
from botkit.model.tokens import CredentialKind, LoginState
from botkit.protocol.api import push_requests, requests
from tests.unit.client.fakes import GREETER, json_answer
from tests.unit.client.keeping import Kept, keeper_in

if TYPE_CHECKING:
    from tests.unit.client.fakes import World

CREATE = "POST /2/tweets"
ME = "GET /2/users/me"
STREAM = "GET /2/activity/stream"
POST = requests.create_post("hi")
BARE = json_answer(401, {"title": "Unauthorized", "status": 401})


def api_in(world: World, **more: Any) -> tuple[XApi, Kept]:
    kept = keeper_in(world)
    limiter = Limiter(clock=world.clock, entropy=world.entropy)
    return XApi(kept.keeper, limiter=limiter, **more), kept


def dated(moment: datetime) -> dict[str, str]:
    return {"date": moment.strftime("%a, %d %b %Y %H:%M:%S GMT")}


async def test_xs_time_is_told_of_every_answer_that_carries_it(world: World) -> None:
    await world.log_in()
    told: list[datetime] = []
    x, _ = api_in(world, on_date=told.append)
    moments = [world.clock.now() + timedelta(minutes=number) for number in range(4)]
    user = {"data": world.peer.user}
    world.peer.plan[ME] = [json_answer(200, user, **dated(moments[0])), json_answer(200, user)]
    world.peer.plan[CREATE] = [json_answer(403, {"title": "no"}, **dated(moments[1]))]
    world.peer.plan[STREAM] = [
        json_answer(503, {}, **dated(moments[2])),
        json_answer(200, {}, **dated(moments[3])),
    ]
    for _ in range(2):
        await x.send(requests.get_me(), account_id=GREETER.id)
    with pytest.raises(Forbidden):
        await x.send(POST, account_id=GREETER.id)
    with pytest.raises(ServerError):
        async with x.stream(push_requests.activity_stream()):
            pass
    async with x.stream(push_requests.activity_stream()):
        pass
    assert told == moments


async def test_a_signed_call_that_x_takes_ends_the_doubt_about_its_token(world: World) -> None:
    await world.log_in_1a(level="read-write")
    world.peer.plan[CREATE] = [BARE, json_answer(201, {"data": {"id": "1"}})]
    x, kept = api_in(world)
    with pytest.raises(Unauthorized):
        await x.send(POST, account_id=GREETER.id)
    with pytest.raises(Parked):
        await x.send(POST, account_id=GREETER.id)
    await world.clock.advance(31.0)
    await x.send(POST, account_id=GREETER.id)
    pair = kept.keeper.oauth1_logins.get(GREETER.id)
    assert pair is not None
    assert pair.row.status is LoginState.OK
    assert not kept.keeper.oauth1_logins.any_doubt


async def test_a_refusal_that_is_not_for_the_level_says_nothing_of_the_setup(
    world: World,
) -> None:
    await world.log_in_1a(level="read-write")
    world.peer.plan[CREATE] = [json_answer(403, {"title": "Forbidden", "detail": "duplicate"})]
    x, _ = api_in(world)
    with pytest.raises(Forbidden) as refused:
        await x.send(POST, account_id=GREETER.id)
    assert "botkit setup" not in str(refused.value)


async def test_an_oauth_2_login_is_chosen_without_a_question_to_x(world: World) -> None:
    await world.log_in()
    await world.log_in_1a()
    x, _ = api_in(world)
    kind = await x.credential("createPosts", account_id=GREETER.id)
    assert kind is CredentialKind.OAUTH2
    assert world.peer.calls == []


async def test_a_call_of_a_dead_login_is_not_ready(world: World) -> None:
    await world.log_in(status=LoginState.DEAD, reason="revoked on X")
    x, _ = api_in(world)
    with pytest.raises(Parked) as parked:
        await x.ready(POST, account_id=GREETER.id)
    assert (parked.value.waiting_for, world.peer.calls) == ("login", [])
