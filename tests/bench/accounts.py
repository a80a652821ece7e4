"""F1 to F3: thousands of accounts in one process: what each takes, their timers, their posts."""

from __future__ import annotations

import asyncio
import gc
import heapq
import time
import tracemalloc
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench import ready
from tests.bench.calls import opened_x
from tests.bench.measure import Meter, Order, Sample

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = [
    "botkit_cold_posts",
    "botkit_memory",
    "botkit_timers",
    "heap_timers",
    "record_memory",
    "session_each_cold_posts",
    "shared_cold_posts",
    "task_each_timers",
    "tweepy_async_memory",
    "tweepy_memory",
    "xdk_memory",
]

_OPERATION = "createPosts"
_RESET = int(datetime(2030, 1, 1, tzinfo=UTC).timestamp())
_APART_S = 0.1
_REPEAT_S = 2.0
"""How long after it has fired a timer is due again."""


class _Record:
    """The limit: what must be known of an account, in slots, and no more."""

    __slots__ = ("access", "account_id", "refresh", "remaining", "reset", "scopes", "until")

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self.access = ready.secret("access_token", account_id)
        self.refresh = ready.secret("refresh_token", account_id)
        self.scopes = ("tweet.read", "tweet.write", "users.read", "offline.access")
        self.until = time.monotonic() + int(account_id)
        self.remaining = 1000 + int(account_id)
        self.reset = time.time() + int(account_id)


def _each_of(make: Callable[[str], Any], order: Order) -> Sample:
    """What is kept of so many of what `make` gives; `value` is kB for each."""
    make("0")  # what is imported and cached at the first
    kept: dict[str, Any] = {}
    with Meter() as meter:
        before = _traced()
        for number in range(1, order.size + 1):
            kept[str(number)] = make(str(number))
        bytes_kept = _traced() - before
    return meter.of(order.size, value=bytes_kept / order.size / 1000)


def _traced() -> int:
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


record_memory = partial(_each_of, _Record)


def botkit_memory(order: Order) -> Sample:
    """Logins read from the store, each with a refresh that is due and a rate window."""
    ready.prepare(Path(order.folder), accounts=order.size)

    async def run() -> Sample:
        from botkit.protocol.api.responses import read_response
        from botkit.telemetry.log import set_up_logging

        set_up_logging(level="error")
        async with opened_x(Path(order.folder)) as x:
            with Meter() as meter:
                before = _traced()
                await x.keeper.reload()
                for number in range(1, order.size + 1):
                    now = datetime.now(UTC)
                    headers = {
                        "x-rate-limit-limit": "10000",
                        "x-rate-limit-remaining": str(1000 + number),
                        "x-rate-limit-reset": str(int(now.timestamp()) + 900),
                    }
                    answer = read_response("POST /2/tweets", 201, headers, b"{}", now=now)
                    x.sender._limiter.note((_OPERATION, str(number)), answer)
                bytes_kept = _traced() - before
            if len(x.keeper.statuses()) != order.size:
                raise RuntimeError("a login is missing")
            tracemalloc.stop()
            return meter.of(order.size, value=bytes_kept / order.size / 1000)

    return asyncio.run(run())


def _tweepy(name: str, account_id: str) -> Any:
    module = __import__(
        "tweepy.asynchronous" if name == "AsyncClient" else "tweepy", None, None, [name]
    )
    return getattr(module, name)(
        consumer_key="made-up",
        consumer_secret="made-up",
        access_token=ready.secret("access_token", account_id),
        access_token_secret=ready.secret("refresh_token", account_id),
    )


tweepy_memory = partial(_each_of, partial(_tweepy, "Client"))
tweepy_async_memory = partial(_each_of, partial(_tweepy, "AsyncClient"))


def xdk_memory(order: Order) -> Sample:
    from xdk import Client

    return _each_of(lambda each: Client(access_token=ready.secret("access_token", each)), order)


def _first_s(size: int) -> list[float]:
    """When each timer is due first: evenly over the span after which it is due again."""
    return [_REPEAT_S * number / size for number in range(size)]


def heap_timers(order: Order) -> Sample:
    """The limit: a heap of times, and one task that looks at it as often as ours does."""

    async def run() -> Sample:
        began = time.monotonic()
        heap = [(began + delay_s, number) for number, delay_s in enumerate(_first_s(order.size))]
        heapq.heapify(heap)
        fired = 0
        with Meter() as meter:
            while fired < order.size:
                now = time.monotonic()
                while heap[0][0] <= now:
                    _, number = heap[0]
                    heapq.heapreplace(heap, (now + _REPEAT_S, number))
                    fired += 1
                await asyncio.sleep(max(heap[0][0] - now, _APART_S))
        return meter.of(fired)

    return asyncio.run(run())


def task_each_timers(order: Order) -> Sample:
    """The peer: a task for each."""

    async def run() -> Sample:
        fired = 0
        done = asyncio.Event()

        async def fire(delay_s: float) -> None:
            nonlocal fired
            while True:
                await asyncio.sleep(delay_s)
                fired += 1
                if fired >= order.size:
                    done.set()
                delay_s = _REPEAT_S

        tasks = [asyncio.create_task(fire(delay_s)) for delay_s in _first_s(order.size)]
        await asyncio.sleep(0)  # each is asleep now
        with Meter() as meter:
            await done.wait()
        for task in tasks:
            task.cancel()
        return meter.of(fired)

    return asyncio.run(run())


def botkit_timers(order: Order) -> Sample:
    """The real loop, heap and logins; instead of a flight a login is due again."""
    from botkit.client.logins.context import LoginContext
    from botkit.client.logins.oauth2_login import OAuth2Login
    from botkit.client.refresh.refresh_tasks import RefreshTasks
    from botkit.system import SystemClock, SystemEntropy

    clock, entropy = SystemClock(), SystemEntropy()
    nothing: Any = None
    done = asyncio.Event()

    class Timers(RefreshTasks):
        fired = 0

        def start(self, grant: OAuth2Login, *, rejected: bool = False) -> Any:
            del rejected
            self.fired += 1
            if self.fired >= order.size:
                done.set()
            grant.until_s += _REPEAT_S
            self.schedule(grant)
            return grant

    async def run() -> Sample:
        context = LoginContext(
            store=nothing, vault=nothing, transport=nothing, clock=clock, entropy=entropy, apps={}
        )
        timers = Timers(
            context,
            book=nothing,
            refresher=nothing,
            restorer=nothing,
            role=nothing,
            prepare=nothing,
            on_asked=None,
        )
        began = clock.monotonic()
        for number, delay_s in enumerate(_first_s(order.size)):
            grant = OAuth2Login(_row(str(number)))
            grant.until_s = began + delay_s
            timers.schedule(grant)
        with Meter() as meter:
            running = asyncio.create_task(timers.run())
            await done.wait()
        running.cancel()
        return meter.of(timers.fired)

    return asyncio.run(run())


def _row(account_id: str) -> Any:
    from botkit.model.records import CredentialRow
    from botkit.model.tokens import CredentialKind

    now = datetime.now(UTC)
    return CredentialRow(
        account_id=account_id,
        app="default",
        kind=CredentialKind.OAUTH2,
        gen=1,
        sealed=b"",
        since=now,
        granted_at=now,
        access_until=now + timedelta(hours=2),
    )


async def _cold(post: Callable[[str], Awaitable[str]], order: Order) -> Sample:
    """Each account posts once, all at the same moment; `post` gives the id of what was made."""
    with Meter() as meter:
        made = await asyncio.gather(*(post(str(n)) for n in range(1, order.size + 1)))
    if len(set(made)) != order.size:
        raise RuntimeError(f"{len(set(made))} of {order.size}")
    return meter.of(order.size)


def botkit_cold_posts(order: Order) -> Sample:
    """The whole client; the logins are read, no connection is open."""
    address = f"http://127.0.0.1:{order.port}"
    ready.prepare(Path(order.folder), api_url=address, accounts=order.size)

    async def run() -> Sample:
        from botkit.protocol.api.requests import create_post
        from botkit.telemetry.log import set_up_logging

        set_up_logging(level="error")
        async with opened_x(Path(order.folder)) as x:
            await x.keeper.reload()

            async def post(account_id: str) -> str:
                request = create_post(f"from {account_id}")
                response = await x.sender.send(request, account_id=account_id)
                return str(response.data["id"])

            return await _cold(post, order)

    return asyncio.run(run())


def shared_cold_posts(order: Order) -> Sample:
    """The limit: one session with 32 connections."""

    async def run() -> Sample:
        import aiohttp

        connector = aiohttp.TCPConnector(limit=32)
        async with aiohttp.ClientSession(connector=connector) as session:
            return await _cold(partial(_plain_post, session, order.port), order)

    return asyncio.run(run())


def session_each_cold_posts(order: Order) -> Sample:
    """The peer: a session for each account, as clients that are made for one account do."""

    async def run() -> Sample:
        import aiohttp

        async with AsyncExitStack() as stack:

            async def post(account_id: str) -> str:
                session = await stack.enter_async_context(aiohttp.ClientSession())
                return await _plain_post(session, order.port, account_id)

            return await _cold(post, order)

    return asyncio.run(run())


async def _plain_post(session: Any, port: int, account_id: str) -> str:
    headers = {"Authorization": f"Bearer {ready.secret('access_token', account_id)}"}
    address = f"http://127.0.0.1:{port}/2/tweets"
    async with session.post(address, json={"text": f"from {account_id}"}, headers=headers) as got:
        made: dict[str, Any] = await got.json()
    return str(made["data"]["id"])
