"""What the tests of the write path share: a clock that skips, an X that is scripted, made-up steps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from botkit.errors import Forbidden, OutcomeUnknown, Parked, ServerError
from botkit.model.events import Mention
from botkit.model.posts import Post
from botkit.model.records import Fence, NewEvent, RunParked, StoredWrite, WriteState
from botkit.model.tokens import CredentialKind
from botkit.model.users import User
from botkit.ports import Store
from botkit.protocol.api import requests
from botkit.protocol.api.requests import Request
from botkit.protocol.api.responses import Response
from botkit.protocol.rules import access
from botkit.runtime.writes.checks.account_health import AccountHealth
from botkit.runtime.writes.checks.budget import Budget, BudgetLimits
from botkit.runtime.writes.checks.guard import Guard, Rules
from botkit.runtime.writes.lookups.own_posts import OwnPosts
from botkit.runtime.writes.outbox import Outbox
from botkit.runtime.writes.reconcile import Reconciler
from botkit.runtime.writes.steps import Step, Wrote
from botkit.sandbox.harness.clock import SeededEntropy
from botkit.storage import open_store

ME = "1999000000000000001"
ADA = "1999000000000000002"
BOB = "1999000000000000003"
T0 = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
SCOPES = ("tweet.read", "tweet.write", "users.read", "dm.read", "dm.write", "offline.access")

LOST = "lost"
"""X carries it out; the answer does not come."""
RESET = "reset"
"""X does not carry it out, and to the client it looks like `LOST`."""

CREATES = {"createPosts"}
MESSAGES = {"createDirectMessagesByParticipantId", "createDirectMessagesByConversationId"}


async def turn() -> None:
    """One turn of the event loop."""
    turned = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(turned.set_result, None)
    await turned


class SkippingClock:
    """Time that passes at once: whoever sleeps wakes up later without having waited."""

    def __init__(self) -> None:
        self.current = T0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.current

    def monotonic(self) -> float:
        return (self.current - T0).total_seconds()

    def move(self, seconds: float) -> None:
        self.current += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.move(max(seconds, 0))
        await turn()

    @asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncIterator[None]:
        if seconds is None:
            yield
            return
        self.slept.append(seconds)
        try:
            async with asyncio.timeout(0):
                yield
        except TimeoutError:
            self.move(max(seconds, 0))
            raise


class FakeX:
    """A `ports.Sender`: does what it is told for each write, and shows what it carried out.

    `script` holds one entry for each write to come: `LOST`, `RESET`, an error to raise, or a
    response to give; when it is empty, writes succeed. `reads` does the same for reads.
    """

    def __init__(self, clock: SkippingClock) -> None:
        self._clock = clock
        self.script: list[Any] = []
        self.reads: list[Any] = []
        self.posts: list[dict[str, Any]] = []
        self.sent: list[Request] = []
        self.looked: list[Request] = []
        self.not_ready: BaseException | None = None
        self.holdings: Mapping[CredentialKind, tuple[str, ...]] = {CredentialKind.OAUTH2: SCOPES}
        self.gate: asyncio.Event | None = None
        self.asked = asyncio.Event()
        self.page_size = 100
        self.behind: timedelta | None = None
        """By how much its clock is behind ours; None for answers that do not tell the time."""
        self._ids = 1999000000000001000

    async def credential(self, operation: str, *, account_id: str) -> CredentialKind:
        holdings = {} if account_id in {"", ADA, BOB} else self.holdings
        return access.choose_credential(operation, holdings)

    async def kinds(self, account_id: str) -> Mapping[CredentialKind, tuple[str, ...]]:
        return self.holdings

    async def ready(self, request: Request, *, account_id: str = "") -> None:
        if self.not_ready is not None and account_id not in {"", ADA, BOB}:
            raise self.not_ready

    def stream(self, request: Request, *, account_id: str = "") -> Any:
        raise NotImplementedError

    async def send(self, request: Request, *, account_id: str = "") -> Response:
        if request.method == "GET":
            return self._show(request, account_id)
        self.sent.append(request)
        self.asked.set()
        told = self.script.pop(0) if self.script else None
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(told, BaseException):
            raise told
        if callable(told):
            return told(request)
        if told == RESET:
            raise OutcomeUnknown("reset", request=request.name, kind="reset")
        if isinstance(told, Response):
            return told
        response = self.carry_out(request, account_id)
        if told == LOST:
            raise OutcomeUnknown("lost", request=request.name, kind="reset")
        return response

    def carry_out(self, request: Request, account_id: str = ME) -> Response:
        self._ids += 1
        body = msgspec.json.decode(request.json or b"{}")
        made = {
            "id": str(self._ids),
            "text": body.get("text", ""),
            "created_at": (self._clock.now() - (self.behind or timedelta(0))).strftime(
                "%Y-%m-%dT%H:%M:%S.000Z"
            ),
        }
        if request.operation in MESSAGES:
            place = unquote(request.path.removesuffix("/messages").rsplit("/", 1)[-1])
            made |= {"sender_id": account_id, "dm_conversation_id": place, "place": place}
            made["event_type"] = "MessageCreate"
            data = {"dm_event_id": made["id"], "dm_conversation_id": place}
        elif request.operation == "deletePosts":
            return Response(status=200, data={"deleted": True})
        else:
            made["author_id"] = account_id
            if "reply" in body:
                target = body["reply"]["in_reply_to_tweet_id"]
                made["referenced_tweets"] = [{"type": "replied_to", "id": target}]
            data = {"id": made["id"], "text": made["text"]}
        self.posts.append(made)
        return Response(status=201, data=data)

    def _show(self, request: Request, account_id: str) -> Response:
        self.looked.append(request)
        told = self.reads.pop(0) if self.reads else None
        if isinstance(told, BaseException):
            raise told
        if isinstance(told, Response):
            return told
        query = dict(request.query)
        if "dm_conversations" in request.path:
            place = unquote(request.path.removesuffix("/dm_events").rsplit("/", 1)[-1])
            shown = [post for post in self.posts if post.get("place") == place]
        else:
            since, since_id = query.get("start_time", ""), int(query.get("since_id", "0"))
            shown = [
                post
                for post in self.posts
                if post.get("author_id") == account_id
                and post["created_at"] >= since
                and int(post["id"]) > since_id
            ]
        start = int(query.get("pagination_token", "0"))
        page = shown[::-1][start : start + self.page_size]
        meta: dict[str, Any] = {"result_count": len(page)}
        if start + self.page_size < len(shown):
            meta["next_token"] = str(start + self.page_size)
        date = None if self.behind is None else self._clock.now() - self.behind
        return Response(status=200, data=page, meta=meta, date=date)


class Office:
    """The whole write path on a real store, and a process that can die."""

    def __init__(self, store: Store, clock: SkippingClock, x: FakeX, fence: Fence) -> None:
        self.store = store
        self.clock = clock
        self.x = x
        self.held = self.lease = fence
        self.wrote: list[Wrote] = []
        self.settled = 0
        self.said: list[tuple[str, str, str]] = []
        self.limits = BudgetLimits()
        self.may = frozenset({"post", "reply", "message", "delete"})
        self.tasks: set[asyncio.Task[None]] = set()
        self.start()

    def start(self, *, dry_run: bool = False, rules: Rules | None = None) -> None:
        """A process: everything that is only in memory is new."""
        self.budget = Budget(self.store, self.clock, self.limits)
        self.guard = Guard(
            may=self.may,
            store=self.store,
            sender=self.x,
            clock=self.clock,
            budget=self.budget,
            rules=rules,
            health=AccountHealth(self.clock, report=self.report),
        )
        self.reconciler = Reconciler(
            store=self.store,
            sender=self.x,
            clock=self.clock,
            budget=self.budget,
            fence=lambda: self.lease,
            on_settled=self.count_settled,
            report=self.report,
        )
        self.own_posts = OwnPosts(
            store=self.store,
            sender=self.x,
            clock=self.clock,
            fence=lambda: self.lease,
            report=self.report,
        )
        self.outbox = Outbox(
            store=self.store,
            sender=self.x,
            guard=self.guard,
            reconciler=self.reconciler,
            own_posts=self.own_posts,
            clock=self.clock,
            entropy=SeededEntropy(),
            fence=lambda: self.lease,
            spawn=self.spawn,
            on_wrote=self.wrote.append,
            dry_run=dry_run,
        )

    def spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        return task

    def report(self, part: str, state: str, detail: str) -> None:
        self.said.append((part, state, detail))

    def count_settled(self) -> None:
        self.settled += 1

    def die(self) -> None:
        """From now on this process writes nothing more."""
        self.lease = Fence("runner", "nobody", -1)

    async def crash(self) -> None:
        """The process dies; its lease is given back and taken by the next one."""
        self.die()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()
        await self.store.leases.release(self.held)
        self.held = self.lease = await take_lease(self.store)
        self.start()

    async def row(self, step: Step) -> StoredWrite:
        row = await self.store.writes.get(step.id)
        assert row is not None
        return row

    async def state(self, step: Step) -> WriteState:
        return (await self.row(step)).state

    async def read_until_settled(self, *, most: int = 40) -> None:
        """Let time pass until nothing is uncertain."""
        for _ in range(most):
            wait_s = await self.reconciler.settle_due()
            if wait_s is None:
                return
            self.clock.move(wait_s)
        raise AssertionError("still uncertain")


async def take_lease(store: Store) -> Fence:
    fence = await store.leases.acquire("runner", "tester", ttl=timedelta(days=400))
    assert fence is not None
    return fence


@asynccontextmanager
async def open_office(folder: Path) -> AsyncIterator[Office]:
    clock = SkippingClock()
    async with open_store(f"sqlite:///{folder}/bot.db", clock=clock, check=False) as store:
        office = Office(store, clock, FakeX(clock), await take_lease(store))
        try:
            yield office
        finally:
            for task in office.tasks:
                task.cancel()
            ended = await asyncio.gather(*office.tasks, return_exceptions=True)
            failed = [end for end in ended if isinstance(end, Exception | Parked)]
            assert failed == [], "a send must not end the task group that it runs in"


def mention(
    post_id: str = "1999000000000000500", text: str = "@greeter hello", **more: Any
) -> Mention:
    return Mention(
        account_id=ME,
        at=T0,
        post=Post(
            id=post_id, text=text, author_id=ADA, conversation_id=post_id, created_at=T0, **more
        ),
        author=User(id=ADA, username="ada", name="Ada"),
        mentions_me=True,
    )


def reply_step(text: str = "Hello @ada!", *, to: Any = None, **more: Any) -> Step:
    answered = mention() if to is None else to
    post = answered if isinstance(answered, Post) else answered.post
    mine = post.author_id == ME
    values: dict[str, Any] = {
        "account_id": ME,
        "event_key": f"post/{post.id}/0",
        "run": 0,
        "handler": "greet",
        "operation": "createPosts",
        "capability": "reply",
        "request": requests.create_post(text, in_reply_to=post.id, summoned=True),
        "target": post.id,
        "text": text,
        "interaction": "" if mine else post.original_id,
        "user_id": "" if mine else post.author_id,
        "answers": answered,
    }
    return Step(**(values | more))


def post_step(text: str = "Good morning", **more: Any) -> Step:
    values: dict[str, Any] = {
        "account_id": ME,
        "event_key": "tick/morning/1",
        "run": 0,
        "handler": "morning",
        "operation": "createPosts",
        "capability": "post",
        "request": requests.create_post(text),
        "text": text,
    }
    return Step(**(values | more))


def message_step(text: str = "One moment", *, n: int = 0, **more: Any) -> Step:
    values: dict[str, Any] = {
        "account_id": ME,
        "event_key": "dm/1",
        "run": 0,
        "handler": "support",
        "operation": "createDirectMessagesByParticipantId",
        "capability": "message",
        "request": requests.send_message(participant_id=ADA, text=text),
        "target": ADA,
        "user_id": ADA,
        "n": n,
        "text": text,
    }
    return Step(**(values | more))


def delete_step(post_id: str = "1999000000000000700") -> Step:
    return Step(
        account_id=ME,
        event_key="tick/clean/1",
        run=0,
        handler="clean",
        operation="deletePosts",
        capability="delete",
        request=requests.delete_post(post_id),
        target=post_id,
    )


def duplicate() -> Forbidden:
    return Forbidden(
        "X answered POST /2/tweets with 403.",
        status=403,
        title="Forbidden",
        detail="You are not allowed to create a Tweet with duplicate content.",
        problem_type="about:blank",
    )


def suspended() -> Forbidden:
    return Forbidden("X answered POST /2/tweets with 403.", status=403, codes=(64,))


def server_error(status: int = 503) -> ServerError:
    return ServerError(f"X answered {status}.", status=status)


def usd(amount: str) -> Decimal:
    return Decimal(amount)


async def park(office: Office, waiting_for: str, key: str = "post/1/0") -> None:
    """An event that waits for something."""
    event = NewEvent(account_id=ME, key=key, kind="mention", lane=key, body=b"{}", at=T0)
    (seq,) = await office.store.events.append([event])
    assert seq is not None
    await office.store.events.settle(
        [RunParked(seq=seq, waiting_for=waiting_for, until=T0 + timedelta(days=1))],
        fence=office.lease,
    )


async def parked(office: Office) -> int:
    return (await office.store.events.counts()).get("parked", 0)
