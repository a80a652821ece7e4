"""B1 to B3: creating posts with 32 calls in flight, and one OAuth 1.0a signature."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.bench import ready
from tests.bench.measure import Meter, Order, Sample

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

__all__ = [
    "authlib_signature",
    "botkit_posts",
    "botkit_signature",
    "botkit_signed_posts",
    "oauthlib_signature",
    "opened_x",
    "plain_posts",
    "plain_signature",
    "tweepy_posts",
    "tweepy_signed_posts",
    "xdk_posts",
]

IN_FLIGHT = 32
_PATH = "/2/tweets"
_URL = f"https://api.x.com{_PATH}"
_TWEEPY_KEYS = dict(
    zip(
        ("consumer_key", "consumer_secret", "access_token", "access_token_secret"),
        ("consumer-key", "consumer-secret", "1-token", "token-secret"),
        strict=True,
    )
)
_KEYS = ("consumer-key", "consumer-secret", "1-token", "token-secret")


async def _posts(post: Callable[[str], Awaitable[str]], order: Order) -> Sample:
    """Post so many texts; `post` gives the id of what was made."""
    texts = iter([f"number {number}" for number in range(order.size)])
    made: set[str] = set()

    async def work() -> None:
        for text in texts:
            made.add(await post(text))

    await post("the first connection")
    with Meter() as meter:
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(work())
    return _whole(meter, len(made), order)


def plain_posts(order: Order) -> Sample:
    """The limit: one session, `json=` and `json()`."""

    async def run() -> Sample:
        import aiohttp

        headers = {"Authorization": "Bearer made-up"}
        address = f"http://127.0.0.1:{order.port}{_PATH}"
        connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

            async def post(text: str) -> str:
                async with session.post(address, json={"text": text}) as response:
                    made: dict[str, Any] = await response.json()
                return str(made["data"]["id"])

            return await _posts(post, order)

    return asyncio.run(run())


def botkit_posts(order: Order, *, oauth1: bool = False) -> Sample:
    """The whole client: credential, rate window, transport, price, answer checked."""
    address = f"http://127.0.0.1:{order.port}"
    ready.prepare(Path(order.folder), api_url=address, oauth1=oauth1)

    async def run() -> Sample:
        from botkit.protocol.api.requests import create_post
        from botkit.telemetry.log import set_up_logging

        set_up_logging(level="error")

        async with opened_x(Path(order.folder)) as x:

            async def post(text: str) -> str:
                response = await x.sender.send(create_post(text), account_id=ready.ACCOUNT_ID)
                return str(response.data["id"])

            return await _posts(post, order)

    return asyncio.run(run())


botkit_signed_posts = partial(botkit_posts, oauth1=True)


@asynccontextmanager
async def opened_x(folder: Path) -> AsyncGenerator[Any]:
    """Everything that speaks to X for the accounts of a folder that `prepare` made."""
    from botkit.bot.compose_client import open_the_vault, open_x
    from botkit.config import load_settings
    from botkit.storage import open_store
    from botkit.system import SystemClock

    settings = load_settings(environ={}, folder=folder)
    async with open_store(settings.store_url, clock=SystemClock()) as store:
        vault = await open_the_vault(settings, store)
        async with open_x(settings, store, vault) as x:
            yield x


def tweepy_posts(order: Order, *, oauth1: bool = False) -> Sample:
    """The fastest peer, with a session that it keeps; its host is a constant, swapped here."""

    async def run() -> Sample:
        import aiohttp
        from tweepy.asynchronous import AsyncClient

        class Here:
            def __init__(self, session: aiohttp.ClientSession) -> None:
                self._session = session

            def request(self, method: str, url: object, **more: Any) -> Any:
                return self._session.request(method, str(url).replace(there, here), **more)

        there, here = "https://api.twitter.com", f"http://127.0.0.1:{order.port}"
        client = AsyncClient(**_TWEEPY_KEYS) if oauth1 else AsyncClient(bearer_token="made-up")
        async with aiohttp.ClientSession() as session:
            client.session = Here(session)

            async def post(text: str) -> str:
                response = await client.create_tweet(text=text, user_auth=oauth1)
                return str(response.data["id"])

            return await _posts(post, order)

    return asyncio.run(run())


tweepy_signed_posts = partial(tweepy_posts, oauth1=True)


def xdk_posts(order: Order) -> Sample:
    """X's own kit, which does one call at a time."""
    from xdk import Client
    from xdk.posts.models import CreateRequest

    client = Client(base_url=f"http://127.0.0.1:{order.port}", access_token="made-up")
    made: set[str] = set()
    client.posts.create(CreateRequest(text="the first connection"))
    with Meter() as meter:
        for number in range(order.size):
            made.add(client.posts.create(CreateRequest(text=f"number {number}")).data.id)
    client.session.close()
    return _whole(meter, len(made), order)


def plain_signature(order: Order) -> Sample:
    """The limit: what the RFC says, written down once and no more."""

    def sign() -> str:
        return _signature(secrets.token_hex(16), str(int(time.time())))

    return _signatures(sign, order)


def _signature(nonce: str, timestamp: str) -> str:
    params = {
        "oauth_consumer_key": _KEYS[0],
        "oauth_nonce": nonce,
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": timestamp,
        "oauth_token": _KEYS[2],
        "oauth_version": "1.0",
    }
    listed = "&".join(f"{quote(k, '~')}={quote(v, '~')}" for k, v in sorted(params.items()))
    text = f"POST&{quote(_URL, '~')}&{quote(listed, '~')}"
    key = f"{quote(_KEYS[1], '~')}&{quote(_KEYS[3], '~')}"
    digest = hmac.new(key.encode(), text.encode(), hashlib.sha1).digest()
    params["oauth_signature"] = base64.b64encode(digest).decode()
    pairs = ", ".join(f'{quote(k, "~")}="{quote(v, "~")}"' for k, v in sorted(params.items()))
    return f"OAuth {pairs}"


def botkit_signature(order: Order) -> Sample:
    from botkit.model.tokens import Secret, TokenPair
    from botkit.protocol.oauth.oauth1 import SigningTemplate, new_nonce

    pair = TokenPair(token=Secret(_KEYS[2]), token_secret=Secret(_KEYS[3]))
    template = SigningTemplate(_KEYS[0], Secret(_KEYS[1]), pair)

    def sign() -> str:
        nonce = new_nonce(secrets.token_bytes(16))
        return template.authorization("POST", _URL, nonce=nonce, timestamp=int(time.time()))

    ours = template.authorization("POST", _URL, nonce="abc", timestamp=1_700_000_000)
    if ours != _signature("abc", "1700000000"):
        raise RuntimeError("the signature is another one")
    return _signatures(sign, order)


def oauthlib_signature(order: Order) -> Sample:
    from oauthlib.oauth1 import Client

    client = Client(*_KEYS)
    return _signatures(lambda: str(client.sign(_URL, "POST")[1]["Authorization"]), order)


def authlib_signature(order: Order) -> Sample:
    from authlib.oauth1 import ClientAuth

    client = ClientAuth(*_KEYS)
    return _signatures(
        lambda: str(client.prepare("POST", _URL, {}, "")[1]["Authorization"]), order
    )


def _signatures(sign: Callable[[], str], order: Order) -> Sample:
    made: set[str] = set()
    with Meter() as meter:
        for _ in range(order.size):
            made.add(sign())
    if not all("oauth_signature=" in header for header in made):
        raise RuntimeError("a header without a signature")
    return _whole(meter, len(made), order)


def _whole(meter: Meter, count: int, order: Order) -> Sample:
    if count != order.size:
        raise RuntimeError(f"{count} of {order.size}")
    return meter.of(count)
