"""Small stand-ins for the rooms beside the runtime, and a runtime wired with them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from botkit.errors import NotFound
from botkit.leases.lease import Lease
from botkit.model.events import Event, Mention
from botkit.model.messages import Message
from botkit.model.posts import Post
from botkit.model.records import StoredWrite, WriteState
from botkit.model.users import User
from botkit.protocol.rules.opt_outs import OptOutRules
from botkit.runtime.dispatch.dispatcher import Dispatcher
from botkit.runtime.intake.inbox import Inbox
from botkit.runtime.life.lifecycle import Tasks
from botkit.runtime.writes.actions import Services
from botkit.runtime.writes.checks.budget import Budget, BudgetLimits
from botkit.runtime.writes.opt_outs import OptOuts
from botkit.sandbox.harness.clock import SeededEntropy, VirtualClock
from botkit.sandbox.harness.pauses import threads_counted
from botkit.storage import open_store
from botkit.waiting.proven_time import ProvenTime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from botkit.model.events import Signal
    from botkit.ports import Clock, Scope, Store
    from botkit.runtime.dispatch.run_ends import Ended
    from botkit.runtime.writes.steps import Step

BOT = "42"
ADA = User(id="7", username="ada", name="Ada")

Handler = "Callable[[Any, Scope], Awaitable[Any]]"


class FakeWiring:
    """Gives each event to the functions registered for its class, in order."""

    def __init__(self, *signals: type[Signal]) -> None:
        self.signals: Mapping[str, type[Signal]] = {one.signal_name: one for one in signals}
        self.error_hooks: tuple[Any, ...] = ()
        self._routes: list[SimpleNamespace] = []

    def on(
        self,
        event_type: type[Event],
        handler: Callable[[Any, Scope], Awaitable[Any]],
        *,
        name: str = "",
        timeout_s: float | None = 60.0,
        answer_within: timedelta = timedelta.max,
        states: Sequence[Any] = (),
    ) -> None:
        route = SimpleNamespace(
            name=name or handler.__name__,
            timeout_s=timeout_s,
            answer_within=answer_within,
            states=tuple(states),
            event_type=event_type,
        )
        self._routes.append(SimpleNamespace(route=route, handler=handler))

    def candidates(
        self, event: Event, blame: Callable[[str], None] = lambda _: None
    ) -> Iterator[Any]:
        for entry in self._routes:
            if isinstance(event, entry.route.event_type):
                yield _Candidate(entry.route, entry.handler, event)


class _Candidate:
    def __init__(self, route: Any, handler: Any, event: Event) -> None:
        self.route = route
        self._handler = handler
        self._event = event

    async def __call__(self, scope: Scope) -> Any:
        return await self._handler(self._event, scope)


class FakeSteps:
    """An outbox that confirms every step at once and remembers what was asked."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.asked: list[Step] = []
        self.made: dict[str, StoredWrite] = {}
        self.answers: list[BaseException] = []

    async def perform(self, step: Step) -> StoredWrite:
        self.asked.append(step)
        if self.answers:
            raise self.answers.pop(0)
        if step.id not in self.made:
            self.made[step.id] = self._make(step)
        return self.made[step.id]

    def _make(self, step: Step) -> StoredWrite:
        made_id = str(9000 + len(self.made))
        made: Post | Message
        if step.capability == "message":
            made = Message(id=made_id, conversation_id="c", text=step.text, sender_id=BOT)
        else:
            made = Post(
                id=made_id,
                text=step.text,
                author_id=BOT,
                in_reply_to_post_id=step.target or None,
            )
        return StoredWrite(
            id=step.id,
            account_id=step.account_id,
            operation=step.operation,
            target=step.target,
            body=b"",
            state=WriteState.CONFIRMED,
            created_at=self._clock.now(),
            result_id=made_id,
            result=msgspec.json.encode(made),
        )


_OURS: dict[str, Any] = {"__name__": "botkit.raises"}
exec("def throw(error):\n    raise error", _OURS)


def botkit_raises(error: BaseException) -> NoReturn:
    """Raise the error as if an action or a read of botkit's had raised it."""
    _OURS["throw"](error)
    raise AssertionError


def as_botkits(error: BaseException) -> BaseException:
    """Return the error as an action or a read of botkit's leaves it behind."""
    try:
        botkit_raises(error)
    except BaseException as raised:  # noqa: BLE001 - it is returned
        return raised


class FakeLookup:
    """Knows users and posts; raises what is planned first."""

    def __init__(self) -> None:
        self.known: dict[str, User] = {ADA.id: ADA}
        self.posts: dict[str, Post] = {}
        self.faults: list[BaseException] = []
        self.calls: list[list[str]] = []
        self.asked: list[tuple[str, list[str]]] = []
        """Who asked, and for whom."""

    async def users(self, ids: Sequence[str], *, account_id: str) -> Mapping[str, User]:
        self.calls.append(list(ids))
        self.asked.append((account_id, list(ids)))
        if self.faults:
            raise self.faults.pop(0)
        return {one: self.known[one] for one in ids if one in self.known}

    async def post(self, post_id: str, *, account_id: str) -> Post:
        self.asked.append((account_id, [post_id]))
        if post_id not in self.posts:
            raise NotFound("gone", status=404)
        return self.posts[post_id]


class XAgrees(ProvenTime):
    """X's clock shows what the wall clock shows, and was seen from the start."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.is_seen.set()

    def now(self) -> datetime:
        return self._clock.now()


class Bench:
    """The runtime's core on a real store, in virtual time."""

    def __init__(
        self,
        store: Store,
        clock: VirtualClock,
        wiring: FakeWiring,
        *,
        lease: Lease | None = None,
        proven: ProvenTime | None = None,
        **options: Any,
    ) -> None:
        self.proven = proven or XAgrees(clock)
        self.store = store
        self.clock = clock
        self.wiring = wiring
        self.steps = FakeSteps(clock)
        self.lookup = FakeLookup()
        self.ended: list[Ended] = []
        self.tasks = Tasks()
        self.lease = lease or Lease(store, clock, owner="test", ttl_s=1e7)
        self.services = Services(
            steps=self.steps,
            store=store,
            clock=clock,
            proven=self.proven,
            fence=self.lease.fence,
            signals=wiring.signals,
        )
        self.dispatcher = Dispatcher(
            wiring=wiring,  # type: ignore[arg-type]
            services=self.services,
            opt_outs=OptOuts(self.services, rules=OptOutRules(), tells=True),
            entropy=SeededEntropy(),
            given=lambda account_id: {str: account_id},
            lookup=self.lookup,
            spawn=self.tasks.hire,
            redact=lambda text: text.replace("hunter2", "[redacted]"),
            **({"on_ended": self.ended.append} | options),
        )
        self.inbox = Inbox(
            store=store,
            taker=self.dispatcher,
            clock=clock,
            fence=self.lease.fence,
            budget=Budget(store, clock, BudgetLimits()),
        )

    async def record(self, *events: Event) -> int:
        return await self.inbox.record(events, account_id=BOT, source="test")

    async def handle(self, *events: Event) -> None:
        """Record these and wait until nothing is due."""
        await self.record(*events)
        await self.idle()

    async def idle(self) -> None:
        await self.dispatcher.inbox_reader.wait_idle()

    async def later(self, seconds: float) -> None:
        """Move virtual time on, stopping wherever somebody waits for a time."""
        await self.clock.advance(timedelta(seconds=seconds))

    @property
    def outcomes(self) -> list[str]:
        return [ended.outcome for ended in self.ended]

    async def note(self, event: Event) -> str:
        assert isinstance(event, Mention) or hasattr(event, "key")
        rows = await self.store.events.get(event.key)  # type: ignore[attr-defined]
        return rows[0].note


@asynccontextmanager
async def bench(
    folder: Path,
    wiring: FakeWiring,
    *,
    clock: VirtualClock | None = None,
    started: bool = True,
    **options: Any,
) -> AsyncIterator[Bench]:
    """A running core; what is in the store of the folder goes on."""
    clock = clock or VirtualClock()
    async with opened(folder, clock) as store:
        made = Bench(store, clock, wiring, **options)
        await made.lease.acquire()
        async with made.tasks:
            if started:
                start(made)
            yield made
            made.dispatcher.abandon()
        await made.lease.release()


@asynccontextmanager
async def opened(folder: Path, clock: VirtualClock) -> AsyncIterator[Store]:
    """A real store in the folder; virtual time stands still while its threads work."""
    async with open_store(f"sqlite:///{folder}/bot.db", clock=clock) as store:
        engine: Any = store._engine  # type: ignore[attr-defined]

        def holding(call: Any) -> Any:
            async def held(*args: Any) -> Any:
                with clock.working():
                    return await call(*args)

            return held

        for name in ("write", "read", "changed"):
            setattr(engine, name, holding(getattr(engine, name)))
        with threads_counted(clock):
            yield store


def start(made: Bench) -> None:
    for work in made.dispatcher.tasks:
        made.tasks.start(work, "dispatcher")


def mention(
    post_id: str = "100",
    text: str = "@greeter hello",
    *,
    conversation: str | None = None,
    author: User = ADA,
    missing: tuple[str, ...] = (),
    second: int = 0,
    **post: Any,
) -> Mention:
    """Somebody mentions the bot."""
    return Mention(
        account_id=BOT,
        at=datetime(2025, 12, 11, 12, 0, second, tzinfo=UTC),
        source="test",
        missing=missing,
        post=Post(
            id=post_id,
            text=text,
            author_id=author.id,
            conversation_id=conversation or post_id,
            **post,
        ),
        author=author,
        mentions_me=True,
    )


def wired(handler: Any, event_type: Any = Mention, **options: Any) -> FakeWiring:
    wiring = FakeWiring()
    wiring.on(event_type, handler, **options)
    return wiring


class Gate:
    """A handler that waits until it is let go, and remembers who is in it."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.order: list[str] = []
        self.opened: dict[str, asyncio.Event] = {}
        self.__name__ = "gate"

    async def __call__(self, event: Mention, scope: Scope) -> None:
        self.inside.append(event.id)
        self.order.append(event.id)
        try:
            await self.opened.setdefault(event.id, asyncio.Event()).wait()
        finally:
            self.inside.remove(event.id)

    def open(self, *ids: str) -> None:
        for one in ids:
            self.opened.setdefault(one, asyncio.Event()).set()


async def calm(bot: Bench) -> None:
    await bot.clock.at_rest()


async def turns(count: int = 5) -> None:
    """Let everybody run that many times."""
    for _ in range(count):
        await VirtualClock().sleep(0)
