"""A login that X has granted is kept: X or the store may be away for a while meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from botkit.errors import MalformedAnswer, StoreUnavailable, Unauthorized
from tests.unit.client.fakes import GREETER, json_answer
from tests.unit.client.keeping import TOKEN
from tests.unit.client.signin.test_oauth2_attempt import ME, attempt_in, redirect, stored_nothing

if TYPE_CHECKING:
    from tests.unit.client.fakes import World


@pytest.mark.parametrize(
    "answers",
    [
        ["lost", json_answer(503, {})],
        [json_answer(401, {"title": "Unauthorized"}), json_answer(429, {})],
    ],
)
async def test_who_it_is_is_asked_again_when_x_does_not_say(world: World, answers: Any) -> None:
    world.peer.plan[ME] = answers
    attempt = attempt_in(world)
    finishing = asyncio.get_running_loop().create_task(attempt.finish(redirect(attempt)))
    await world.clock.advance(5.0)
    assert (await finishing).account == GREETER
    assert len(world.peer.named(TOKEN)) == 1


@pytest.mark.parametrize(
    "away",
    [
        "lost",
        json_answer(503, {}),
        json_answer(429, {}),
        json_answer(402, {"title": "CreditsDepleted"}),
        json_answer(200, {"data": {"id": GREETER.id, "name": "Greeter"}}),
    ],
)
async def test_a_login_that_x_has_granted_outlasts_an_x_that_is_away_for_a_rate_window(
    world: World, away: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    world.peer.plan[ME] = [away] * 1000
    attempt = attempt_in(world)
    finishing = asyncio.get_running_loop().create_task(attempt.finish(redirect(attempt)))
    await world.clock.advance(15 * 60.0)
    assert not finishing.done()
    world.peer.plan[ME].clear()
    await world.clock.advance(30.0)
    assert (await finishing).account == GREETER
    assert (await world.tokens())["refresh_token"] == "rt-2"
    assert len(world.peer.named(TOKEN)) == 1
    assert "".join(capsys.readouterr()).count("login.not_stored_yet") == 1


_NAMELESS = {"data": {"id": GREETER.id, "name": "Greeter"}}


@pytest.mark.parametrize(
    ("answer", "seconds", "error"),
    [
        (json_answer(401, {"title": "Unauthorized"}), 5.0, Unauthorized),
        (json_answer(200, {"meta": {"x": 1}}), 1000.0, MalformedAnswer),
        (json_answer(200, _NAMELESS), 1000.0, MalformedAnswer),
    ],
)
async def test_a_token_of_nobody_is_not_stored(
    world: World, answer: Any, seconds: float, error: type[Exception]
) -> None:
    world.peer.plan[ME] = [answer] * 200
    attempt = attempt_in(world)
    finishing = asyncio.get_running_loop().create_task(attempt.finish(redirect(attempt)))
    await world.clock.advance(seconds)
    with pytest.raises(error, match="ended the one before it through this app: authorize again"):
        await finishing
    assert await stored_nothing(world)


_ODD_FIELD = json_answer(
    400,
    {
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "errors": [{"message": "The query parameter value [affiliation] is not valid"}],
        "type": "https://api.x.com/2/problems/invalid-request",
        "status": 400,
    },
)
"""As X refuses a field. Source: tests/wire, the body of an unknown `tweet.fields`."""
_GARBLED = json_answer(200, {"data": "an object it was"})


_NOT_FOR_THIS_APP = json_answer(403, {"title": "Forbidden", "status": 403})
_FAULT_OF_X = json_answer(500, {"title": "Internal Error", "status": 500})


@pytest.mark.parametrize("odd", [_ODD_FIELD, _GARBLED, _NOT_FOR_THIS_APP, _FAULT_OF_X])
@pytest.mark.parametrize("times", [1, 2])
async def test_no_optional_field_costs_a_login_that_x_has_granted(
    world: World, odd: Any, times: int
) -> None:
    world.peer.plan[ME] = [odd] * times
    attempt = attempt_in(world)
    assert (await attempt.finish(redirect(attempt))).account.id == GREETER.id
    asked_for = [dict(parse_qsl(urlsplit(call.url).query)) for call in world.peer.named(ME)]
    assert (
        asked_for
        == [
            {"user.fields": "affiliation,description,protected"},
            {"user.fields": "description,protected", "expansions": "affiliation"},
            {},
        ][: times + 1]
    )


@pytest.mark.parametrize("away_s", [0.5, 600.0])
async def test_a_store_that_fails_for_minutes_does_not_lose_the_login(
    world: World, away_s: float
) -> None:
    world.broken.add("credentials.replace")
    attempt = attempt_in(world)
    finishing = asyncio.get_running_loop().create_task(attempt.finish(redirect(attempt)))
    await world.clock.advance(away_s)
    assert not finishing.done()
    world.broken.clear()
    await world.clock.advance(30.0)
    assert (await finishing).row.gen == 1


async def test_success_is_not_said_when_the_login_could_not_be_stored(world: World) -> None:
    world.broken.add("credentials.replace")
    attempt = attempt_in(world)
    finishing = asyncio.get_running_loop().create_task(attempt.finish(redirect(attempt)))
    await world.clock.advance(1000.0)
    with pytest.raises(StoreUnavailable):
        await finishing
