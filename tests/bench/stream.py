"""A1 and A2: from the stream of activity to an async handler, without and with the journal."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.bench.measure import Meter, Order, Sample
from tests.bench.stream_server import url
from tests.unit.sources.fakes import Reports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from botkit.ports import HttpStream, Transport
    from botkit.ports.io import HttpRequest

__all__ = ["Noting", "Parts", "botkit_journaled", "botkit_stream", "plain_stream", "xdk_stream"]

_PATH = "/2/activity/stream"


def plain_stream(order: Order) -> Sample:
    """The limit: aiohttp's own lines, orjson's own dicts, and an await."""
    import aiohttp
    import orjson

    seen: set[str] = set()

    async def handler(event: dict[str, Any]) -> None:
        seen.add(event["data"]["payload"]["id"])

    async def read() -> Meter:
        async with aiohttp.ClientSession() as session:
            with Meter() as meter:
                async with session.get(url(order.port, order.size) + _PATH) as response:
                    while len(seen) < order.size:
                        line = await response.content.readline()
                        if line.strip():
                            await handler(orjson.loads(line))
        return meter

    return _whole(asyncio.run(read()), len(seen), order)


def xdk_stream(order: Order) -> Sample:
    """The peer: X's own kit, its generator of pydantic objects; it has no handlers."""
    from xdk import Client

    client = Client(base_url=url(order.port, order.size), bearer_token="made-up")
    seen: set[str] = set()
    with Meter() as meter:
        for event in client.stream.activity():
            seen.add(event.data.payload.id)
            if len(seen) == order.size:
                break
    client.session.close()
    return _whole(meter, len(seen), order)


def botkit_stream(order: Order) -> Sample:
    """botkit without its store: transport, lines, events, wiring, handler."""
    from botkit.client.http.transport import AiohttpTransport
    from botkit.protocol.events import activity
    from botkit.protocol.events.stream_lines import LineSplitter

    seen: set[str] = set()
    wiring = Noting(seen, order.size).bot.wiring
    hearing = activity.Hearing()
    scope = _NoScope()

    async def handle(line: bytes) -> None:
        for event in activity.decode_events(line, hearing=hearing):
            for candidate in wiring.candidates(event):
                await candidate(scope)
                break

    async def read() -> Meter:
        splitter = LineSplitter()
        async with AiohttpTransport() as transport:
            with Meter() as meter:
                async with transport.stream(_request(order)) as stream:
                    async for chunk in stream.chunks():
                        for line in splitter.feed(chunk):
                            await handle(line)
                        if len(seen) == order.size:
                            break
        return meter

    return _whole(asyncio.run(read()), len(seen), order)


def botkit_journaled(order: Order) -> Sample:
    """botkit whole: the source, the inbox, the dispatcher, done marks, on a store that syncs."""
    seen: set[str] = set()

    async def read() -> Meter:
        from botkit.client.http.transport import AiohttpTransport
        from botkit.storage import open_store
        from botkit.system import SystemClock
        from botkit.telemetry.log import set_up_logging

        set_up_logging(level="error")
        clock = SystemClock()
        async with AsyncExitStack() as stack:
            transport = await stack.enter_async_context(AiohttpTransport())
            address = f"sqlite:///{order.folder}/bot.db"
            store = await stack.enter_async_context(open_store(address, clock=clock))
            parts = Parts(Noting(seen, order.size), store, clock, _Listener(transport, order))
            await parts.lease.acquire()
            await stack.enter_async_context(parts.tasks)
            with Meter() as meter:
                await parts.run()
            parts.dispatcher.abandon()
            parts.tasks.cancel()
            done = (await store.events.counts()).get("done", 0)
        if done != order.size:
            raise RuntimeError(f"{done} of {order.size} events are done in the store")
        return meter

    return _whole(asyncio.run(read()), len(seen), order)


class Parts:
    """What `open_runtime` joins, as far as an event goes through it."""

    def __init__(
        self, noting: Noting, store: Any, clock: Any, sender: Any, *, source: Any = None
    ) -> None:
        from botkit.leases.lease import Lease
        from botkit.model.users import Account
        from botkit.protocol.rules.opt_outs import OptOutRules
        from botkit.runtime.dispatch.dispatcher import Dispatcher
        from botkit.runtime.intake.inbox import Inbox
        from botkit.runtime.life.lifecycle import Tasks
        from botkit.runtime.writes.actions import Services
        from botkit.runtime.writes.checks.budget import Budget, BudgetLimits
        from botkit.runtime.writes.opt_outs import OptOuts
        from botkit.sources.gaps import Gaps
        from botkit.sources.push.stream import ActivityStream
        from botkit.system import SystemEntropy
        from botkit.waiting.proven_time import ProvenTime
        from tests.bench.payloads import ACCOUNT_ID

        nobody: Any = None
        wiring = noting.bot.wiring
        self._all_seen = noting.all_seen
        self.lease = Lease(store, clock, owner="bench", ttl_s=3600.0)
        self.tasks = Tasks()
        services = Services(
            steps=nobody,
            store=store,
            clock=clock,
            proven=ProvenTime(clock),
            fence=self.lease.fence,
            signals=wiring.signals,
        )
        self.dispatcher = Dispatcher(
            wiring=wiring,
            services=services,
            opt_outs=OptOuts(services, rules=OptOutRules()),
            entropy=SystemEntropy(),
            given=lambda _: {},
            lookup=nobody,
            spawn=self.tasks.hire,
            redact=str,
        )
        self.source = (source or ActivityStream)(
            "default",
            [Account(id=ACCOUNT_ID, username="ExampleUser")],
            kinds={ACCOUNT_ID: ()},
            subscriptions=sender,
            sender=sender,
            intake=Inbox(
                store=store,
                taker=self.dispatcher,
                clock=clock,
                fence=self.lease.fence,
                budget=Budget(store, clock, BudgetLimits()),
            ),
            clock=clock,
            entropy=SystemEntropy(),
            report=Reports(),
            gaps=Gaps(store, clock=clock, report=lambda *_: None),
            late=timedelta(minutes=5),
            on_connected=lambda: None,
        )

    async def run(self) -> None:
        """Until all events are done, and their marks are stored."""
        await self.start()
        self.tasks.start(self.source.run(), "stream")
        await self.finish()

    async def start(self) -> None:
        """Let events be handled that somebody else brings."""
        for work in self.dispatcher.tasks:
            self.tasks.start(work, "dispatcher")
        await self.dispatcher.inbox_reader.wait_idle()

    async def finish(self) -> None:
        """Wait until all events are done, and their marks are stored."""
        await self._all_seen.wait()
        await self.dispatcher.inbox_reader.wait_idle()


class _Listener:
    """`ports.Sender` for the stream alone; its subscriptions are as wanted."""

    def __init__(self, transport: Transport, order: Order) -> None:
        self._transport = transport
        self._order = order

    @asynccontextmanager
    async def stream(self, _: object, *, account_id: str = "") -> AsyncIterator[HttpStream]:
        async with self._transport.stream(_request(self._order)) as stream:
            yield stream

    async def prepare(self, *_: object) -> Any:
        from botkit.sources.push.subscriptions import Prepared

        return Prepared(live=())


class _NoScope:
    def resolve(self, wanted: Any) -> Any:
        raise KeyError(wanted)


class Noting:
    """A bot that notes every post, and says when it has seen all."""

    def __init__(self, seen: set[str], size: int) -> None:
        from botkit import Bot, PostEvent

        self.bot = Bot("bench")
        self.all_seen = asyncio.Event()

        async def note(event: PostEvent) -> None:
            seen.add(event.id)
            if len(seen) == size:
                self.all_seen.set()

        note.__annotations__["event"] = PostEvent
        self.bot.on(PostEvent)(note)


def _request(order: Order) -> HttpRequest:
    from botkit.ports.io import HttpRequest

    return HttpRequest(
        method="GET",
        url=url(order.port, order.size) + _PATH,
        name=f"GET {_PATH}",
        headers=(("Authorization", "Bearer made-up"),),
    )


def _whole(meter: Meter, seen: int, order: Order) -> Sample:
    if seen != order.size:
        raise RuntimeError(f"{seen} of {order.size} events arrived")
    return meter.of(seen)
