"""The steps of a login: what is checked before, what ends it, what it waits through."""

from __future__ import annotations

import asyncio
import threading
import urllib.request
import webbrowser
from urllib.parse import urlsplit

import msgspec
import pytest

from botkit.bot.compose_client import apps_of, open_the_vault
from botkit.client.logins.context import LoginContext
from botkit.client.logins.endpoints import AppKeys
from botkit.client.signin.attempt import Login, LoginWish
from botkit.errors import AuthError, ConfigError, StateMismatch
from botkit.model.tokens import Secret
from botkit.system import SystemClock, SystemEntropy
from botkit.wizard.steps import Ways, check_app, log_in, log_in_by_paste, open_browser

KEYS = AppKeys(client_id="id", client_secret=Secret("hush"))
LOOPBACK = "http://127.0.0.1:8765/callback"
SCOPES = ("tweet.read", "users.read", "offline.access")


class Ended:
    """What the end of a login told."""

    def __init__(self) -> None:
        self.logins: list[Login] = []

    async def __call__(self, login: Login) -> tuple[tuple[str, str], ...]:
        self.logins.append(login)
        return (("Account", login.account.username),)


@pytest.fixture
async def context(desk) -> LoginContext:
    settings = await asyncio.to_thread(desk.settings)
    return LoginContext(
        store=desk.store,
        vault=await open_the_vault(settings, desk.store),
        transport=desk.transport,
        clock=SystemClock(),
        entropy=SystemEntropy(),
        apps=apps_of(settings),
    )


@pytest.fixture
def wish(desk) -> LoginWish:
    return LoginWish(redirect_uri=desk.callback, scopes=SCOPES)


def pasting(desk, *pasted: str):
    """A person who pastes these, one after the other, and at last the right address."""
    left = list(pasted)

    async def ask(prompt: str) -> str:
        assert "address" in prompt
        return left.pop(0) if left else str(await desk.redirect(desk.shown[0]))

    return ask


@pytest.mark.parametrize(
    ("keys", "name", "words"),
    [
        (AppKeys(client_secret=Secret("hush")), "default", "BOTKIT_APP__CLIENT_ID"),
        (AppKeys(client_id="id"), "default", "BOTKIT_APP__CLIENT_SECRET_FILE"),
        (AppKeys(client_id="id"), "other", "BOTKIT_APPS__OTHER__CLIENT_SECRET_FILE"),
        (AppKeys(client_id="id"), "other", "[apps.other]"),
    ],
)
def test_a_missing_key_is_named_with_its_setting_and_where_to_find_it(keys, name, words):
    with pytest.raises(ConfigError) as caught:
        check_app(keys, LOOPBACK, name=name, listens=True)

    assert words in str(caught.value)
    assert "console.x.com" in str(caught.value) or "same page" in str(caught.value)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ConfigError) as caught:
        check_app(AppKeys(), "http://localhost/callback", name="default", listens=True)

    assert len(caught.value.problems) >= 3


def test_an_address_that_this_machine_cannot_listen_at_is_refused_with_both_cures():
    with pytest.raises(ConfigError, match="--headless") as caught:
        check_app(KEYS, "https://bot.example/callback", name="default", listens=True)

    assert "http://127.0.0.1:8765/callback" in str(caught.value)


def test_that_address_will_do_when_the_redirect_is_pasted():
    assert check_app(KEYS, "https://bot.example/callback", name="default", listens=False) == []


def test_what_is_only_unwise_about_the_address_is_a_warning():
    warnings = check_app(KEYS, "http://127.0.0.1:80/callback", name="default", listens=True)
    plain = check_app(KEYS, LOOPBACK, name="default", listens=True)

    assert plain == []
    assert all(line.startswith("redirect_uri http://127.0.0.1:80/") for line in warnings)


async def test_a_login_is_told_of_while_the_page_still_waits(desk, context, wish):
    ended = Ended()

    login = await log_in(context, wish, Ways(show=desk.show, finished=ended))

    assert ended.logins == [login]
    assert login.account.username == "greeter"
    await asyncio.gather(*desk.visits)
    assert "The account is authorized" in desk.pages[0]


async def test_the_port_is_open_before_the_address_is_shown_and_closed_after(desk, context, wish):
    place = urlsplit(desk.callback)

    async def show(text: str) -> None:
        _, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.close()
        await writer.wait_closed()
        await desk.show(text)

    await log_in(context, wish, Ways(show=show, finished=Ended()))

    with pytest.raises(OSError, match=r"refused|Connect"):
        await asyncio.open_connection(place.hostname, place.port)


async def test_when_nobody_comes_it_says_so_and_closes_the_port(desk, context, wish):
    with pytest.raises(AuthError, match="Nobody finished the login") as caught:
        await log_in(context, wish, Ways(show=desk.read, finished=Ended(), timeout_s=0.05))

    assert "--headless" in caught.value.hint
    place = urlsplit(desk.callback)
    with pytest.raises(OSError, match=r"refused|Connect"):
        await asyncio.open_connection(place.hostname, place.port)


@pytest.mark.parametrize(("timeout_s", "words"), [(0.05, "0.05 seconds"), (1e-9, "1e-09 s")])
async def test_how_long_it_waited_is_told(desk, context, wish, timeout_s, words):
    with pytest.raises(AuthError, match=words):
        await log_in(context, wish, Ways(show=desk.read, finished=Ended(), timeout_s=timeout_s))


class HastyClock(SystemClock):
    """Its time limit is over when somebody says so."""

    limit: asyncio.Timeout

    def timeout(self, seconds: float | None) -> asyncio.Timeout:
        self.limit = asyncio.timeout(None)
        return self.limit


async def test_a_person_who_came_in_time_is_not_told_that_nobody_did(desk, context, wish):
    clock = HastyClock()

    async def finished(login: Login) -> tuple[tuple[str, str], ...]:
        clock.limit.reschedule(0)
        for _ in range(5):
            await asyncio.sleep(0)  # noqa: TID251 - lets the limit pass
        assert clock.limit.expired()
        return ()

    context = msgspec.structs.replace(context, clock=clock)
    login = await log_in(context, wish, Ways(show=desk.show, finished=finished))

    assert await desk.store.credentials.listing() == [login.row]


async def test_a_browser_that_does_not_return_does_not_keep_the_port_open(desk, context, wish):
    async def show(text: str) -> None:
        await asyncio.Event().wait()

    with pytest.raises(AuthError, match="Nobody finished the login"):
        await log_in(context, wish, Ways(show=show, finished=Ended(), timeout_s=0.05))


async def test_a_callback_that_is_not_of_this_login_is_refused_and_the_login_waits_on(
    desk, context, wish
):
    async def show(text: str) -> None:
        page = await asyncio.to_thread(_code_of, f"{desk.callback}?state=wrong&code=x")
        assert page == 400
        await desk.show(text)

    login = await log_in(context, wish, Ways(show=show, finished=Ended()))

    assert login.account.username == "greeter"


async def test_a_fault_in_what_follows_the_login_ends_it_and_is_raised(desk, context, wish):
    async def finished(login: Login) -> tuple[tuple[str, str], ...]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await log_in(context, wish, Ways(show=desk.show, finished=finished))

    assert len(await desk.store.credentials.listing()) == 1


async def test_what_is_pasted_with_white_space_is_taken(desk, context, wish):
    ended = Ended()

    async def ask(prompt: str) -> str:
        return f"  {await desk.redirect(desk.shown[0])}\n"

    login = await log_in_by_paste(context, wish, Ways(show=desk.read, finished=ended), ask=ask)

    assert ended.logins == [login]


async def test_what_is_no_address_or_another_logins_is_said_and_asked_for_again(
    desk, context, wish
):
    ask = pasting(
        desk,
        "hello",
        "http://127.0.0.1/callback",
        "http://[::1?code=c",
        f"{desk.callback}?state=x&code=y",
    )

    login = await log_in_by_paste(context, wish, Ways(show=desk.read, finished=Ended()), ask=ask)

    assert login.account.username == "greeter"
    assert ["not a whole address" in text for text in desk.shown[1:4]] == [True, True, False]
    assert "does not start with" in desk.shown[3]
    assert "Paste the address of this login" in desk.shown[4]


async def test_an_address_at_another_place_is_not_the_end_of_this_login(desk, context, wish):
    async def ask(prompt: str) -> str:
        back = str(await desk.redirect(desk.shown[0]))
        return back if len(desk.shown) > 1 else back.replace("127.0.0.1", "127.0.0.2")

    await log_in_by_paste(context, wish, Ways(show=desk.read, finished=Ended()), ask=ask)

    assert desk.callback in desk.shown[1]


async def test_after_five_wrong_addresses_it_gives_up_and_nothing_is_stored(desk, context, wish):
    ask = pasting(desk, *["nonsense"] * 5)

    with pytest.raises(AuthError, match="nothing was stored"):
        await log_in_by_paste(context, wish, Ways(show=desk.read, finished=Ended()), ask=ask)

    assert await desk.store.credentials.listing() == []


async def test_an_address_that_was_used_up_is_not_asked_for_again(
    desk, context, wish, monkeypatch
):
    from botkit.client.signin.oauth2_attempt import OAuth2Attempt

    async def late(self: OAuth2Attempt, query: str) -> Login:
        self._once.use_up("redirect", str)
        raise StateMismatch("This login was ended by an earlier redirect.")

    monkeypatch.setattr(OAuth2Attempt, "finish", late)

    with pytest.raises(StateMismatch, match="earlier redirect"):
        await log_in_by_paste(
            context, wish, Ways(show=desk.read, finished=Ended()), ask=pasting(desk)
        )


@pytest.mark.parametrize("there", [True, False])
async def test_a_browser_is_opened_if_there_is_one(monkeypatch, there):
    opened: list[str] = []

    def open_it(url: str) -> bool:
        opened.append(url)
        return there

    monkeypatch.setattr(webbrowser, "open", open_it)

    assert await open_browser("https://x.com/i/oauth2/authorize") is there
    assert opened == ["https://x.com/i/oauth2/authorize"]


async def test_a_login_does_not_wait_for_a_browser_that_keeps_running(monkeypatch):
    closed = threading.Event()
    monkeypatch.setattr(webbrowser, "open", lambda _: closed.wait(30))
    try:
        assert await open_browser("https://x.com/i/oauth2/authorize", patience_s=0.01)
    finally:
        closed.set()


def _code_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as page:
            return int(page.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code
