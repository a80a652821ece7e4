"""X's API as the core sees it: which credential, how often, what an answer means, what it costs."""

from __future__ import annotations

import asyncio
import urllib.parse
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from botkit.client.api.limiter import Limiter
from botkit.client.api.x_api import XApi
from botkit.errors import (
    BadRequest,
    Forbidden,
    LevelTooLow,
    MalformedAnswer,
    MissingScope,
    NotFound,
    OutcomeUnknown,
    Parked,
    RateLimited,
    ServerError,
    TransportError,
    Unauthorized,
    WrongCredential,
)
from botkit.model.tokens import CredentialKind, LoginState, Secret
from botkit.protocol.api import push_requests, requests
from botkit.protocol.rules.pricing import Charge
from tests.unit.client.fakes import APPS, GREETER, World, json_answer
from tests.unit.client.keeping import TOKEN, WRONG_SECRET, keeper_in

CREATE = "POST /2/tweets"
ME = "GET /2/users/me"
BEARER = "POST /oauth2/token"
POSTED = json_answer(201, {"data": {"id": "1", "text": "hi"}})
UNAUTHORIZED = json_answer(401, {"title": "Unauthorized", "status": 401, "type": "about:blank"})


class Api:
    def __init__(self, world: World, **more: Any) -> None:
        self.spent: list[tuple[str, Charge, str]] = []
        self.kept = keeper_in(world, **more)
        self.limiter = Limiter(clock=world.clock, entropy=world.entropy)
        self.x = XApi(self.kept.keeper, limiter=self.limiter, on_spend=self._spend)

    def _spend(self, account_id: str, charge: Charge, /, *, app: str) -> None:
        self.spent.append((account_id, charge, app))

    async def post(self, text: str = "hi") -> Any:
        return await self.x.send(requests.create_post(text), account_id=GREETER.id)


async def test_a_post_goes_out_with_the_accounts_token_and_its_answer_is_read(
    world: World,
) -> None:
    await world.log_in()
    world.peer.plan[CREATE] = [POSTED]
    api = Api(world)
    response = await api.post()
    assert response.data == {"id": "1", "text": "hi"}
    [call] = world.peer.calls
    assert (call.method, call.url) == ("POST", "https://api.x.com/2/tweets")
    assert dict(call.headers) == {
        "Authorization": "Bearer at-1",
        "Content-Type": "application/json",
    }
    assert (call.writes, call.follow_same_origin) == (True, False)
    assert msgspec.json.decode(call.body or b"") == {"text": "hi"}
    assert api.spent == []  # the outbox charges writes


async def test_a_read_may_follow_its_origin_and_costs_what_came(world: World) -> None:
    await world.log_in()
    world.peer.plan["GET /2/users"] = [
        json_answer(200, {"data": [{"id": "7", "username": "ada", "name": "Ada"}]})
    ]
    api = Api(world)
    await api.x.send(requests.get_users(["7", "8", "9"]), account_id=GREETER.id)
    [call] = world.peer.calls
    assert (call.writes, call.follow_same_origin) == (False, True)
    assert [name for name, _ in call.headers] == ["Authorization"]
    assert "ids=7%2C8%2C9" in call.url
    charge = Charge(each_usd=Decimal("0.010"), resources=("User: Read/7",))
    assert api.spent == [(GREETER.id, charge, "default")]


async def test_what_x_refuses_costs_nothing(world: World) -> None:
    await world.log_in()
    world.peer.plan[CREATE] = [json_answer(403, {"title": "Forbidden", "detail": "duplicate"})]
    api = Api(world)
    with pytest.raises(Forbidden):
        await api.post()
    assert api.spent == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("lost", OutcomeUnknown),
        (json_answer(500, {}), ServerError),
        (json_answer(201, []), MalformedAnswer),
    ],
)
async def test_a_write_that_may_have_happened_is_never_sent_again(
    world: World, fault: Any, error: type[Exception]
) -> None:
    await world.log_in()
    world.peer.plan[CREATE] = [fault]
    api = Api(world)
    with pytest.raises(error):
        await api.post()
    assert len(world.peer.named(CREATE)) == 1


async def test_a_connect_that_fails_is_no_outcome_to_settle(world: World) -> None:
    await world.log_in()
    world.peer.plan[CREATE] = ["connect"]
    api = Api(world)
    with pytest.raises(TransportError) as caught:
        await api.post()
    assert type(caught.value) is TransportError
    assert api.spent == []


async def test_a_missing_scope_is_said_before_anything_is_sent(world: World) -> None:
    await world.log_in()
    message = requests.send_message(participant_id="7", text="hi")
    with pytest.raises(MissingScope, match=r"dm\.write"):
        await Api(world).x.send(message, account_id=GREETER.id)
    assert world.peer.calls == []


async def test_an_account_without_a_login_has_no_credential(world: World) -> None:
    with pytest.raises(WrongCredential):
        await Api(world).post()
    await world.real_store.accounts.put(GREETER)
    with pytest.raises(WrongCredential) as refused:
        await Api(world).post()
    assert refused.value.cure == "Run `botkit setup --account greeter` and authorize the account."


# ---- 401 -------------------------------------------------------------------------------------


async def test_a_401_refreshes_once_and_sends_once_more(world: World) -> None:
    await world.log_in(access_token="at-old")
    world.peer.plan[CREATE] = [UNAUTHORIZED, POSTED]
    await Api(world).post()
    tokens = [dict(call.headers)["Authorization"] for call in world.peer.named(CREATE)]
    assert tokens == ["Bearer at-old", "Bearer at-2"]
    assert world.refreshes == ["rt-1"]


async def test_a_second_401_is_an_error_and_no_loop(world: World) -> None:
    await world.log_in()
    world.peer.plan[CREATE] = [UNAUTHORIZED] * 9
    api = Api(world)
    for _ in range(3):
        with pytest.raises(Unauthorized):
            await api.post()
    assert world.refreshes == ["rt-1"]
    assert len(world.peer.named(CREATE)) == 4


async def test_many_401s_at_once_refresh_once(world: World) -> None:
    await world.log_in(access_token="at-old")
    world.peer.plan[CREATE] = [UNAUTHORIZED] * 10 + [POSTED] * 10
    api = Api(world)
    await asyncio.gather(*(api.post() for _ in range(10)))
    assert world.refreshes == ["rt-1"]


async def test_a_401_with_a_dead_grant_parks_for_the_login(world: World) -> None:
    await world.log_in(refresh_token="rt-old")
    world.peer.plan[CREATE] = [UNAUTHORIZED]
    api = Api(world)
    with pytest.raises(Parked) as caught:
        await api.post()
    assert (caught.value.waiting_for, caught.value.until) == ("login", None)
    with pytest.raises(Parked):
        await api.post()
    assert len(world.peer.named(CREATE)) == 1


async def test_a_401_while_the_token_endpoint_is_away_stays_a_401(world: World) -> None:
    await world.log_in()
    world.peer.plan[CREATE] = [UNAUTHORIZED]
    world.peer.plan[TOKEN] = ["connect"]
    with pytest.raises(Unauthorized):
        await Api(world).post()


@pytest.mark.parametrize("status", [LoginState.DEAD, LoginState.UNCERTAIN])
async def test_a_login_that_is_not_ok_parks_only_when_its_token_is_of_no_use(
    world: World, status: LoginState
) -> None:
    await world.log_in(status=status)
    world.peer.plan[CREATE] = [POSTED]
    api = Api(world)
    if status is LoginState.DEAD:
        with pytest.raises(Parked):
            await api.post()
    else:
        await api.post()


# ---- 429, 402 --------------------------------------------------------------------------------


def headers_of(world: World, remaining: int, reset_s: float) -> dict[str, str]:
    now = world.clock.now()
    return {
        "x_rate_limit_limit": "100",
        "x_rate_limit_remaining": str(remaining),
        "x_rate_limit_reset": str(int(now.timestamp() + reset_s)),
        "date": now.strftime("%a, %d %b %Y %H:%M:%S GMT"),
    }


async def test_a_429_parks_until_its_reset_and_other_endpoints_go_on(world: World) -> None:
    await world.log_in()
    world.peer.plan[CREATE] = [json_answer(429, {}, **headers_of(world, 0, 30)), POSTED]
    api = Api(world)
    with pytest.raises(Parked) as caught:
        await api.post()
    assert caught.value.waiting_for == "rate"
    assert caught.value.until is not None
    assert 30 <= (caught.value.until - world.clock.now()).total_seconds() <= 33
    assert (await api.x.send(requests.get_me(), account_id=GREETER.id)).data["id"] == GREETER.id
    with pytest.raises(Parked):
        await api.x.ready(requests.create_post("hi"), account_id=GREETER.id)
    await world.clock.advance(33.0)
    await api.x.ready(requests.create_post("hi"), account_id=GREETER.id)
    await api.post()


async def test_a_429_that_ends_within_seconds_is_waited_for_in_place(world: World) -> None:
    await world.log_in()
    world.peer.plan[CREATE] = [json_answer(429, {}, **headers_of(world, 0, 2)), POSTED]
    posting = asyncio.get_running_loop().create_task(Api(world).post())
    await world.clock.advance(5.0)
    assert (await posting).data["id"] == "1"


async def test_429s_that_go_on_end(world: World) -> None:
    await world.log_in()
    world.peer.plan[CREATE] = [json_answer(429, {}, **headers_of(world, 0, 3600))] * 2
    world.peer.plan[CREATE] = [
        json_answer(429, {}, **headers_of(world, 0, delay)) for delay in (1, 3, 5)
    ]
    posting = asyncio.get_running_loop().create_task(Api(world).post())
    await world.clock.advance(20.0)
    with pytest.raises(RateLimited):
        await posting
    assert len(world.peer.named(CREATE)) == 3


async def test_a_window_that_an_answer_used_up_lets_nothing_leave(world: World) -> None:
    await world.log_in()
    used_up = json_answer(201, {"data": {"id": "1"}}, **headers_of(world, 0, 600))
    world.peer.plan[CREATE] = [used_up, POSTED]
    api = Api(world)
    await api.post()
    with pytest.raises(Parked):
        await api.post()
    assert len(world.peer.named(CREATE)) == 1


async def test_no_credit_parks_all_calls_of_the_account(world: World) -> None:
    await world.log_in()
    world.peer.plan[CREATE] = [
        json_answer(402, {"title": "CreditsDepleted", "detail": "no credits", "status": 402})
    ]
    api = Api(world)
    with pytest.raises(Parked) as caught:
        await api.post()
    assert caught.value.waiting_for == "credits"
    with pytest.raises(Parked):
        await api.x.send(requests.get_me(), account_id=GREETER.id)
    assert len(world.peer.calls) == 1
    await world.clock.advance(timedelta(minutes=16))
    await api.x.send(requests.get_me(), account_id=GREETER.id)


# ---- the app ---------------------------------------------------------------------------------


async def test_without_an_account_the_app_speaks_with_a_bearer_that_is_fetched_once_and_kept(
    world: World,
) -> None:
    world.peer.access_tokens.add("AAAA")
    world.peer.plan["GET /2/usage/tweets"] = [json_answer(200, {"data": {}})] * 2
    api = Api(world)
    await asyncio.gather(api.x.send(requests.get_usage()), api.x.send(requests.get_usage()))
    [fetch] = world.peer.named(BEARER)
    assert fetch.body == b"grant_type=client_credentials"
    assert dict(fetch.headers)["Authorization"] == "Basic a2V5OmFwaS1zZWNyZXQ="
    assert {dict(c.headers)["Authorization"] for c in world.peer.named("GET /2/usage/tweets")} == {
        "Bearer AAAA"
    }
    again = Api(world)
    world.peer.plan["GET /2/usage/tweets"] = [json_answer(200, {"data": {}})]
    await again.x.send(requests.get_usage())
    assert len(world.peer.named(BEARER)) == 1
    row = await world.real_store.credentials.get("", "default", CredentialKind.APP_ONLY)
    assert row is not None
    assert b"AAAA" not in row.sealed


async def test_a_bearer_of_other_keys_is_not_used_for_these(world: World) -> None:
    world.peer.plan["GET /2/usage/tweets"] = [json_answer(200, {"data": {}})] * 2
    await Api(world).x.send(requests.get_usage())
    other = {"default": msgspec.structs.replace(APPS["default"], api_key="other")}
    await Api(world, apps=other).x.send(requests.get_usage())
    assert len(world.peer.named(BEARER)) == 2


async def test_a_bearer_that_the_store_cannot_keep_is_used_all_the_same(world: World) -> None:
    world.broken.add("credentials.replace")
    world.peer.plan["GET /2/usage/tweets"] = [json_answer(200, {"data": {}})]
    await Api(world).x.send(requests.get_usage())
    assert len(world.peer.named("GET /2/usage/tweets")) == 1


async def test_a_dead_bearer_is_fetched_once_more(world: World) -> None:
    world.peer.plan[BEARER] = [
        json_answer(200, {"token_type": "bearer", "access_token": "OLD"}),
        json_answer(200, {"token_type": "bearer", "access_token": "NEW"}),
    ]
    world.peer.plan["GET /2/usage/tweets"] = [json_answer(200, {"data": {}})]
    api = Api(world)
    await api.x.send(requests.get_usage())
    world.peer.plan["GET /2/usage/tweets"] = [UNAUTHORIZED, json_answer(200, {"data": {}})]
    await world.clock.advance(61.0)
    await api.x.send(requests.get_usage())
    world.peer.plan["GET /2/usage/tweets"] = [UNAUTHORIZED]
    with pytest.raises(Unauthorized):
        await api.x.send(requests.get_usage())
    assert len(world.peer.named(BEARER)) == 2
    assert await api.kept.keeper.report_bearer_unauthorized("default", Secret("OLD")) == Secret(
        "NEW"
    )


async def test_a_configured_bearer_is_used_as_it_is_and_never_replaced(world: World) -> None:
    keys = {"default": msgspec.structs.replace(APPS["default"], bearer_token=Secret("BBBB"))}
    world.peer.plan["GET /2/usage/tweets"] = [UNAUTHORIZED]
    with pytest.raises(Unauthorized):
        await Api(world, apps=keys).x.send(requests.get_usage())
    assert world.peer.named(BEARER) == []
    [call] = world.peer.calls
    assert dict(call.headers)["Authorization"] == "Bearer BBBB"


async def test_an_app_without_keys_cannot_speak(world: World) -> None:
    keys = {"default": msgspec.structs.replace(APPS["default"], api_key="")}
    api = Api(world, apps=keys)
    with pytest.raises(WrongCredential, match="bearer_token"):
        await api.x.send(requests.get_usage())
    with pytest.raises(WrongCredential):
        await api.kept.keeper.bearer("default")
    assert not api.kept.keeper.app_can_serve("other")


@pytest.mark.parametrize(
    ("answer", "error"),
    [(WRONG_SECRET, Parked), (json_answer(503, {}), TransportError), ("lost", TransportError)],
)
async def test_a_bearer_that_cannot_be_had_is_no_answer_to_the_call(
    world: World, answer: Any, error: type[BaseException]
) -> None:
    world.peer.plan[BEARER] = [answer]
    with pytest.raises(error) as caught:
        await Api(world).x.send(requests.get_usage())
    assert type(caught.value) is error


async def test_a_call_may_be_sent_as_the_app_of_the_account(world: World) -> None:
    await world.log_in()
    listing = msgspec.structs.replace(push_requests.list_subscriptions(), as_app=True)
    world.peer.plan[listing.name] = [json_answer(200, {"data": [], "meta": {}})]
    await Api(world).x.send(listing, account_id=GREETER.id)
    [call] = world.peer.named(listing.name)
    assert dict(call.headers)["Authorization"] == "Bearer AAAA"


async def test_a_stream_is_opened_as_the_app_and_only_a_200_is_given_out(world: World) -> None:
    await world.log_in()
    name = "GET /2/activity/stream"
    world.peer.plan[name] = [json_answer(200, {"data": 1}), json_answer(429, {}), UNAUTHORIZED]
    api = Api(world)
    async with api.x.stream(push_requests.activity_stream(), account_id=GREETER.id) as stream:
        assert [chunk async for chunk in stream.chunks()] == [b'{"data":1}']
    assert dict(world.peer.named(name)[0].headers)["Authorization"] == "Bearer AAAA"
    with pytest.raises(RateLimited):
        async with api.x.stream(push_requests.activity_stream()):
            pass
    with pytest.raises(Unauthorized):
        async with api.x.stream(push_requests.activity_stream()):
            pass


async def test_a_stream_that_is_refused_for_its_token_is_opened_with_another(
    world: World,
) -> None:
    name = "GET /2/activity/stream"
    world.peer.plan[BEARER] = [json_answer(200, {"token_type": "bearer", "access_token": "OLD"})]
    api = Api(world)
    await api.kept.keeper.bearer("default")
    await world.clock.advance(61.0)
    world.peer.plan[name] = [UNAUTHORIZED, json_answer(200, {})]
    async with api.x.stream(push_requests.activity_stream()) as stream:
        assert stream.status == 200
    await world.clock.advance(61.0)
    world.peer.plan[name] = [UNAUTHORIZED, UNAUTHORIZED]
    with pytest.raises(Unauthorized):
        async with api.x.stream(push_requests.activity_stream()):
            pass


# ---- OAuth 1.0a ------------------------------------------------------------------------------


async def test_an_account_with_1a_tokens_signs_and_its_level_is_learned(world: World) -> None:
    await world.log_in_1a()
    world.peer.plan[CREATE] = [
        json_answer(201, {"data": {"id": "1"}}, x_access_level="read-write"),
        json_answer(201, {"data": {"id": "2"}}, x_access_level="read-write"),
        json_answer(201, {"data": {"id": "3"}}),
    ]
    api = Api(world)
    assert await api.x.kinds(GREETER.id) == {
        CredentialKind.OAUTH1: (),
        CredentialKind.APP_ONLY: (),
    }
    for _ in range(3):
        await api.post()
    headers = [dict(call.headers)["Authorization"] for call in world.peer.named(CREATE)]
    assert all(header.startswith("OAuth ") for header in headers)
    assert all('oauth_token="t-1"' in header for header in headers)
    assert len({header.partition("oauth_nonce")[2][:40] for header in headers}) == 3
    assert (await api.x.kinds(GREETER.id))[CredentialKind.OAUTH1] == ("read-write",)
    assert world.log.count("credentials.note_level") == 1


async def test_which_credential_is_used_is_told_once_the_level_of_a_1a_token_is_known(
    world: World,
) -> None:
    await world.log_in_1a()
    world.peer.plan[ME] = [json_answer(200, {"data": world.peer.user}, x_access_level="read")]
    api = Api(world)
    with pytest.raises(LevelTooLow):
        await api.x.credential("createPosts", account_id=GREETER.id)
    assert len(world.peer.named(ME)) == 1


async def test_a_clock_that_x_does_not_share_is_corrected_once_by_xs_date(world: World) -> None:
    await world.log_in_1a()
    theirs = world.clock.now() + timedelta(hours=3)
    date = theirs.strftime("%a, %d %b %Y %H:%M:%S GMT")
    refusal = json_answer(401, {"title": "Unauthorized"}, date=date)
    world.peer.plan[CREATE] = [refusal, POSTED, refusal]
    api = Api(world)
    await api.post()
    stamps = [timestamp_of(call) for call in world.peer.named(CREATE)]
    assert stamps[1] - stamps[0] == 3 * 3600
    with pytest.raises(Unauthorized):
        await api.post()
    assert len(world.peer.named(CREATE)) == 3


async def test_a_401_without_a_date_is_a_401(world: World) -> None:
    await world.log_in_1a()
    world.peer.plan[CREATE] = [UNAUTHORIZED]
    with pytest.raises(Unauthorized):
        await Api(world).post()


async def test_a_1a_call_signs_what_stands_in_the_address(world: World) -> None:
    await world.log_in_1a()
    await_me = [json_answer(200, {"data": {"id": "1"}})]
    world.peer.plan[ME] = await_me
    await Api(world).x.send(requests.get_me(), account_id=GREETER.id)
    [call] = world.peer.calls
    query = urllib.parse.urlsplit(call.url).query
    assert "user.fields=" in query
    assert "%2C" in query


def timestamp_of(call: Any) -> int:
    header = dict(call.headers)["Authorization"]
    return int(header.partition('oauth_timestamp="')[2].partition('"')[0])


# ---- spelling --------------------------------------------------------------------------------


async def test_a_read_whose_fields_x_spells_anew_is_asked_anew_once_and_remembered(
    world: World,
) -> None:
    await world.log_in()
    name = "GET /2/tweets/1"
    refusal = json_answer(
        400,
        {
            "title": "Invalid Request",
            "detail": "One or more parameters to your request was invalid.",
            "errors": [{"message": "The query parameter [tweet.fields] is not one of ..."}],
            "type": "https://api.x.com/2/problems/invalid-request",
            "status": 400,
        },
    )
    good = json_answer(200, {"data": {"id": "1", "text": "hi"}})
    world.peer.plan[name] = [refusal, good, good, refusal, refusal]
    api = Api(world)
    await api.x.send(requests.get_post("1"), account_id=GREETER.id)
    await api.x.send(requests.get_post("1"), account_id=GREETER.id)
    urls = [call.url for call in world.peer.named(name)]
    assert ["post.fields" in url for url in urls] == [False, True, True]
    with pytest.raises(BadRequest):
        await api.x.send(requests.get_post("1"), account_id=GREETER.id)
    assert len(world.peer.named(name)) == 5


async def test_a_read_on_the_way_in_does_without_fields_that_x_has_in_neither_spelling(
    world: World,
) -> None:
    await world.log_in()
    name = "GET /2/users/me"
    refusal = json_answer(400, {"title": "Invalid Request", "detail": "[user.fields] is unknown"})
    world.peer.plan[name] = [refusal, refusal]
    api = Api(world)
    response = await api.x.send(requests.get_me(), account_id=GREETER.id)
    assert response.data == world.peer.user
    assert [call.url.partition("?")[2] for call in world.peer.named(name)][2:] == [""]
    world.peer.plan[name] = [refusal, refusal, refusal]
    with pytest.raises(BadRequest):
        await api.x.send(requests.get_me(), account_id=GREETER.id)


@pytest.mark.parametrize("signs", [False, True])
async def test_only_reads_are_spelled_anew(world: World, *, signs: bool) -> None:
    await (world.log_in_1a(level="read-write") if signs else world.log_in())
    fields = (("tweet.fields", "id"),)
    read = requests.get_post("1")
    write = msgspec.structs.replace(requests.create_post("hi"), query=fields)
    world.peer.plan[read.name] = [
        json_answer(400, {"title": "Invalid Request", "detail": "[tweet.fields] is unknown"}),
        json_answer(200, {"data": {"id": "1", "text": "hi"}}),
    ]
    world.peer.plan[CREATE] = [POSTED]
    api = Api(world)
    await api.x.send(read, account_id=GREETER.id)
    await api.x.send(write, account_id=GREETER.id)
    assert ["post.fields" in call.url for call in world.peer.calls] == [False, True, False]
    assert world.peer.calls[2].url.endswith("?tweet.fields=id")


async def test_another_400_is_an_error(world: World) -> None:
    await world.log_in()
    world.peer.plan["GET /2/tweets/1"] = [json_answer(400, {"title": "Bad", "detail": "id"})]
    world.peer.plan[CREATE] = [json_answer(400, {"title": "Bad", "detail": "tweet.fields"})]
    api = Api(world)
    with pytest.raises(BadRequest):
        await api.x.send(requests.get_post("1"), account_id=GREETER.id)
    with pytest.raises(BadRequest):
        await api.post()
    assert len(world.peer.calls) == 2


async def test_a_404_is_not_found(world: World) -> None:
    await world.log_in()
    world.peer.plan["DELETE /2/tweets/1"] = [json_answer(404, {"title": "Not Found Error"})]
    with pytest.raises(NotFound):
        await Api(world).x.send(requests.delete_post("1"), account_id=GREETER.id)
    [call] = world.peer.calls
    assert call.writes
