"""An OAuth 1.0a login attempt: bound to its request token, one exchange, pinned, then stored."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode

import pytest

from botkit.client.logins.app_tokens import BearerKeeper
from botkit.client.logins.endpoints import AppKeys
from botkit.client.logins.login_rows import sealed_for
from botkit.client.signin.attempt import LoginWish
from botkit.client.signin.oauth1_attempt import OAuth1Attempt, adopt_pair
from botkit.client.upkeep.invalidate import invalidate_bearer, invalidate_pair
from botkit.errors import (
    AuthError,
    AuthorizationDenied,
    ConfigError,
    InvalidClient,
    InvalidGrant,
    LoginExpired,
    ServerError,
    StateMismatch,
    StoreUnavailable,
    TransportError,
    WrongAccount,
)
from botkit.model.tokens import CredentialKind, LoginState, Secret, TokenPair
from botkit.ports.io import HttpResponse
from botkit.protocol.oauth.oauth1_flow import ACCESS_TOKEN, INVALIDATE, REQUEST_TOKEN
from tests.unit.client.fakes import GREETER, World, json_answer
from tests.unit.client.signin.test_oauth2_attempt import ME, REDIRECT, context, stored_nothing

if TYPE_CHECKING:
    from botkit.ports.io import HttpRequest

BEARER_END = "POST /oauth2/invalidate_token"
PAIR = TokenPair(token=Secret("1999-at"), token_secret=Secret("at+secret/="))


def form(**fields: str) -> HttpResponse:
    return HttpResponse(status=200, headers={}, body=urlencode(fields).encode())


def request_token(**more: str) -> HttpResponse:
    fields = {"oauth_token": "rt", "oauth_token_secret": "rt secret"}
    return form(**fields, oauth_callback_confirmed="true", **more)


def access_token(**more: str) -> HttpResponse:
    fields = {"oauth_token": "1999-at", "oauth_token_secret": "at+secret/="}
    return form(**fields | {"user_id": GREETER.id, "screen_name": "greeter"} | more)


def me(level: str = "read-write", **user: str) -> HttpResponse:
    body = {"data": {"id": GREETER.id, "username": "greeter", "name": "Greeter"} | user}
    return json_answer(200, body, **({"x_access_level": level} if level else {}))


def code(number: int, world: World, *, ahead_s: int = 0) -> HttpResponse:
    date = format_datetime(world.clock.now() + timedelta(seconds=ahead_s), usegmt=True)
    return json_answer(401, {"errors": [{"code": number, "message": "x"}]}, date=date)


def plan(world: World, name: str, *answers: Any) -> None:
    world.peer.plan.setdefault(name, []).extend(answers)


async def begun(world: World, *, token: Any = None, **wish: Any) -> OAuth1Attempt:
    plan(world, REQUEST_TOKEN, token or request_token())
    wish.setdefault("redirect_uri", REDIRECT)
    return await OAuth1Attempt.begin(context(world), LoginWish(scopes=(), **wish))


def signed(call: HttpRequest) -> dict[str, str]:
    header = dict(call.headers)["Authorization"]
    return {name: unquote(value) for name, value in re.findall(r'([a-z_]+)="([^"]*)"', header)}


def redirect(**other: str) -> str:
    return urlencode({"oauth_token": "rt", "oauth_verifier": "v+1", **other})


async def test_the_right_redirect_stores_a_sealed_pair_with_its_level(world: World) -> None:
    attempt = await begun(world)
    assert attempt.url == "https://api.x.com/oauth/authorize?oauth_token=rt"
    plan(world, ACCESS_TOKEN, access_token())
    plan(world, ME, me("read-write-directmessages"))
    login = await attempt.finish(redirect())
    assert (login.account, login.scopes, login.missing) == (GREETER, (), ())
    row = await world.real_store.credentials.get(GREETER.id, "default", CredentialKind.OAUTH1)
    assert row == login.row
    assert (row.gen, row.status, row.level) == (1, LoginState.OK, "read-write-directmessages")
    assert row.access_until is None
    tokens = world.vault.open(row.sealed, **sealed_for(row))
    assert tokens == {"token": Secret("1999-at"), "token_secret": Secret("at+secret/=")}
    [exchange] = world.peer.named(ACCESS_TOKEN)
    assert signed(exchange)["oauth_verifier"] == "v+1"
    assert signed(exchange)["oauth_token"] == "rt"
    assert (exchange.body, exchange.writes) == (None, True)


async def test_a_second_login_is_the_next_generation_and_oauth_2_stays_beside_it(
    world: World,
) -> None:
    await world.log_in()
    await world.log_in_1a()
    plan(world, ME, me())
    await adopt_pair(context(world), LoginWish(redirect_uri="oob", scopes=()), PAIR)
    rows = await world.real_store.credentials.listing(GREETER.id)
    assert {row.kind: row.gen for row in rows} == {
        CredentialKind.OAUTH1: 2,
        CredentialKind.OAUTH2: 1,
    }


async def test_the_wished_name_is_filled_in_on_xs_page(world: World) -> None:
    named = await begun(world, account="@greeter")
    assert named.url.endswith("&screen_name=greeter")
    by_id = await begun(world, account=GREETER.id)
    assert "screen_name" not in by_id.url


@pytest.mark.parametrize("query", ["", "oauth_token=other&oauth_verifier=v", "denied=other"])
async def test_a_foreign_redirect_leaves_the_attempt_open(world: World, query: str) -> None:
    attempt = await begun(world)
    with pytest.raises(StateMismatch):
        await attempt.finish(query)
    assert not attempt.is_over
    assert world.peer.named(ACCESS_TOKEN) == []
    plan(world, ACCESS_TOKEN, access_token())
    plan(world, ME, me())
    assert (await attempt.finish(redirect())).account == GREETER


async def test_the_first_right_redirect_uses_the_attempt_up(world: World) -> None:
    attempt = await begun(world)
    plan(world, ACCESS_TOKEN, code(89, world))
    with pytest.raises(InvalidGrant):
        await attempt.finish(redirect())
    assert attempt.is_over
    with pytest.raises(StateMismatch, match="earlier"):
        await attempt.finish(redirect())
    assert len(world.peer.named(ACCESS_TOKEN)) == 1


async def test_a_person_who_declines_ends_the_attempt(world: World) -> None:
    attempt = await begun(world)
    with pytest.raises(AuthorizationDenied):
        await attempt.finish("denied=rt")
    assert attempt.is_over


async def test_after_ten_minutes_nothing_is_exchanged(world: World) -> None:
    attempt = await begun(world)
    await world.clock.advance(601)
    assert attempt.is_over
    with pytest.raises(LoginExpired, match="ten minutes"):
        await attempt.finish(redirect())
    assert world.peer.named(ACCESS_TOKEN) == []


async def test_a_pin_is_trimmed_sent_once_and_what_is_none_is_not_sent(world: World) -> None:
    attempt = await begun(world, redirect_uri="oob")
    for typed in ("", "12 34", "v1"):
        with pytest.raises(StateMismatch):
            await attempt.finish_pin(typed)
    with pytest.raises(StateMismatch, match="PIN"):
        await attempt.finish(redirect())
    plan(world, ACCESS_TOKEN, access_token())
    plan(world, ME, me(""))
    login = await attempt.finish_pin(" 0012345\n")
    assert login.row.level == ""
    [exchange] = world.peer.named(ACCESS_TOKEN)
    assert signed(exchange)["oauth_verifier"] == "0012345"
    with pytest.raises(StateMismatch):
        await attempt.finish_pin("0012345")


@pytest.mark.parametrize("fault", ["lost", "reset"])
async def test_a_lost_answer_to_the_exchange_means_start_again(world: World, fault: str) -> None:
    attempt = await begun(world)
    if fault == "lost":
        plan(world, ACCESS_TOKEN, "reset")
    else:
        plan(world, ACCESS_TOKEN, "connect", "reset")
    with pytest.raises(AuthError, match="lost"):
        await _moving(world, attempt.finish(redirect()))
    assert len(world.peer.named(ACCESS_TOKEN)) == 1
    assert await stored_nothing(world)


async def test_a_verifier_that_was_answered_with_a_redirect_is_never_sent_again(
    world: World,
) -> None:
    attempt = await begun(world)
    plan(world, ACCESS_TOKEN, "redirect")
    with pytest.raises(AuthError, match="303"):
        await attempt.finish(redirect())
    assert len(world.peer.named(ACCESS_TOKEN)) == 1
    assert await stored_nothing(world)


async def test_what_x_answered_in_vain_is_told_with_the_way_on(world: World) -> None:
    attempt = await begun(world)
    plan(world, ACCESS_TOKEN, json_answer(503, {}))
    with pytest.raises(ServerError) as caught:
        await attempt.finish(redirect())
    assert caught.value.hint == "Nothing was stored: start again."


async def _moving(world: World, work: Any) -> Any:
    task = asyncio.get_running_loop().create_task(work)
    while not task.done():
        await world.clock.at_rest()
        if not task.done():
            await world.clock.advance(1)
    return await task


async def test_what_surely_did_not_reach_x_is_tried_again(world: World) -> None:
    plan(world, REQUEST_TOKEN, "connect", "connect")
    attempt = await _moving(world, begun(world))
    plan(world, ACCESS_TOKEN, "connect", access_token())
    plan(world, ME, json_answer(503, {}), "connect", me())
    assert (await _moving(world, attempt.finish(redirect()))).account == GREETER
    plan(world, REQUEST_TOKEN, *["connect"] * 5)
    wish = LoginWish(redirect_uri=REDIRECT, scopes=())
    with pytest.raises(TransportError):
        await _moving(world, OAuth1Attempt.begin(context(world), wish))


async def test_a_login_that_x_has_granted_is_stored_for_the_user_named_with_it_if_x_is_away(
    world: World,
) -> None:
    attempt = await begun(world)
    plan(world, ACCESS_TOKEN, access_token())
    plan(world, ME, *["connect"] * 5)
    login = await _moving(world, attempt.finish(redirect()))
    assert (login.account.id, login.account.username) == (GREETER.id, "greeter")
    assert login.row.level == ""


async def test_a_login_that_x_has_granted_without_a_name_waits_until_x_says_it(
    world: World,
) -> None:
    attempt = await begun(world)
    plan(world, ACCESS_TOKEN, access_token(screen_name=""))
    plan(world, ME, *[json_answer(503, {})] * 30, me())
    assert (await _moving(world, attempt.finish(redirect()))).account == GREETER


async def test_a_console_token_is_given_up_soon_because_it_can_be_given_again(
    world: World,
) -> None:
    plan(world, ME, *["connect"] * 5)
    wish = LoginWish(redirect_uri="oob", scopes=())
    with pytest.raises(TransportError):
        await _moving(world, adopt_pair(context(world), wish, PAIR))
    assert await stored_nothing(world)


@pytest.mark.parametrize("ahead_s", [1200, -1200])
async def test_the_clock_is_taken_over_from_x_once(world: World, ahead_s: int) -> None:
    plan(world, REQUEST_TOKEN, code(135, world, ahead_s=ahead_s))
    attempt = await begun(world)
    first, second = (
        int(signed(call)["oauth_timestamp"]) for call in world.peer.named(REQUEST_TOKEN)
    )
    assert second - first == ahead_s
    plan(world, ACCESS_TOKEN, access_token())
    plan(world, ME, me())
    await attempt.finish(redirect())
    [exchange] = world.peer.named(ACCESS_TOKEN)
    assert int(signed(exchange)["oauth_timestamp"]) == second
    nonces = {signed(call)["oauth_nonce"] for call in world.peer.calls}
    assert len(nonces) == len(world.peer.calls)


async def test_a_clock_that_x_refuses_twice_is_a_persons_to_set(world: World) -> None:
    plan(world, REQUEST_TOKEN, code(135, world, ahead_s=1200))
    with pytest.raises(ConfigError, match="time in the signature"):
        await begun(world, token=code(135, world, ahead_s=1200))
    assert len(world.peer.named(REQUEST_TOKEN)) == 2


async def test_a_pin_is_not_sent_twice_for_a_clock_that_was_corrected(world: World) -> None:
    plan(world, REQUEST_TOKEN, code(135, world, ahead_s=1200))
    attempt = await begun(world, redirect_uri="oob")
    date = format_datetime(world.clock.now() + timedelta(seconds=1200), usegmt=True)
    plan(world, ACCESS_TOKEN, HttpResponse(status=401, headers={"date": date}, body=b"no"))
    with pytest.raises(InvalidGrant):
        await attempt.finish_pin("1234567")
    assert len(world.peer.named(ACCESS_TOKEN)) == 1


async def test_without_key_and_secret_nothing_is_sent(world: World) -> None:
    for apps in ({}, {"default": AppKeys(api_key="k")}):
        with pytest.raises(ConfigError, match="no api key"):
            await OAuth1Attempt.begin(
                context(world, apps=apps), LoginWish(redirect_uri=REDIRECT, scopes=())
            )
    assert world.peer.calls == []


async def test_a_token_that_is_not_who_x_said_is_not_stored(world: World) -> None:
    attempt = await begun(world)
    plan(world, ACCESS_TOKEN, access_token(user_id="7"))
    plan(world, ME, me())
    with pytest.raises(WrongAccount, match="user 7"):
        await attempt.finish(redirect())
    assert await stored_nothing(world)


async def test_another_account_than_the_wished_one_needs_a_word(world: World) -> None:
    wish = LoginWish(redirect_uri="oob", scopes=(), account="ada")
    plan(world, ME, me(), me())
    with pytest.raises(WrongAccount, match="@ada was wanted") as caught:
        await adopt_pair(context(world), wish, PAIR)
    assert caught.value.hint == "Give the access token and secret of @ada."
    assert await stored_nothing(world)
    confirmed = LoginWish(redirect_uri="oob", scopes=(), account="ada", confirmed=True)
    assert (await adopt_pair(context(world), confirmed, PAIR)).account == GREETER


async def test_a_pair_of_a_known_account_that_consented_by_mistake_ends_no_older_one(
    world: World,
) -> None:
    before = await world.log_in_1a(level="read")
    attempt = await begun(world, account="ada")
    plan(world, ACCESS_TOKEN, access_token())
    plan(world, ME, me())
    with pytest.raises(WrongAccount, match="nothing was stored") as refused:
        await attempt.finish(redirect())
    assert refused.value.kept == ""
    assert await world.real_store.credentials.listing() == [before]


async def test_console_tokens_that_x_does_not_take_are_not_stored(world: World) -> None:
    wish = LoginWish(redirect_uri="oob", scopes=())
    plan(world, ME, json_answer(401, {"title": "Unauthorized", "status": 401}))
    with pytest.raises(InvalidGrant, match="nothing was stored") as raised:
        await adopt_pair(context(world), wish, PAIR)
    assert "at+secret" not in str(raised.value)
    assert await stored_nothing(world)


async def test_a_store_that_cannot_take_it_is_an_error(world: World) -> None:
    world.broken.add("credentials.replace")
    plan(world, ME, me())
    wish = LoginWish(redirect_uri="oob", scopes=())
    with pytest.raises(StoreUnavailable):
        await _moving(world, adopt_pair(context(world), wish, PAIR))


async def test_a_store_that_cannot_take_it_is_found_before_the_pin_is_spent(world: World) -> None:
    attempt = await begun(world, redirect_uri="oob")
    world.broken.add("credentials.make_room")
    with pytest.raises(StoreUnavailable):
        await _moving(world, attempt.finish_pin("1234567"))
    assert world.peer.named(ACCESS_TOKEN) == []


async def test_invalidation_is_xs_first(world: World) -> None:
    row = await world.log_in_1a()
    plan(world, INVALIDATE, json_answer(200, {"access_token": "t-1"}), code(89, world))
    await invalidate_pair(context(world), row)
    await invalidate_pair(context(world), row)
    plan(world, INVALIDATE, json_answer(503, {}))
    with pytest.raises(ServerError):
        await invalidate_pair(context(world), row)
    first = world.peer.named(INVALIDATE)[0]
    assert signed(first)["oauth_token"] == "t-1"
    assert first.url == "https://api.x.com/1.1/oauth/invalidate_token"


async def test_an_apps_bearer_is_invalidated_with_its_key_and_secret(world: World) -> None:
    assert await invalidate_bearer(context(world), "default") is False
    await BearerKeeper(context(world)).bearer("default")
    plan(world, BEARER_END, json_answer(403, {"errors": [{"code": 99, "message": "x"}]}))
    with pytest.raises(InvalidClient):
        await invalidate_bearer(context(world), "default")
    kept = await world.real_store.credentials.get("", "default", CredentialKind.APP_ONLY)
    assert kept is not None
    plan(world, BEARER_END, json_answer(200, {"access_token": "AAAA"}))
    assert await invalidate_bearer(context(world), "default") is True
    assert await world.real_store.credentials.listing("") == []
    call = world.peer.named(BEARER_END)[-1]
    assert call.body == b"access_token=AAAA"
    assert dict(call.headers)["Authorization"].startswith("Basic ")
    with pytest.raises(ConfigError, match="no api key"):
        await invalidate_bearer(context(world, apps={}), "default")
