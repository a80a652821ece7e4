"""Durable steps: a write is in the journal before its bytes leave and after its answer came.

`perform` gives what the step returned, now or in an earlier run; it raises when the answer is a
final no, and `Parked` when the write has to wait. Source: reliability, "Writes".
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import structlog

from botkit.errors import (
    AccessDenied,
    BotkitError,
    MalformedAnswer,
    Parked,
    RateLimited,
)
from botkit.model.messages import Message
from botkit.model.posts import Post
from botkit.model.records import StoredWrite, WritePolicy, WriteState
from botkit.runtime.outcomes import (
    DUPLICATE,
    Meaning,
    meaning_of,
    rebuild_refusal,
    write_refusal,
)
from botkit.runtime.steps import Step, Verdict, Wrote

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime
    from typing import Any

    from botkit.model.records import Fence
    from botkit.ports import Clock, Entropy, Sender, Store
    from botkit.protocol.responses import Response
    from botkit.runtime.guard import Guard
    from botkit.runtime.reconcile import Reconciler

__all__ = ["Outbox"]

_log = structlog.get_logger("botkit.outbox")

_FIRST_READ_S = 5.0
_RECHECK_S = 30.0
"""How long an event that waits for a write sleeps at most before it looks again."""
_RETRY_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
_HOLD_S = 3600.0
_SET_LIKE = frozenset({"deletePosts", "hidePostsReply", "repostPost", "unrepostPost"})
"""Carried out twice is carried out once: these are sent again without reading."""


class Outbox:
    """Sends the steps of handlers, each at most once for all that can be known.

    Args:
        spawn: Starts a task that outlives the handler: a handler's timeout must not cut a write
            between its bytes and its answer.
        fence: Gives the runner's lease at the time of the call.
        on_wrote: Told of each write that X confirmed.
        dry_run: Stop before the request; record what would have been sent.
    """

    def __init__(
        self,
        *,
        store: Store,
        sender: Sender,
        guard: Guard,
        reconciler: Reconciler,
        clock: Clock,
        entropy: Entropy,
        fence: Callable[[], Fence],
        spawn: Callable[[Coroutine[Any, Any, StoredWrite]], asyncio.Task[StoredWrite]],
        on_wrote: Callable[[Wrote], None] | None = None,
        dry_run: bool = False,
    ) -> None:
        self._store = store
        self._sender = sender
        self._guard = guard
        self._reconciler = reconciler
        self._clock = clock
        self._entropy = entropy
        self._fence = fence
        self._spawn = spawn
        self._on_wrote = on_wrote
        self._dry_run = dry_run
        self._locks: dict[str, asyncio.Lock] = {}

    async def perform(self, step: Step) -> StoredWrite:
        """Give the write of this step, CONFIRMED: sent now, or in an earlier run.

        Raises:
            PolicyError: A rule forbids it; nothing was sent.
            AccessDenied: The credentials do not allow it; nothing was sent.
            ResponseError: X refused it for good, now or in an earlier run.
            Parked: It has to wait; `write/ID` while its outcome is being settled.
        """
        if self._dry_run:
            return await self._pretend(step)
        known = await self._store.writes.get(step.id)
        if known is not None and known.state is not WriteState.QUEUED:
            return self._known(known)
        verdict = await self._guard.check(step)
        return await asyncio.shield(self._spawn(self._send(step, verdict)))

    async def recover(self) -> int:
        """At start: what was being sent when the process ended is uncertain; gives how many."""
        rows = await self._store.writes.recover(
            now=self._clock.now(), fence=self._fence()
        )
        for row in rows:
            _log.warning("write uncertain", write=row.id, reason=row.reason)
        self._reconciler.wake()
        return len(rows)

    def _known(self, write: StoredWrite) -> StoredWrite:
        match write.state:
            case WriteState.CONFIRMED:
                return write
            case WriteState.REJECTED | WriteState.EXPIRED:
                raise rebuild_refusal(write.reason)
            case WriteState.UNRESOLVED:
                raise Parked(_waiting(write.id), until=self._in(_HOLD_S))
            case _:
                raise Parked(_waiting(write.id), until=self._in(_RECHECK_S))

    async def _send(self, step: Step, verdict: Verdict) -> StoredWrite:
        started = self._clock.monotonic()
        # Between the last look and the journal no other step of the account may come: two replies
        # to one post that are sent side by side would each see that there is none yet.
        async with self._locks.setdefault(step.account_id, asyncio.Lock()):
            await self._guard.look_again(step)
            write = await self._store.writes.begin(
                step.to_write(verdict.cost_usd),
                now=self._clock.now(),
                fence=self._fence(),
            )
        if not write.fresh:
            return self._known(write)
        try:
            response = await self._sender.send(step.request, account_id=step.account_id)
            made = _made(step, response)
        except Parked as parked:
            await self._again(write, f"waits for {parked.waiting_for}")
            raise
        except BotkitError as error:
            return await self._failed(step, write, error)
        await self._store.writes.confirm(
            write.id,
            result_id=made.id,
            result=msgspec.json.encode(made),
            now=self._clock.now(),
            fence=None,
        )
        took_s = self._clock.monotonic() - started
        _log.info(
            "write confirmed",
            write=write.id,
            operation=step.operation,
            result=made.id,
            cost_usd=str(verdict.cost_usd),
            took_ms=round(took_s * 1000),
        )
        if self._on_wrote is not None:
            self._on_wrote(
                Wrote(step=step, verdict=verdict, result_id=made.id, took_s=took_s)
            )
        confirmed = await self._store.writes.get(write.id)
        assert confirmed is not None
        return confirmed

    async def _failed(
        self, step: Step, write: StoredWrite, error: BotkitError
    ) -> StoredWrite:
        """Record what the error means, then raise what the handler is to see."""
        meaning = meaning_of(error)
        _log.warning(
            "write not confirmed", write=write.id, meaning=meaning.value, why=str(error)
        )
        if meaning is Meaning.UNKNOWN and _may_repeat(step):
            meaning = Meaning.NOT_SENT
        match meaning:
            case Meaning.REFUSED:
                await self._store.writes.reject(
                    write.id,
                    reason=write_refusal(error),
                    now=self._clock.now(),
                    fence=None,
                )
                raise error
            case Meaning.UNKNOWN:
                await self._doubt(write, f"{type(error).__name__}: {error}")
                raise Parked(_waiting(write.id), until=self._in(_RECHECK_S)) from error
            case Meaning.DUPLICATE:
                await self._doubt(write, DUPLICATE)
                raise Parked(_waiting(write.id), until=self._in(_RECHECK_S)) from error
            case Meaning.HELD:
                await self._again(write, str(error))
                raise Parked("account", until=self._in(_HOLD_S)) from error
            case Meaning.NOT_SENT:
                await self._again(write, f"{type(error).__name__}: {error}")
                raise self._later(write, error) from error

    def _later(self, write: StoredWrite, error: BotkitError) -> Parked:
        if isinstance(error, RateLimited) and error.retry_at is not None:
            return Parked("rate", until=error.retry_at)
        if isinstance(error, AccessDenied):  # pragma: no cover - classified as refused
            raise error
        tries = min(len(write.attempts), len(_RETRY_S)) - 1
        wait_s = _RETRY_S[max(tries, 0)] * self._entropy.uniform(0.75, 1.25)
        return Parked("network", until=self._in(wait_s))

    async def _doubt(self, write: StoredWrite, reason: str) -> None:
        now = self._clock.now()
        await self._store.writes.uncertain(
            write.id,
            reason=reason,
            now=now,
            next_read_at=now + timedelta(seconds=_FIRST_READ_S),
            fence=self._fence(),
        )
        self._reconciler.wake()

    async def _again(self, write: StoredWrite, reason: str) -> None:
        await self._store.writes.requeue(
            write.id, reason=reason, now=self._clock.now(), fence=None
        )

    async def _pretend(self, step: Step) -> StoredWrite:
        """A dry run: everything but the request."""
        verdict = await self._guard.check(step)
        row = step.to_write(verdict.cost_usd, prefix="dry-run/")
        now = self._clock.now()
        write = await self._store.writes.begin(row, now=now, fence=self._fence())
        await self._store.writes.set_state(
            write.id, WriteState.EXPIRED, reason="dry run: not sent", now=now
        )
        made = _made_up(step)
        _log.info("dry run: would have sent", write=step.id, operation=step.operation)
        return msgspec.structs.replace(
            write,
            state=WriteState.CONFIRMED,
            result_id=made.id,
            result=msgspec.json.encode(made),
        )

    def _in(self, seconds: float) -> datetime:
        return self._clock.now() + timedelta(seconds=seconds)


def _waiting(write_id: str) -> str:
    return f"write/{write_id}"


def _may_repeat(step: Step) -> bool:
    return step.operation in _SET_LIKE or step.policy is WritePolicy.RESEND


def _made(step: Step, response: Response) -> Post | Message:
    """What X says that it made; a success without an id is no success that can be trusted."""
    data = response.data if isinstance(response.data, dict) else {}
    if step.capability == "message":
        message_id, conversation_id = (
            data.get("dm_event_id"),
            data.get("dm_conversation_id"),
        )
        if message_id:
            return Message(
                id=str(message_id),
                conversation_id=str(conversation_id or ""),
                text=step.text,
                sender_id=step.account_id,
            )
    elif step.operation in _SET_LIKE:
        return Post(id=step.target, text="")
    elif data.get("id"):
        return _own_post(step, str(data["id"]), str(data.get("text", step.text)))
    raise MalformedAnswer(
        f"{step.request.name} was answered {response.status} without the id of what it made.",
        request=step.request.name,
        status=response.status,
    )


def _made_up(step: Step) -> Post | Message:
    if step.capability == "message":
        return Message(
            id="0", conversation_id="0", text=step.text, sender_id=step.account_id
        )
    return _own_post(step, "0", step.text)


def _own_post(step: Step, post_id: str, text: str) -> Post:
    return Post(
        id=post_id,
        text=text,
        author_id=step.account_id,
        in_reply_to_post_id=step.target or None,
    )
