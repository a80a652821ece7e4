"""W1: a signed delivery, its event on a disk that syncs, then 200; and the time until the 200."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import sqlite3
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from tests.bench.measure import Meter, Order, Sample
from tests.bench.webhook_sender import PATH, SECRET

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["botkit_paced", "botkit_taken", "plain_paced", "plain_taken"]

_PER_S = 500


def plain_taken(order: Order) -> Sample:
    """The limit: a bare handler of aiohttp, the same check, and an insert that is committed."""
    return asyncio.run(_plain(order, 0))


def plain_paced(order: Order) -> Sample:
    """The same, at 500 deliveries a second: the 99th percentile."""
    return asyncio.run(_plain(order, _PER_S))


def botkit_taken(order: Order) -> Sample:
    """botkit whole: receiver, inbox, dispatcher, done marks."""
    return asyncio.run(_botkit(order, 0))


def botkit_paced(order: Order) -> Sample:
    """The same, at 500 deliveries a second: the 99th percentile."""
    return asyncio.run(_botkit(order, _PER_S))


async def _plain(order: Order, rate: int) -> Sample:
    from aiohttp import web

    pool = ThreadPoolExecutor(1)
    loop = asyncio.get_running_loop()
    store = await loop.run_in_executor(pool, _table, f"{order.folder}/plain.db")

    def insert(key: str, body: bytes) -> None:
        store.execute("INSERT OR IGNORE INTO event (key, body) VALUES (?, ?)", (key, body))

    async def handle(request: web.Request) -> web.Response:
        body = await request.read()
        made = base64.b64encode(hmac.digest(SECRET, body, hashlib.sha256)).decode()
        given = request.headers.get("x-twitter-webhooks-signature", "")
        if not hmac.compare_digest(given, f"sha256={made}"):
            return web.Response(status=401)
        key = json.loads(body)["data"]["payload"]["id"]
        await loop.run_in_executor(pool, insert, key, body)
        return web.json_response({})

    app = web.Application()
    app.router.add_post(PATH, handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        meter, spans = await _measured(runner.addresses[0][1], order, rate)
        count = "SELECT count(*) FROM event"
        (stored,) = await loop.run_in_executor(pool, lambda: store.execute(count).fetchone())
    finally:
        await runner.cleanup()
        await loop.run_in_executor(pool, store.close)
        pool.shutdown()
    return _whole(meter, spans, stored, order, rate)


def _table(file: str) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE event (key TEXT NOT NULL UNIQUE, body BLOB)")
    return connection


async def _botkit(order: Order, rate: int) -> Sample:
    from botkit.sources.push.webhooks import ActivityWebhook
    from botkit.storage import open_store
    from botkit.system import SystemClock
    from botkit.telemetry.log import set_up_logging
    from botkit.web.bot_site import BOT_SITE
    from botkit.web.server import WebServer
    from botkit.web.webhook.receiver import Webhook
    from tests.bench.stream import Noting, Parts

    set_up_logging(level="error")
    clock = SystemClock()
    nobody: Any = None
    async with AsyncExitStack() as stack:
        address = f"sqlite:///{order.folder}/bot.db"
        store = await stack.enter_async_context(open_store(address, clock=clock))

        def source(*given: Any, **ports: Any) -> ActivityWebhook:
            return ActivityWebhook(*given, url="https://bot.example/x", **ports)

        parts = Parts(Noting(set(), order.size), store, clock, nobody, source=source)
        await parts.lease.acquire()
        await stack.enter_async_context(parts.tasks)
        await parts.start()
        receiver = Webhook(
            PATH,
            [SECRET],
            listener=lambda: parts.source,
            clock=clock,
            spawn=parts.tasks.spawn,
        )
        server = WebServer("127.0.0.1", 0, receiver.routes, site=BOT_SITE)
        await stack.enter_async_context(server)
        meter, spans = await _measured(server.port, order, rate, parts.finish)
        parts.dispatcher.abandon()
        parts.tasks.cancel()
        done = (await store.events.counts()).get("done", 0)
    return _whole(meter, spans, done, order, rate)


async def _measured(
    port: int, order: Order, rate: int, until: Callable[[], Awaitable[None]] | None = None
) -> tuple[Meter, list[float]]:
    command = ["-m", "tests.bench.webhook_sender", str(port), str(order.size), str(rate)]
    sender = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE
    )
    with Meter() as meter:
        out, _ = await sender.communicate()
        if sender.returncode:
            raise RuntimeError("a delivery was not taken")
        if until is not None:
            await until()
    return meter, json.loads(out)


def _whole(meter: Meter, spans: list[float], stored: int, order: Order, rate: int) -> Sample:
    if not len(spans) == stored == order.size:
        raise RuntimeError(f"{len(spans)} taken, {stored} stored of {order.size} deliveries")
    if not rate:
        return meter.of(order.size)
    p99 = statistics.quantiles(spans, n=100)[98] if len(spans) > 1 else spans[0]
    return meter.of(order.size, value=p99)
