"""Turns what a handler does into durable steps.

Each call gets a key that a second run of the same handler finds again: event, run, handler,
operation, target and a count of these; never the text.
Source: docs/explanation/requirements.md, "Writes".
"""

from __future__ import annotations

import functools
import inspect
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Literal,
    NamedTuple,
    ParamSpec,
    Protocol,
    TypeVar,
)

import msgspec

from botkit.errors import Parked, StateError
from botkit.model.events import DirectMessage, PostEvent, Signal
from botkit.model.messages import Message
from botkit.model.posts import Post
from botkit.model.records import Fence, MemoKey, NewEvent, WritePolicy
from botkit.model.users import User
from botkit.ports import Clock, Store
from botkit.protocol.api import requests
from botkit.protocol.api.objects import conversation_of
from botkit.protocol.api.raw_calls import raw_call
from botkit.protocol.events.activity import encode_event
from botkit.protocol.rules import access, policy
from botkit.routing.stored_state import check_size
from botkit.runtime.writes.action_arguments import (
    allows_bare,
    check_answered,
    check_text,
    check_time,
    named,
)
from botkit.runtime.writes.causes import causes_of
from botkit.runtime.writes.once_results import as_json, called, result_type
from botkit.runtime.writes.steps import Step
from botkit.runtime.writes.write_outcomes import CallResult
from botkit.waiting.proven_time import ProvenTime

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from datetime import datetime

    from botkit.model.events import Event
    from botkit.model.records import StoredWrite
    from botkit.ports import MessageThread
    from botkit.protocol.api.requests import Request
    from botkit.runtime.intake.lanes import Job

__all__ = ["EventActions", "Services", "Steps", "new_signal"]

P = ParamSpec("P")
T = TypeVar("T")


_NO_THREAD: Any = object()
_SENT_TWICE_IS_ONCE = frozenset({"PUT", "DELETE"})
"""Methods that are safe to send again after a lost answer. Source: RFC 9110, 9.2.2."""


class Steps(Protocol):
    """Performs durable steps: the outbox."""

    async def perform(self, step: Step) -> StoredWrite:
        """Return the CONFIRMED write of this step, or raise why it is not confirmed."""
        ...


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """The services that the actions of all events share."""

    steps: Steps
    store: Store
    clock: Clock
    proven: ProvenTime
    fence: Callable[[], Fence]
    signals: Mapping[str, type[Signal]]
    policy: WritePolicy = WritePolicy.RECONCILE
    state_kib: int = 256
    from_now: bool = False
    hears_deletions: bool = False


class _Call(NamedTuple):
    """Hold a call of an action, with its place in the author's code."""

    coroutine: Coroutine[Any, Any, Any]
    action: str
    place: str


def _to_be_awaited(
    method: Callable[Concatenate[EventActions, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[EventActions, P], Coroutine[Any, Any, T]]:
    """Note each call of an action, so that one that is never awaited fails the event."""

    @functools.wraps(method)
    def call(self: EventActions, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        coroutine = method(self, *args, **kwargs)
        self.note_call(coroutine, method.__name__)
        return coroutine

    return call


class EventActions:
    """Act for one run of one handler on one event: its `ports.Actions`.

    Attributes:
        emitted: The events to be stored with the handler's commit.
        parked: The reason why a step has to wait, even if the handler caught the exception.
        forgotten: The error text on an action that the handler did not await; "" for none.
    """

    __slots__ = (
        "_calls",
        "_closed",
        "_counts",
        "_event",
        "_handler",
        "_job",
        "_on",
        "emitted",
        "forgotten",
        "parked",
    )

    def __init__(self, on: Services, job: Job, event: Event, *, handler: str) -> None:
        self._on = on
        self._job = job
        self._event = event
        self._handler = handler
        self._counts: dict[tuple[str, ...], int] = {}
        self._calls: deque[_Call] = deque()
        self._closed = False
        self.forgotten: str = ""
        self.emitted: list[NewEvent] = []
        self.parked: Parked | None = None

    def close(self) -> None:
        """End the run: refuse actions of tasks that the handler left behind."""
        self._closed = True
        for call in self._calls:
            if _is_unstarted(call.coroutine):
                call.coroutine.close()
                self.forgotten = self.forgotten or (
                    f"{self._handler} called act.{call.action}(...) without `await` "
                    f"({call.place}): nothing was done."
                )
        self._calls.clear()

    def note_call(self, coroutine: Coroutine[Any, Any, Any], action: str) -> None:
        """Remember a call of an action until it is awaited."""
        while self._calls and not _is_unstarted(self._calls[0].coroutine):
            self._calls.popleft()
        self._calls.append(_Call(coroutine, action, _place_of_caller()))

    @_to_be_awaited
    async def reply(
        self, to: PostEvent | Post, text: str, *, links: Literal["allow", "refuse"] | None = None
    ) -> Post:
        """Answer a post; return the post that X made. See `ports.Actions`."""
        self._check_open()
        check_answered(to)
        check_text("reply", text, self._handler)
        bare_links = allows_bare("reply", links)
        post = to.post if isinstance(to, PostEvent) else to
        n = self._count("createPosts", post.id)
        answers = await self._summons(to)
        event = answers if isinstance(answers, PostEvent) else None
        summons = policy.summons_of(post, account_id=self._job.account_id, event=event)
        mine = summons == "own"
        request = requests.create_post(
            text,
            in_reply_to=post.id,
            summoned=summons == "yes",
            has_link=bool(policy.links_in(text)),
        )
        step = self._step(
            request,
            capability="reply",
            target=post.id,
            n=n,
            text=text,
            interaction="" if mine else post.original_id,
            user_id="" if mine else _author_of(to),
            answers=answers,
            bare_links=bare_links,
        )
        return await self._perform(step, Post)

    @_to_be_awaited
    async def post(self, text: str, *, links: Literal["allow", "refuse"] | None = None) -> Post:
        """Publish a post; return the post that X made. See `ports.Actions`."""
        self._check_open()
        check_text("post", text, self._handler)
        bare_links = allows_bare("post", links)
        request = requests.create_post(text, has_link=bool(policy.links_in(text)))
        step = self._step(
            request,
            capability="post",
            n=self._count("createPosts", ""),
            text=text,
            bare_links=bare_links,
        )
        return await self._perform(step, Post)

    @_to_be_awaited
    async def message(self, to: DirectMessage | User | MessageThread, text: str) -> Message:
        """Send a direct message; return the message that X made. See `ports.Actions`."""
        self._check_open()
        check_text("message", text, self._handler)
        if isinstance(to, User):
            target = user_id = to.id
            request = requests.send_message(participant_id=target, text=text)
        else:
            target, user_id = _thread_of(to, self._job.account_id)
            request = requests.send_message(conversation_id=target, text=text)
        step = self._step(
            request,
            capability="message",
            target=target,
            n=self._count(request.operation, target),
            text=text,
            user_id=user_id,
            message_id=self._answered_message(target),
        )
        return await self._perform(step, Message)

    @_to_be_awaited
    async def call(
        self,
        operation: str,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, object] | None = None,
        json: Any = None,
    ) -> Any:
        """Call an operation that has no action of its own. See `ports.Actions`."""
        self._check_open()
        fault = access.call_fault(operation)
        if fault:
            raise TypeError(f"act.call({operation!r}): {fault}")
        request = raw_call(operation, path=path, query=query, json=json)
        if request.method == "GET":
            raise TypeError(f"act.call({operation!r}) only reads: reader.call does that.")
        twice = request.method in _SENT_TWICE_IS_ONCE
        step = self._step(
            request,
            capability=operation,
            target=request.path,
            n=self._count(operation, request.path),
            policy=WritePolicy.RESEND if twice else WritePolicy.HOLD,
        )
        return (await self._perform(step, CallResult)).data

    @_to_be_awaited
    async def emit(self, signal: Signal, *, at: datetime | None = None) -> None:
        """Put a signal into the inbox with the handler's commit, due at `at` or at once."""
        self._check_open()
        check_time(at)
        self._check_signal(signal)
        job = self._job
        n = self._count("emit", signal.signal_name)
        run = f"#{job.run}" if job.run else ""
        row = new_signal(
            signal,
            account_id=job.account_id,
            key=f"signal/{job.key}{run}/{signal.signal_name}/{n}",
            cause=job,
            now=self._on.clock.now(),
            at=at,
        )
        check_size(f"The signal {signal.signal_name}", row.body, self._on.state_kib)
        self.emitted.append(row)

    @_to_be_awaited
    async def once(
        self, name: str, call: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any
    ) -> T:
        """Run a coroutine once per event and keep its result, also across crashes of the process.

        The result is kept as JSON and comes back as the type that `call` is annotated to return:
        a Struct, a dataclass or plain JSON values.

        Raises:
            StateError: The handler asked for a result of this name before, in this run; or the
                result takes more than `[run] state_kib`.
            TypeError: `call` is not async, or its result cannot be kept as JSON, or does not come
                back as it was.
        """
        self._check_open()
        job = self._job
        if self._count("once", name):
            raise StateError(
                f"{self._handler} called act.once({name!r}, ...) a second time: one name stands "
                "for one result of an event.",
                hint="Give each call a name of its own, for instance with what it is about.",
            )
        key = MemoKey(
            account_id=job.account_id,
            event_key=job.key,
            run=job.run,
            handler=self._handler,
            name=name,
            n=0,
        )
        kind = result_type(call)
        kept = await self._on.store.states.memo(key)
        if kept is None:
            kept = as_json(name, await called(name, call, *args, **kwargs), kind)
            check_size(f"The result of act.once({name!r}, ...)", kept, self._on.state_kib)
            self._check_open()
            await self._on.store.states.keep(key, kept, fence=self._on.fence())
        result: T = msgspec.json.decode(kept, type=kind)
        return result

    def _count(self, *what: str) -> int:
        n = self._counts.get(what, 0)
        self._counts[what] = n + 1
        return n

    def _check_open(self) -> None:
        if self._closed:
            raise StateError(
                f"{self._handler} has ended; a task that it left behind may not act any more.",
                hint="Await what the handler starts before it returns, or emit a signal.",
            )

    def _check_signal(self, signal: object) -> None:
        if not isinstance(signal, Signal):
            raise TypeError(
                f"act.emit(signal) takes a value of a class of signals, not {named(signal)}: "
                "class Remind(Signal, frozen=True), then act.emit(Remind())."
            )
        if signal.signal_name not in self._on.signals:
            name = type(signal).__name__
            raise StateError(
                f"{self._handler} emits {name}, and the bot has no handler for it.",
                hint=f"Write one: @bot.on({name}).",
            )

    def _step(self, request: Request, *, capability: str, n: int, **rest: Any) -> Step:
        job = self._job
        rest.setdefault("policy", self._on.policy)
        return Step(
            account_id=job.account_id,
            event_key=job.key,
            run=job.run,
            handler=self._handler,
            operation=request.operation,
            capability=capability,
            request=request,
            n=n,
            happened_at=getattr(self._event, "at", None),
            **rest,
        )

    def _answered_message(self, target: str) -> str:
        """Return the id of the event's message if a message to this user or thread answers it."""
        if not isinstance(self._event, DirectMessage):
            return ""
        talk = self._event.conversation_id
        answers = talk in {target, conversation_of(self._job.account_id, target)}
        return self._event.id if answers else ""

    async def _perform(self, step: Step, kind: type[T]) -> T:
        try:
            write = await self._on.steps.perform(step)
        except Parked as parked:
            self.parked = parked
            raise
        return msgspec.json.decode(write.result or b"", type=kind)

    async def _summons(self, to: PostEvent | Post) -> PostEvent | Post:
        """Return the event in which the post's author summoned the account, if it is on record."""
        if isinstance(to, PostEvent) or to.author_id == self._job.account_id:
            return to
        if isinstance(self._event, PostEvent):
            return self._event if self._event.post.id == to.id else to
        async for cause in causes_of(self._job, self._on.store, self._on.signals):
            if isinstance(cause, PostEvent) and cause.post.id == to.id:
                return cause
        return to


def new_signal(
    signal: Signal,
    *,
    account_id: str,
    key: str,
    cause: Job | None,
    now: datetime,
    at: datetime | None,
) -> NewEvent:
    """Return the inbox's row for a signal, in the lane of the event that caused it."""
    try:
        kind, body = encode_event(signal)
    except (TypeError, ValueError) as error:
        name = type(signal).__name__
        raise TypeError(f"This {name} cannot be stored: {error}.") from error
    return NewEvent(
        account_id=account_id,
        key=key,
        kind=kind,
        lane=cause.lane if cause is not None else key,
        body=body,
        at=now,
        source="emit",
        cause=cause.key if cause is not None else "",
        not_before=at,
    )


def _is_unstarted(coroutine: Coroutine[Any, Any, Any]) -> bool:
    return inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED


def _place_of_caller() -> str:
    """Return file and line of the nearest frame outside this module."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "?"


def _author_of(to: PostEvent | Post) -> str:
    return to.author.id if isinstance(to, PostEvent) else to.author_id or ""


def _thread_of(to: DirectMessage | MessageThread, account_id: str) -> tuple[str, str]:
    """Return the conversation's id, and its other user's: "" if there is no single one."""
    if isinstance(to, DirectMessage):
        return to.conversation_id, "" if to.sent_by_me else to.sender.id
    thread = getattr(to, "dm_conversation_id", _NO_THREAD)
    if thread is _NO_THREAD:
        raise TypeError(
            "act.message(to, ...) writes to a DirectMessage, a User or a Conversation, not "
            f"{named(to)}; reader.user(name) looks a user up."
        )
    if thread is None:
        raise TypeError("act.message(...): a conversation of posts takes no direct message.")
    others = [user_id for user_id in thread.split("-") if user_id != account_id]
    return thread, others[0] if "-" in thread and len(others) == 1 else ""
