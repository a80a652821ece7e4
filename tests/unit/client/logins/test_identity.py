"""Whose a token is: what is asked of X, how often, and what a refusal of it means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from structlog.testing import capture_logs

from botkit.client.http.signed_calls import SignedCalls
from botkit.client.logins.identity import check_owner, owner_of_pair, who_am_i
from botkit.errors import (
    MalformedAnswer,
    PaymentRequired,
    RateLimited,
    ServerError,
    TransportError,
    Unauthorized,
    WrongAccount,
    XError,
)
from botkit.model.tokens import Secret, TokenPair
from botkit.model.users import User
from tests.unit.client.fakes import GREETER, json_answer
from tests.unit.client.signin.test_oauth2_attempt import context

if TYPE_CHECKING:
    from tests.unit.client.fakes import World

ME = "GET /2/users/me"
PAIR = TokenPair(token=Secret("t-1"), token_secret=Secret("ts-1"))
GREETER_USER = User(id=GREETER.id, username="greeter", name="Greeter")


async def test_a_bearer_may_follow_its_origin_and_a_signature_holds_for_one_address(
    world: World,
) -> None:
    found = await who_am_i(context(world), Secret("at-1"))
    user = {"data": world.peer.user}
    world.peer.plan[ME] = [json_answer(200, user, x_access_level="read")]
    calls = SignedCalls(context(world), "default")
    owner, level = await owner_of_pair(context(world), calls, PAIR)
    assert (found.id, owner.id, level) == (GREETER.id, GREETER.id, "read")
    bearer, signed = world.peer.named(ME)
    assert (bearer.follow_same_origin, signed.follow_same_origin) == (True, False)
    assert dict(bearer.headers)["Authorization"] == "Bearer at-1"
    assert 'oauth_token="t-1"' in dict(signed.headers)["Authorization"]
    assert signed.timeout_s == 20.0
    assert not bearer.writes


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (json_answer(401, {"title": "Unauthorized"}), Unauthorized),
        (json_answer(402, {"title": "CreditsDepleted"}), PaymentRequired),
        (json_answer(429, {}), RateLimited),
        ("lost", TransportError),
    ],
)
async def test_what_no_field_can_cause_is_not_asked_again(
    world: World, answer: Any, error: type[XError]
) -> None:
    world.peer.plan[ME] = [answer]
    with pytest.raises(error):
        await who_am_i(context(world), Secret("at-1"))
    assert len(world.peer.named(ME)) == 1


async def test_a_refusal_that_passed_with_fewer_fields_is_said_and_the_last_of_three_counts(
    world: World,
) -> None:
    world.peer.plan[ME] = [json_answer(400, {"title": "Invalid", "detail": "first"})]
    with capture_logs() as lines:
        assert (await who_am_i(context(world), Secret("at-1"))).id == GREETER.id
    assert [line["event"] for line in lines] == ["profile_fields.refused"]
    assert "first" in lines[0]["why"]
    world.peer.plan[ME] = [
        json_answer(400, {"title": "Invalid", "detail": "first"}),
        json_answer(200, {"meta": {}}),
        json_answer(503, {}),
    ]
    with pytest.raises(ServerError):
        await who_am_i(context(world), Secret("at-1"))
    world.peer.plan[ME] = [json_answer(200, {"meta": {}})] * 3
    with pytest.raises(MalformedAnswer):
        await who_am_i(context(world), Secret("at-1"))


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ("", True),
        ("@", True),
        ("GREETER", True),
        ("@greeter", True),
        (GREETER.id, True),
        ("greet", False),
        ("7", False),
    ],
)
async def test_a_login_is_of_the_account_that_was_wanted_by_id_or_name(
    world: World, wanted: str, *, fits: bool
) -> None:
    store = context(world).store
    if fits:
        await check_owner(store, GREETER_USER, wanted=wanted)
        return
    with pytest.raises(WrongAccount, match="nothing was stored") as refused:
        await check_owner(store, GREETER_USER, wanted=wanted)
    assert f"Log in to X as @{wanted}" in refused.value.hint


async def test_a_known_account_is_wanted_by_its_id_however_it_is_called_now(
    world: World,
) -> None:
    await world.real_store.accounts.put(GREETER)
    renamed = msgspec.structs.replace(GREETER_USER, username="greeter2")
    store = context(world).store
    await check_owner(store, renamed, wanted="greeter")
    other = msgspec.structs.replace(GREETER_USER, id="7")
    with pytest.raises(WrongAccount):
        await check_owner(store, other, wanted="greeter")
