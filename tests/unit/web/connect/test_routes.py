"""The pages of invitations on real sockets: who is refused, and that nothing has changed then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from structlog.testing import capture_logs

from botkit.bot.accounts.invite import invite
from botkit.client.logins.context import LoginContext
from botkit.client.logins.endpoints import AppKeys
from botkit.client.signin.attempt import Login
from botkit.errors import StoreUnavailable
from botkit.model.invitations import InvitationState
from botkit.model.records import CredentialRow, Fence
from botkit.model.tokens import Secret
from botkit.model.users import Account
from botkit.ports import HttpRequest, HttpResponse, Store
from botkit.storage import open_store
from botkit.storage.vault.vault import Vault
from botkit.system import SystemClock, SystemEntropy
from botkit.web.bot_site import BOT_SITE
from botkit.web.connect.routes import Connect, Connecting
from botkit.web.server import WebServer
from tests.storage.conformance.bench import forget
from tests.unit.web.browsing import Answered, send

FORM = "Content-Type: application/x-www-form-urlencoded"
GRANTED = (
    b'{"token_type":"bearer","expires_in":7200,"access_token":"at","refresh_token":"rt",'
    b'"scope":"users.read tweet.read"}'
)


class FakeX:
    """Takes any code; `user` is who consented. `gate` holds an exchange until it is set."""

    def __init__(self) -> None:
        self.user = ("7", "greeter")
        self.exchanges = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def send(self, request: HttpRequest, **_: Any) -> HttpResponse:
        if request.method == "POST":
            self.exchanges += 1
            await self.gate.wait()
            body = GRANTED
        else:
            body = b'{"data":{"id":"%s","username":"%s","name":"G"}}' % tuple(
                part.encode() for part in self.user
            )
        return HttpResponse(status=200, headers={"content-type": "application/json"}, body=body)


class Place:
    """A server with its store, and a browser that keeps one cookie."""

    def __init__(self, store: Store, public_url: str = "") -> None:
        self.store = store
        self.clock = SystemClock()
        self.vault = Vault(bytes(32), deployment="d")
        self.x = FakeX()
        self.context = LoginContext(
            store=store,
            vault=self.vault,  # type: ignore[arg-type]
            transport=self.x,  # type: ignore[arg-type]
            clock=self.clock,
            entropy=SystemEntropy(),
            apps={"default": AppKeys(client_id="id", client_secret=Secret("secret"))},
        )
        self.public_url = public_url
        self.fence: Fence
        self.cookie = ""
        self.account = ""
        self.port = 0

    async def listen(self) -> WebServer:
        server = WebServer("127.0.0.1", 0, {}, site=BOT_SITE)
        await server.__aenter__()
        self.port = server.port
        self.public_url = self.public_url or f"http://127.0.0.1:{server.port}"
        self.connect = Connect(
            self.context,
            Connecting(
                name="shop",
                public_url=self.public_url,
                scopes=("users.read", "tweet.read"),
                redeem=self._redeem,
                connected=self._connected,
                account=self.account,
            ),
        )
        server._routes = self.connect.routes
        # The server was made without routes, and would wait for a body that it does not read.
        server._connections.body_bytes = 65_536
        self.server = server
        return server

    async def _redeem(
        self, invitation: Any, holder: str, account: Account, row: CredentialRow
    ) -> CredentialRow:
        return await self.store.invitations.redeem(
            invitation.id, holder, account, row, [], now=self.clock.now(), fence=self.fence
        )

    async def _connected(self, login: Login) -> str:
        return f"acts for @{login.account.username}"

    async def invite(self, account: str = "", life: timedelta = timedelta(hours=1)) -> str:
        """Make an invitation; gives its token."""
        made = await invite(
            self.store,
            self.vault,  # type: ignore[arg-type]
            public_url=self.public_url,
            app="default",
            account=account,
            life=life,
            clock=self.clock,
            entropy=SystemEntropy(),
        )
        self.id = made.invitation.id
        return made.link.rpartition("=")[2]

    async def state(self) -> InvitationState:
        found = await self.store.invitations.get(self.id)
        assert found is not None
        return found.state(self.clock.now())

    async def get(self, target: str, *more: str, method: str = "GET", host: str = "") -> Answered:
        host = host or urlsplit(self.public_url).netloc
        lines = (f"{method} {target} HTTP/1.1", f"Host: {host}", *more)
        if self.cookie:
            lines = (*lines, f"Cookie: {self.cookie}")
        return await send(self.port, *lines)

    async def post(self, token: str, *more: str, body: bytes | None = None) -> Answered:
        content = f"invitation={token}".encode() if body is None else body
        lines = [
            "POST /connect HTTP/1.1",
            f"Host: {urlsplit(self.public_url).netloc}",
            FORM,
            f"Content-Length: {len(content)}",
            *more,
        ]
        if self.cookie:
            lines.append(f"Cookie: {self.cookie}")
        return await send(self.port, *lines, body=content)

    async def begin(self, token: str) -> str:
        """Press the button; gives the state of the login."""
        answer = await self.post(token)
        assert answer.status == 200, answer.text
        self.cookie = answer.headers["set-cookie"].partition(";")[0]
        url = answer.text.partition('content="0; url=')[2].partition('"')[0]
        return parse_qs(urlsplit(url.replace("&amp;", "&")).query)["state"][0]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=SystemClock()) as opened:
        yield opened


@pytest.fixture
async def place(store: Store) -> AsyncIterator[Place]:
    place = Place(store)
    fence = await store.leases.acquire("runner", "me", ttl=timedelta(hours=1))
    assert fence is not None
    place.fence = fence
    server = await place.listen()
    yield place
    place.x.gate.set()  # a test that failed holds no exchange
    await server.stop(0)


def title(answer: Answered) -> str:
    return answer.text.partition("<h1")[2].partition(">")[2].partition("<")[0]


async def test_the_whole_way(place: Place) -> None:
    token = await place.invite()
    page = await place.get(f"/connect?invitation={token}")
    assert title(page) == "Authorize an account for the bot shop"
    assert f'name="invitation" value="{token}"' in page.text
    state = await place.begin(token)
    assert await place.state() is InvitationState.IN_USE
    done = await place.get(f"/connect/callback?code=c&state={state}")
    assert (done.status, title(done)) == (200, "The account is authorized")
    assert "acts for @greeter" in done.text
    assert "Max-Age=0" in done.headers["set-cookie"]
    assert await place.state() is InvitationState.USED


async def test_the_page_says_who_may_log_in_and_what_it_ends(place: Place) -> None:
    page = await place.get(f"/connect?invitation={await place.invite()}")
    assert "the one that you log in as" in page.text
    assert "If the account has a login here already" in page.text
    page = await place.get(f"/connect?invitation={await place.invite('12345')}")
    assert "id 12345" in page.text
    page = await place.get(f"/connect?invitation={await place.invite('greeter')}")
    assert "@greeter" in page.text
    state = await place.begin(await place.invite())
    await place.get(f"/connect/callback?code=c&state={state}")
    page = await place.get(f"/connect?invitation={await place.invite('7')}")
    assert "@greeter has a login here already" in page.text
    assert "id 7" not in page.text


@pytest.mark.parametrize("invited", ["", "8"])
async def test_a_bot_of_one_account_takes_no_other_whatever_an_invitation_says(
    store: Store, invited: str
) -> None:
    place = Place(store)
    place.account = "7"
    fence = await store.leases.acquire("runner", "me", ttl=timedelta(hours=1))
    assert fence is not None
    place.fence = fence
    server = await place.listen()
    token = await place.invite(invited)
    page = await place.get(f"/connect?invitation={token}")
    assert "id 7" in page.text
    place.x.user = ("8", "other")
    done = await place.get(f"/connect/callback?code=c&state={await place.begin(token)}")
    assert (done.status, title(done)) == (409, "That is another account")
    assert await store.credentials.listing("8") == []
    await server.stop(0)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (("Origin: https://evil.example",), 403),
        (("Origin: null",), 403),
        (("Sec-Fetch-Site: cross-site",), 403),
        (("Sec-Fetch-Site: same-site",), 403),
        (("Sec-Fetch-Site: none",), 403),
    ],
    ids=str,
)
async def test_a_login_begins_from_the_invitations_own_page_only(
    place: Place, more: tuple[str, ...], status: int
) -> None:
    token = await place.invite()
    answer = await place.post(token, *more)
    assert (answer.status, title(answer)) == (status, "The request came from another page")
    assert await place.state() is InvitationState.OPEN


async def test_a_form_that_is_none_begins_nothing(place: Place) -> None:
    await place.invite()
    assert (await place.post("", body=b"x" * 5000)).status == 400
    assert (await place.post("", body=b"a=b")).status == 403
    assert await place.state() is InvitationState.OPEN


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:80"])
async def test_a_foreign_host_is_answered_with_421_and_changes_nothing(
    place: Place, host: str
) -> None:
    token = await place.invite()
    state = await place.begin(token)
    for target in (f"/connect?invitation={token}", f"/connect/callback?code=c&state={state}"):
        assert (await place.get(target, host=host)).status == 421
    lines = (f"GET /connect/callback?code=c&state={state} HTTP/1.1", "Host: a", "Host: b")
    assert (await send(place.port, *lines)).status in {400, 421}
    forwarded = f"X-Forwarded-Host: {urlsplit(place.public_url).netloc}"
    target = f"/connect/callback?code=c&state={state}"
    assert (await place.get(target, forwarded, host=host)).status == 421
    assert place.x.exchanges == 0
    assert (await place.get(target)).status == 200


async def test_a_forged_link_is_refused_before_the_store_is_asked(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await place.invite()
    asked: list[str] = []

    async def get(invitation_id: str) -> None:
        asked.append(invitation_id)

    monkeypatch.setattr(place.store.invitations, "get", get)
    with capture_logs() as said:
        forged = token[:20] + ("A" if token[20] != "A" else "B") + token[21:]
        answer = await place.get(f"/connect?invitation={forged}")
    assert (answer.status, title(answer)) == (403, "This is not an invitation of this bot")
    assert asked == []
    (line,) = said
    assert (line["event"], line["reason"]) == ("invitation.refused", "forged")
    assert len(line["link"]) == 10
    assert forged not in repr(said)
    answer = await place.get(f"/connect?invitation={token}")
    assert (answer.status, title(answer)) == (404, "This invitation is not known any more")
    assert asked == [place.id]


async def test_a_link_whose_secret_is_another_one_is_not_known(place: Place) -> None:
    from botkit.protocol.oauth.invitations import PURPOSE, make_token

    await place.invite()
    token = make_token(place.id, bytes(32), lambda text: place.vault.sign(text, purpose=PURPOSE))
    assert (await place.get(f"/connect?invitation={token}")).status == 404


async def test_what_is_over_says_so_when_opened_and_when_pressed(place: Place) -> None:
    expired = await place.invite(life=-timedelta(seconds=1))
    revoked = await place.invite()
    await place.store.invitations.revoke(place.id, now=place.clock.now())
    used = await place.invite()
    state = await place.begin(used)
    await place.get(f"/connect/callback?code=c&state={state}")
    for token, said in ((expired, "expired"), (revoked, "taken back"), (used, "used")):
        for answer in (await place.get(f"/connect?invitation={token}"), await place.post(token)):
            assert answer.status == 410
            assert said in title(answer)
            assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "query",
    [
        "",
        "code=c",
        "code=c&state=",
        "code=c&state=wrong",
        "code=c&state={state}&state={state}",
        "code=c&state={state}&state=x",
        "error=access_denied",
        "&".join(f"a{n}=1" for n in range(80)),
    ],
)
async def test_a_callback_without_the_right_state_ends_nothing(place: Place, query: str) -> None:
    state = await place.begin(await place.invite())
    answer = await place.get("/connect/callback?" + query.replace("{state}", state))
    assert (answer.status, title(answer)) == (400, "No login is waiting for this")
    assert place.x.exchanges == 0
    assert (await place.get(f"/connect/callback?code=c&state={state}")).status == 200


@pytest.mark.parametrize(
    "query", ["state={state}", "code=c&error=e&state={state}", "code=c&code=d&state={state}"]
)
async def test_a_callback_that_is_not_whole_leaves_the_login_waiting(
    place: Place, query: str
) -> None:
    state = await place.begin(await place.invite())
    answer = await place.get("/connect/callback?" + query.replace("{state}", state))
    assert (answer.status, title(answer)) == (400, "This address is not whole")
    assert "set-cookie" not in answer.headers
    assert (await place.get(f"/connect/callback?code=c&state={state}")).status == 200


async def test_a_page_fetched_in_advance_ends_nothing(place: Place) -> None:
    state = await place.begin(await place.invite())
    target = f"/connect/callback?code=c&state={state}"
    for header in ("Sec-Purpose: prefetch;prerender", "Purpose: prefetch", "X-Moz: prefetch"):
        assert (await place.get(target, header)).status == 503
    assert (await place.get(target, method="HEAD")).status == 405
    assert (await place.get(target, method="POST")).status == 405
    assert place.x.exchanges == 0
    assert (await place.get(target)).status == 200


@pytest.mark.parametrize("cookie", ["", "{own}; {own}", "botkit-connect=", "other=1", "{own}x"])
async def test_without_the_browsers_one_cookie_nothing_is_exchanged(
    place: Place, cookie: str
) -> None:
    state = await place.begin(await place.invite())
    own, place.cookie = place.cookie, cookie.replace("{own}", place.cookie)
    answer = await place.get(f"/connect/callback?code=c&state={state}")
    assert (answer.status, title(answer)) == (403, "This login was begun in another browser")
    assert place.x.exchanges == 0
    place.cookie = f"first=1; {own}; last=2"
    assert (await place.get(f"/connect/callback?code=c&state={state}")).status == 200


async def test_while_a_login_is_being_finished_none_begins_with_its_invitation(
    place: Place,
) -> None:
    token = await place.invite()
    state = await place.begin(token)
    place.x.gate.clear()
    target = f"/connect/callback?code=c&state={state}"
    finishing = asyncio.get_running_loop().create_task(place.get(target))
    while not place.x.exchanges:
        await place.clock.sleep(0.001)
    async with asyncio.timeout(5):
        answers = (await place.post(token), await place.get(target))
    for answer in answers:
        assert (answer.status, title(answer)) == (409, "A login with this invitation is under way")
    place.x.gate.set()
    assert (await finishing).status == 200
    assert place.x.exchanges == 1


async def test_while_a_login_begins_an_older_one_of_its_invitation_waits_and_is_not_finished(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await place.invite()
    state = await place.begin(token)
    hold = place.store.invitations.hold
    held, go_on = asyncio.Event(), asyncio.Event()

    async def slow(*args: Any, **named: Any) -> Any:
        held.set()
        await go_on.wait()
        return await hold(*args, **named)

    monkeypatch.setattr(place.store.invitations, "hold", slow)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        again = group.create_task(place.post(token))
        await held.wait()
        older = group.create_task(place.get(f"/connect/callback?code=c&state={state}"))
        while len(place.server._answering) < 2:
            await place.clock.sleep(0.001)
        go_on.set()
    assert again.result().status == 200
    assert title(older.result()) == "No login is waiting for this"
    assert place.x.exchanges == 0


async def test_an_invitation_that_is_taken_back_during_the_exchange_stores_nothing(
    place: Place,
) -> None:
    state = await place.begin(await place.invite())
    place.x.gate.clear()
    target = f"/connect/callback?code=c&state={state}"
    finishing = asyncio.get_running_loop().create_task(place.get(target))
    while not place.x.exchanges:
        await place.clock.sleep(0.001)
    await place.store.invitations.revoke(place.id, now=place.clock.now())
    place.x.gate.set()
    answer = await finishing
    assert (answer.status, title(answer)) == (410, "This invitation was taken back")
    assert await place.store.credentials.listing() == []
    assert await place.store.accounts.listing() == []


async def test_an_invitation_that_is_gone_ends_the_login_before_the_exchange(place: Place) -> None:
    state = await place.begin(await place.invite(life=timedelta(seconds=1)))
    await forget(place.store, invitations=place.clock.now() + timedelta(days=1))
    answer = await place.get(f"/connect/callback?code=c&state={state}")
    assert answer.status == 404
    assert place.x.exchanges == 0


async def test_a_login_that_took_too_long_says_so_and_the_invitation_is_good(place: Place) -> None:
    state = await place.begin(await place.invite())
    pending = place.connect._attempts.find(state)
    assert pending is not None
    pending.attempt._once._ends_s = place.clock.monotonic()  # type: ignore[attr-defined]
    answer = await place.get(f"/connect/callback?code=c&state={state}")
    assert (answer.status, title(answer)) == (410, "This login took too long")
    assert place.x.exchanges == 0
    assert await place.state() is InvitationState.OPEN


async def test_an_invitation_that_cannot_be_freed_is_said_and_frees_itself(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = await place.begin(await place.invite())

    async def free(*_: Any) -> None:
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(place.store.invitations, "free", free)
    with capture_logs() as said:
        answer = await place.get(f"/connect/callback?error=access_denied&state={state}")
    assert title(answer) == "Authorization was declined"
    assert "invitation.not_released" in {line["event"] for line in said}


async def test_no_answer_and_no_log_line_holds_a_secret(place: Place) -> None:
    token = await place.invite()
    with capture_logs() as said:
        state = await place.begin(token)
        answers = [
            await place.get(f"/connect/callback?code=s3cret&state={state}&x=<script>"),
            await place.get(f"/connect/callback?code=s3cret&state={state}"),
            await place.get(f"/connect?invitation={token}"),
        ]
    shown = repr(said) + "".join(answer.text for answer in answers)
    for secret in ("s3cret", state, token, place.cookie.partition("=")[2], "<script>"):
        assert secret not in shown


async def test_at_a_public_address_the_cookie_is_bound_to_https_and_host(store: Store) -> None:
    place = Place(store, "https://bot.example")
    server = await place.listen()
    answer = await place.post(await place.invite(), "Origin: https://bot.example")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-botkit-connect=")
    for part in ("; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/", "; Max-Age=600"):
        assert part in cookie
    assert "Domain" not in cookie
    await server.stop(0)
