"""OAuth 1.0a at the simulated X, asked by a signer of oauthlib's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from oauthlib.oauth1 import SIGNATURE_TYPE_BODY, SIGNATURE_TYPE_QUERY, Client

from botkit.sandbox.wire.exchange import Answer, Call
from tests.unit.sandbox.conftest import CALLBACK

if TYPE_CHECKING:
    from tests.unit.sandbox.conftest import Peer

API = "https://api.x.com"
FORM = "application/x-www-form-urlencoded"


class Signer:
    """A client of the peer's world; what signs is oauthlib."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.sent: list[Call] = []

    def client(self, token: str | None = None, secret: str | None = None, **more: Any) -> Client:
        app = self.peer.app
        more.setdefault("client_secret", app.api_secret)
        stamp = str(int(self.peer.clock.now().timestamp()) + more.pop("off_s", 0))
        return Client(
            more.pop("client_key", app.api_key),
            resource_owner_key=token,
            resource_owner_secret=secret,
            timestamp=stamp,
            **more,
        )

    async def call(
        self,
        client: Client,
        method: str,
        path: str,
        *,
        body: str | None = None,
        host: str = API,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        named = dict(headers or {})
        if body is not None:
            named["Content-Type"] = FORM
        uri, named, raw = client.sign(f"{host}{path}", method, body, named)
        call = Call.of(method, uri, headers=named, body=(raw or "").encode())
        self.sent.append(call)
        return await self.peer.server.handle(call)

    async def begin(self, callback: str = CALLBACK, **more: Any) -> dict[str, str]:
        client = self.client(callback_uri=callback, **more)
        return form(await self.call(client, "POST", "/oauth/request_token"))

    async def agree(self, token: str, *, decision: str = "authorize") -> Answer:
        fields = {"oauth_token": token, "as": "greeter", "decision": decision}
        return await self.peer.call("POST", "/oauth/authorize", form=fields)

    async def exchange(self, begun: dict[str, str], verifier: str, **more: Any) -> Answer:
        client = self.client(
            begun["oauth_token"], begun["oauth_token_secret"], verifier=verifier, **more
        )
        return await self.call(client, "POST", "/oauth/access_token")

    async def log_in(self) -> dict[str, str]:
        begun = await self.begin()
        back = (await self.agree(begun["oauth_token"])).headers["location"]
        return form(
            await self.exchange(begun, parse_qs(urlsplit(back).query)["oauth_verifier"][0])
        )

    async def me(self, pair: dict[str, str], **more: Any) -> Answer:
        client = self.client(pair["oauth_token"], pair["oauth_token_secret"], **more)
        return await self.call(client, "GET", "/2/users/me?user.fields=id,name")


def form(answer: Answer) -> dict[str, str]:
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"].startswith(FORM)
    return dict(parse_qsl(answer.body.decode()))


def code_of(answer: Answer, read: Any) -> tuple[int, int]:
    return answer.status, read(answer)["errors"][0]["code"]


@pytest.fixture
def signer(peer: Peer) -> Signer:
    return Signer(peer)


async def test_a_login_by_callback_ends_with_a_token_that_signs(signer: Signer, read: Any) -> None:
    begun = await signer.begin()
    assert begun["oauth_callback_confirmed"] == "true"
    page = await signer.peer.call("GET", f"/oauth/authorize?oauth_token={begun['oauth_token']}")
    assert b"Authorize Greeter" in page.body
    assert b"<script" not in page.body
    back = await signer.agree(begun["oauth_token"])
    query = dict(parse_qsl(urlsplit(back.headers["location"]).query))
    assert back.headers["location"].startswith(f"{CALLBACK}?")
    assert query["oauth_token"] == begun["oauth_token"]
    pair = form(await signer.exchange(begun, query["oauth_verifier"]))
    assert (pair["user_id"], pair["screen_name"]) == (signer.peer.greeter.id, "greeter")
    answer = await signer.me(pair)
    assert read(answer)["data"]["username"] == "greeter"
    assert answer.headers["x-access-level"] == "read-write"
    again = await signer.exchange(begun, query["oauth_verifier"])
    assert code_of(again, read) == (401, 89)


async def test_a_login_by_pin_shows_seven_digits_and_takes_them_once(
    signer: Signer, read: Any
) -> None:
    begun = await signer.begin("oob")
    shown = await signer.agree(begun["oauth_token"])
    assert shown.status == 200
    pin = re.search(rb">(\d{7})<", shown.body)
    assert pin is not None
    wrong = await signer.exchange(begun, str(int(pin[1]) ^ 1))
    assert wrong.status == 401
    assert form(await signer.exchange(begun, pin[1].decode()))["screen_name"] == "greeter"
    assert code_of(await signer.exchange(begun, pin[1].decode()), read) == (401, 89)


async def test_nothing_is_exchanged_before_the_person_agreed(signer: Signer) -> None:
    begun = await signer.begin()
    assert (await signer.exchange(begun, "v")).status == 401


async def test_a_person_who_declines_sends_the_token_back_as_denied(
    signer: Signer, read: Any
) -> None:
    begun = await signer.begin()
    back = await signer.agree(begun["oauth_token"], decision="cancel")
    assert back.headers["location"] == f"{CALLBACK}?denied={begun['oauth_token']}"
    assert code_of(await signer.exchange(begun, "v"), read) == (401, 89)
    page = await signer.peer.call("GET", f"/oauth/authorize?oauth_token={begun['oauth_token']}")
    assert page.status == 400
    by_pin = await signer.begin("oob")
    assert (await signer.agree(by_pin["oauth_token"], decision="cancel")).status == 400


async def test_authenticate_goes_straight_back_for_who_agreed_before(signer: Signer) -> None:
    signer.peer.world.logged_in = "greeter"
    begun = await signer.begin()
    path = f"/oauth/authenticate?oauth_token={begun['oauth_token']}"
    assert (await signer.peer.call("GET", path)).status == 200
    await signer.log_in()
    assert (await signer.peer.call("GET", f"{path}&force_login=true")).status == 200
    assert (await signer.peer.call("GET", path)).status == 302


async def test_a_callback_that_is_not_registered_is_415_and_a_pin_not_allowed_is_417(
    signer: Signer, read: Any
) -> None:
    async def ask(callback: str) -> Answer:
        client = signer.client(callback_uri=callback)
        return await signer.call(client, "POST", "/oauth/request_token")

    assert code_of(await ask(f"{CALLBACK}/"), read) == (403, 415)
    signer.peer.app.takes_pin = False
    assert code_of(await ask("oob"), read) == (403, 417)
    client = signer.client()
    missing = await signer.call(client, "POST", "/oauth/request_token")
    assert code_of(missing, read) == (400, 215)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"client_secret": "another"}, 32),
        ({"client_key": "another"}, 32),
        ({"off_s": 400}, 135),
        ({"off_s": -400}, 135),
        ({"signature_method": "PLAINTEXT"}, 32),
        ({"signature_method": "HMAC-SHA256"}, 32),
        ({"nonce": ""}, 32),
    ],
)
async def test_what_is_not_signed_as_it_must_be_is_refused(
    signer: Signer, read: Any, wrong: dict[str, Any], code: int
) -> None:
    client = signer.client(callback_uri=CALLBACK, **wrong)
    answer = await signer.call(client, "POST", "/oauth/request_token")
    assert code_of(answer, read) == (401, code)


@pytest.mark.parametrize("nonce", ["not-letters", "a+b/c==", "~", "n" * 500])
async def test_a_nonce_is_any_text(signer: Signer, nonce: str) -> None:
    # twitter-api-v2 sends base64, twitter-lite letters and digits.
    assert (await signer.begin(nonce=nonce))["oauth_callback_confirmed"] == "true"


async def test_both_tokens_can_be_asked_for_by_get(signer: Signer) -> None:
    # As twython asks.
    client = signer.client(callback_uri=CALLBACK)
    begun = form(await signer.call(client, "GET", "/oauth/request_token"))
    back = (await signer.agree(begun["oauth_token"])).headers["location"]
    verifier = parse_qs(urlsplit(back).query)["oauth_verifier"][0]
    client = signer.client(begun["oauth_token"], begun["oauth_token_secret"])
    pair = form(await signer.call(client, "GET", f"/oauth/access_token?oauth_verifier={verifier}"))
    assert (await signer.me(pair)).status == 200


async def test_an_access_token_can_be_asked_for_without_the_secret_of_the_request_token(
    signer: Signer,
) -> None:
    # As pytwitter and twitter-lite ask.
    begun = await signer.begin()
    back = (await signer.agree(begun["oauth_token"])).headers["location"]
    verifier = parse_qs(urlsplit(back).query)["oauth_verifier"][0]
    pair = form(await signer.exchange(begun | {"oauth_token_secret": ""}, verifier))
    assert (await signer.me(pair)).status == 200


async def test_an_access_token_is_refused_to_a_foreign_secret(signer: Signer, read: Any) -> None:
    begun = await signer.begin()
    back = (await signer.agree(begun["oauth_token"])).headers["location"]
    verifier = parse_qs(urlsplit(back).query)["oauth_verifier"][0]
    answer = await signer.exchange(begun | {"oauth_token_secret": "another"}, verifier)
    assert code_of(answer, read) == (401, 32)


async def test_a_registered_callback_may_carry_a_query(signer: Signer, read: Any) -> None:
    # As python-social-auth sends one, with a state of its own.
    begun = await signer.begin(f"{CALLBACK}?redirect_state=abc")
    back = (await signer.agree(begun["oauth_token"])).headers["location"]
    query = dict(parse_qsl(urlsplit(back).query))
    assert back.startswith(f"{CALLBACK}?redirect_state=abc&")
    assert query["oauth_token"] == begun["oauth_token"]
    client = signer.client(callback_uri=f"{CALLBACK}/more?redirect_state=abc")
    other_path = await signer.call(client, "POST", "/oauth/request_token")
    assert code_of(other_path, read) == (403, 415)


async def test_the_older_api_shows_who_signed_and_nothing_else(signer: Signer, read: Any) -> None:
    pair = await signer.log_in()
    client = signer.client(pair["oauth_token"], pair["oauth_token_secret"])
    shown = await signer.call(client, "GET", "/1.1/account/verify_credentials.json")
    assert (read(shown)["id_str"], read(shown)["screen_name"]) == (pair["user_id"], "greeter")
    assert shown.headers["x-access-level"] == "read-write"
    other = await signer.call(client, "POST", "/1.1/statuses/update.json", body="status=hi")
    assert code_of(other, read) == (403, 453)
    bare = await signer.peer.call("GET", "/1.1/account/verify_credentials.json")
    assert code_of(bare, read) == (400, 215)


async def test_a_signature_is_judged_by_the_clock_of_x(signer: Signer, read: Any) -> None:
    signer.peer.server.faults.clock_off(1200)
    client = signer.client(callback_uri=CALLBACK)
    answer = await signer.call(client, "POST", "/oauth/request_token")
    assert code_of(answer, read) == (401, 135)


async def test_a_call_that_is_sent_again_is_refused(signer: Signer) -> None:
    pair = await signer.log_in()
    assert (await signer.me(pair)).status == 200
    assert (await signer.peer.server.handle(signer.sent[-1])).status == 401
    await signer.peer.clock.advance(1300)
    assert (await signer.me(pair)).status == 200


async def test_the_api_says_no_reason_for_a_bad_signature(signer: Signer, read: Any) -> None:
    pair = await signer.log_in()
    for wrong in (
        await signer.me(pair, off_s=4000),
        await signer.me(pair, client_secret="x"),
        await signer.me(pair | {"oauth_token": "another"}),
        await signer.peer.call("GET", "/2/users/me", headers={"Authorization": "OAuth a"}),
    ):
        assert wrong.status == 401
        assert read(wrong)["title"] == "Unauthorized"


@pytest.mark.parametrize(
    "host", ["https://api.twitter.com", "http://127.0.0.1:4187", "https://gateway.example"]
)
async def test_a_signature_over_another_of_xs_hosts_or_the_one_that_was_called_is_taken(
    signer: Signer, host: str
) -> None:
    pair = await signer.log_in()
    client = signer.client(pair["oauth_token"], pair["oauth_token_secret"])
    named = {"Host": urlsplit(host).netloc}
    assert (
        await signer.call(client, "GET", "/2/users/me", host=host, headers=named)
    ).status == 200
    client = signer.client(pair["oauth_token"], pair["oauth_token_secret"])
    other = await signer.call(client, "GET", "/2/users/me", host="https://evil.example")
    assert other.status == 401


@pytest.mark.parametrize("place", [SIGNATURE_TYPE_QUERY, SIGNATURE_TYPE_BODY])
async def test_the_parameters_may_stand_in_the_query_or_the_form(
    signer: Signer, place: str
) -> None:
    client = signer.client(callback_uri=CALLBACK, signature_type=place)
    body = "" if place == SIGNATURE_TYPE_BODY else None
    begun = form(await signer.call(client, "POST", "/oauth/request_token", body=body))
    assert begun["oauth_callback_confirmed"] == "true"


@pytest.mark.parametrize("where", ["query", "form"])
async def test_the_token_may_stand_twice_though_it_is_signed_once(
    signer: Signer, where: str
) -> None:
    begun = await signer.begin()
    back = (await signer.agree(begun["oauth_token"])).headers["location"]
    verifier = parse_qs(urlsplit(back).query)["oauth_verifier"][0]
    client = signer.client(begun["oauth_token"], begun["oauth_token_secret"], verifier=verifier)
    uri, headers, _ = client.sign(f"{API}/oauth/access_token", "POST")
    again = urlencode({"oauth_token": begun["oauth_token"]})
    body = b""
    if where == "query":
        uri += f"?{again}"
    else:
        body, headers["Content-Type"] = again.encode(), FORM
    pair = form(await signer.peer.server.handle(Call.of("POST", uri, headers=headers, body=body)))
    assert pair["screen_name"] == "greeter"


async def test_two_values_of_one_parameter_are_refused(signer: Signer, read: Any) -> None:
    client = signer.client(callback_uri=CALLBACK)
    path = "/oauth/request_token?oauth_callback=oob"
    assert code_of(await signer.call(client, "POST", path), read) == (400, 215)


async def test_a_level_that_is_too_low_is_refused_and_stays_with_the_token(
    signer: Signer, read: Any
) -> None:
    signer.peer.app.level = "read"
    old = await signer.log_in()
    signer.peer.app.level = "read-write"
    pair = await signer.log_in()

    async def post(held: dict[str, str], text: str) -> Answer:
        client = signer.client(held["oauth_token"], held["oauth_token_secret"])
        uri, named, _ = client.sign(f"{API}/2/tweets", "POST")
        headers = {**named, "Content-Type": "application/json"}
        body = f'{{"text":"{text}"}}'.encode()
        return await signer.peer.server.handle(Call.of("POST", uri, headers=headers, body=body))

    refused = await post(old, "one")
    assert refused.status == 403
    assert read(refused)["type"].endswith("/oauth1-permissions")
    assert refused.headers["x-access-level"] == "read"
    assert (await post(pair, "two")).status == 201
    client = signer.client(pair["oauth_token"], pair["oauth_token_secret"])
    assert (await signer.call(client, "GET", "/2/dm_events")).status == 403


@pytest.mark.parametrize("ending", ["", ".json"])
async def test_an_invalidated_token_is_dead(signer: Signer, read: Any, ending: str) -> None:
    pair = await signer.log_in()
    path = f"/1.1/oauth/invalidate_token{ending}"

    async def invalidate() -> Answer:
        client = signer.client(pair["oauth_token"], pair["oauth_token_secret"])
        return await signer.call(client, "POST", path)

    assert read(await invalidate()) == {"access_token": pair["oauth_token"]}
    assert code_of(await invalidate(), read) == (401, 89)
    assert (await signer.me(pair)).status == 401
    unsigned = await signer.peer.call("POST", path)
    assert code_of(unsigned, read) == (400, 215)


async def test_what_a_user_takes_back_ends_signed_access_too(signer: Signer) -> None:
    pair = await signer.log_in()
    told: list[str] = []
    signer.peer.world.listeners.append(lambda happening: told.append(happening.kind))
    signer.peer.world.revoke(signer.peer.greeter.id)
    assert told == ["revoke"]
    assert (await signer.me(pair)).status == 401


async def test_a_bearer_is_invalidated_by_basic_or_by_its_owner(signer: Signer, read: Any) -> None:
    peer = signer.peer
    first = peer.app.bearer
    basic = peer.basic(peer.app.api_key, peer.app.api_secret)
    path = "/oauth2/invalidate_token"
    wrong = await peer.call("POST", path, form={"access_token": "x"}, headers=basic)
    assert code_of(wrong, read) == (401, 89)
    done = await peer.call("POST", path, form={"access_token": first}, headers=basic)
    assert read(done) == {"access_token": first}
    assert peer.app.bearer != first
    assert (await peer.call("GET", "/2/usage/tweets", token=first)).status == 401
    usage = await peer.call("GET", "/2/usage/tweets", token=peer.app.bearer)
    assert read(usage)["data"]["project_id"] == peer.app.id

    pair = await signer.log_in()
    second = f"{path}?{urlencode({'access_token': peer.app.bearer})}"
    for owner, status in ((None, 401), (peer.greeter.id, 200)):
        peer.app.owner_id = owner
        client = signer.client(pair["oauth_token"], pair["oauth_token_secret"])
        assert (await signer.call(client, "POST", second)).status == status
    nobody = await peer.call("POST", path, form={"access_token": "x"})
    assert code_of(nobody, read) == (403, 99)


async def test_console_tokens_are_issued_to_whoever_plays_the_console(
    signer: Signer, read: Any
) -> None:
    fields = {"as": "ada", "client_id": signer.peer.app.client_id, "level": "read"}
    issued = read(await signer.peer.call("POST", "/sandbox/pairs", body=fields))
    answer = await signer.me(issued)
    assert read(answer)["data"]["username"] == "ada"
    assert answer.headers["x-access-level"] == "read"
    fields["client_id"] = "nobody"
    assert (await signer.peer.call("POST", "/sandbox/pairs", body=fields)).status == 400
