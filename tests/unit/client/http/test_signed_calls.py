"""Calls that the app's keys sign: with which token, with which time, and how often."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from botkit.client.http.signed_calls import SignedCalls
from botkit.client.http.signer import Signer
from botkit.errors import ConfigError
from botkit.model.tokens import Secret, TokenPair
from botkit.ports.io import HttpRequest
from botkit.protocol.oauth.oauth1 import SigningTemplate
from tests.unit.client.fakes import APPS, json_answer
from tests.unit.client.signin.test_oauth2_attempt import context

if TYPE_CHECKING:
    from botkit.ports.io import HttpResponse
    from tests.unit.client.fakes import World

NAME = "POST /oauth/request_token"
URL = "https://api.x.com/oauth/request_token"
PAIR = TokenPair(token=Secret("t-1"), token_secret=Secret("ts-1"))
FINE = json_answer(200, {})


def leg() -> HttpRequest:
    return HttpRequest(method="POST", url=URL, name=NAME, headers=(("X-Lab", "1"),))


def parameters(call: HttpRequest) -> dict[str, str]:
    header = dict(call.headers)["Authorization"]
    assert header.startswith("OAuth ")
    return dict(re.findall(r'(\w+)="([^"]*)"', header))


def refusal(world: World, off: timedelta, *codes: int) -> HttpResponse:
    date = (world.clock.now() + off).strftime("%a, %d %b %Y %H:%M:%S GMT")
    errors = [{"code": code, "message": "no"} for code in codes]
    return json_answer(401, {"errors": errors} if errors else {"title": "no"}, date=date)


async def test_a_call_is_signed_for_its_app_and_token_and_keeps_its_own_headers(
    world: World,
) -> None:
    calls = SignedCalls(context(world), "default")
    world.peer.plan[NAME] = [FINE, FINE]
    await calls.send(leg(), PAIR, extra={"oauth_verifier": Secret("v-1")})
    await calls.send(leg(), extra={"oauth_callback": "oob"})
    with_pair, without = map(parameters, world.peer.calls)
    assert (with_pair["oauth_consumer_key"], with_pair["oauth_token"]) == ("key", "t-1")
    assert (with_pair["oauth_verifier"], without["oauth_callback"]) == ("v-1", "oob")
    assert "oauth_token" not in without
    assert with_pair["oauth_nonce"] != without["oauth_nonce"]
    assert int(with_pair["oauth_timestamp"]) == int(world.clock.now().timestamp())
    assert dict(world.peer.calls[0].headers)["X-Lab"] == "1"


@pytest.mark.parametrize(
    ("off_s", "codes", "sent"),
    [(7200, (), 2), (-7200, (), 2), (7200, (135,), 2), (30, (), 1), (7200, (89,), 1)],
)
async def test_a_call_that_the_clock_may_have_spoiled_is_signed_once_more_with_xs_time(
    world: World, off_s: int, codes: tuple[int, ...], sent: int
) -> None:
    off = timedelta(seconds=off_s)
    world.peer.plan[NAME] = [refusal(world, off, *codes), FINE]
    answer = await SignedCalls(context(world), "default").send(leg())
    assert answer.status == (200 if sent == 2 else 401)
    stamps = [int(parameters(call)["oauth_timestamp"]) for call in world.peer.calls]
    assert [stamp - stamps[0] for stamp in stamps] == [0, off_s][:sent]
    assert len({parameters(call)["oauth_nonce"] for call in world.peer.calls}) == sent


async def test_xs_time_is_used_from_then_on_and_a_refusal_of_it_is_final(world: World) -> None:
    off = timedelta(hours=2)
    world.peer.plan[NAME] = [refusal(world, off)] * 3
    calls = SignedCalls(context(world), "default")
    assert (await calls.send(leg())).status == 401
    assert (await calls.send(leg())).status == 401
    stamps = [int(parameters(call)["oauth_timestamp"]) for call in world.peer.calls]
    assert [stamp - stamps[0] for stamp in stamps] == [0, 7200, 7200]


@pytest.mark.parametrize("missing", ["app", "api_key", "api_secret"])
def test_an_app_without_key_and_secret_signs_nothing_and_says_what_to_set(
    world: World, missing: str
) -> None:
    apps: dict[str, Any] = {}
    if missing != "app":
        empty = "" if missing == "api_key" else Secret("")
        apps = {"default": msgspec.structs.replace(APPS["default"], **{missing: empty})}
    with pytest.raises(ConfigError, match="'default' has no api key and api secret") as refused:
        SignedCalls(context(world, apps=apps), "default")
    assert "api_key and api_secret" in refused.value.hint


@pytest.mark.parametrize(
    ("off_s", "always", "taken"),
    [(59.9, False, False), (-59.9, False, False), (60.0, False, True), (1.0, True, True)],
)
def test_less_than_a_minute_is_the_same_time_unless_x_named_the_time_as_the_fault(
    world: World, off_s: float, *, always: bool, taken: bool
) -> None:
    signer = Signer(world.clock, world.entropy, clock_off=timedelta(hours=1))
    template = SigningTemplate("key", Secret("api-secret"), None)

    def stamp() -> int:
        header = signer.authorization(template, "POST", URL)
        return int(header.partition('oauth_timestamp="')[2].partition('"')[0])

    before = stamp()
    assert before == int((world.clock.now() + timedelta(hours=1)).timestamp())
    theirs = timedelta(hours=1, seconds=off_s)
    assert signer.take_over(theirs, always=always) is taken
    assert stamp() - before == (int(off_s) if taken else 0)
