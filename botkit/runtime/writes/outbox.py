"""Sends durable steps: each is in the journal before its bytes leave and after its answer.

`perform` returns the result of the step, of now or of an earlier run. It raises the error of a
final refusal, and `Parked` if the write has to wait.
Source: docs/explanation/requirements.md, "Writes".
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

import msgspec
import structlog

from botkit.errors import (
    AccessDenied,
    AuthError,
    BotkitError,
    NotFound,
    Parked,
    PaymentRequired,
    PolicyError,
    RateLimited,
    StateError,
    Unauthorized,
)
from botkit.model.bookings import Booking
from botkit.model.messages import Message
from botkit.model.posts import Post
from botkit.model.records import StoredWrite, WriteMove, WritePolicy, WriteState
from botkit.protocol.api import rate_limits
from botkit.runtime.writes.checks.answer_limit import ANSWERS_WITHIN
from botkit.runtime.writes.steps import GuardPass, Step, Wrote
from botkit.runtime.writes.write_outcomes import (
    DUPLICATE,
    MESSAGE_OPERATIONS,
    REPEATABLE,
    CallResult,
    Meaning,
    is_found_by_reading,
    made_by,
    made_up,
    meaning_of,
    rebuild_refusal,
    write_refusal,
)
from botkit.waiting.backoff import JITTER, Ladder
from botkit.waiting.store_outage import StoreOutage

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime
    from typing import Any

    from botkit.model.records import Fence
    from botkit.ports import Clock, Entropy, Sender, Store
    from botkit.runtime.writes.checks.guard import Guard
    from botkit.runtime.writes.lookups.own_messages import OwnMessages
    from botkit.runtime.writes.lookups.own_posts import OwnPosts
    from botkit.runtime.writes.reconcile import Reconciler

__all__ = ["Outbox"]

_log = structlog.get_logger(__name__)

_FIRST_READ_S = 5.0
_RECHECK_S = 30.0
"""How long an event that waits for a write sleeps at most before it looks again."""
_RETRY = Ladder.doubling(1.0, cap_s=60.0, jitter=JITTER)
_HOLD_S = 3600.0

_Made = Post | Message | CallResult


class Outbox:
    """Sends the steps of handlers, each at most once for all that can be known.

    Args:
        spawn: Starts a task that outlives the handler: a handler's timeout must not cut a write
            between its bytes and its answer. The task never raises, except when it is cancelled.
        fence: Returns the fence of the runner's lease at the time of the call.
        on_wrote: Called with each write that X confirmed.
        dry_run: Stop before the request; record what would have been sent.
    """

    def __init__(
        self,
        *,
        store: Store,
        sender: Sender,
        guard: Guard,
        reconciler: Reconciler,
        own_posts: OwnPosts,
        clock: Clock,
        entropy: Entropy,
        fence: Callable[[], Fence],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        on_wrote: Callable[[Wrote], None] | None = None,
        dry_run: bool = False,
    ) -> None:
        self._store = store
        self._sender = sender
        self._guard = guard
        self._reconciler = reconciler
        self.own_posts = own_posts
        self._clock = clock
        self._entropy = entropy
        self._fence = fence
        self._spawn = spawn
        self._on_wrote = on_wrote
        self._dry_run = dry_run
        # X's answer does not come again: it is stored, however long that takes.
        self._outage = StoreOutage(_log, "answer to a write", clock=clock)
        self._sends: dict[str, asyncio.Future[StoredWrite | BaseException]] = {}

    async def perform(self, step: Step) -> StoredWrite:
        """Return the CONFIRMED write of this step, sent now or in an earlier run.

        Cancelling the handler does not interrupt it; when the handler runs again, it gets the
        same write.

        Raises:
            PolicyError: A rule forbids the step, now or in an earlier run; nothing was sent.
            AccessDenied: The credentials do not allow the step; nothing was sent.
            ResponseError: X refused the write for good, now or in an earlier run.
            Parked: The step has to wait; `write/ID` while its outcome is being settled, `timeline`
                until X has shown what the account wrote without this store.
        """
        if self._dry_run:
            return await self._pretend(step)
        if step.id not in self._sends:
            known = await self._store.writes.get(step.id)
            if known is not None and known.state is WriteState.ABSENT:
                await self._again(known, known.reason)
            elif known is not None and known.state is not WriteState.QUEUED:
                return await self._known(known)
            elif is_found_by_reading(step.operation):
                is_message = step.operation in MESSAGE_OPERATIONS
                own = self.own_posts.messages if is_message else self.own_posts
                await own.ready(step.account_id)
                found = await self._found(own, step)
                if found is not None:
                    return await self._known(found)
            verdict = await self._allowed(step)
            if step.id not in self._sends:
                self._start_send(step, verdict)
        outcome = await asyncio.shield(self._sends[step.id])
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def _found(self, own: OwnPosts | OwnMessages, step: Step) -> StoredWrite | None:
        try:
            return await own.found(step)
        except PolicyError as no:
            await self._refuse(step, no)
            raise

    async def recover(self) -> int:
        """Make uncertain, at start, each write that was being sent at the end; return how many."""
        now = self._clock.now()
        answers = await self._store.writes.answers(since=now - ANSWERS_WITHIN)
        self._guard.answer_limit.restore(answers)
        rows = await self._store.writes.recover(now=now, fence=self._fence())
        for row in rows:
            if row.attempts and row.attempts[-1].ended == now:  # the others were so before
                _log.warning("write.uncertain", write=row.id, reason=row.reason)
                self._guard.budget.charge(row.account_id, row.cost_usd)
        for row in await self._store.writes.listing(states=[WriteState.ABSENT], limit=10_000):
            await self._again(row, row.reason)
        await self._guard.budget.flush()
        self._reconciler.wake()
        return len(rows)

    async def _known(self, write: StoredWrite) -> StoredWrite:
        match write.state:
            case WriteState.CONFIRMED:
                return write
            case WriteState.REJECTED | WriteState.EXPIRED:
                raise rebuild_refusal(write.reason)
            case WriteState.UNRESOLVED:
                raise Parked(_waiting(write.id), until=self._in(_HOLD_S))
            case WriteState.SENDING if write.id not in self._sends:
                await self._doubt(write, "its answer could not be recorded")
            case _:
                pass
        until = self._in(_RECHECK_S)
        if write.next_read_at is not None:
            until = max(until, write.next_read_at + timedelta(seconds=_FIRST_READ_S))
        raise Parked(_waiting(write.id), until=until)

    async def _allowed(self, step: Step) -> GuardPass:
        """Return the guard's pass; record a final refusal, so that a second run gets the same."""
        try:
            return await self._guard.check(step)
        except (PolicyError, AccessDenied) as no:
            await self._refuse(step, no)
            raise

    async def _refuse(self, step: Step, no: BotkitError) -> None:
        _log.warning("write.refused", write=step.id, why=str(no))
        await self._store.writes.put_aside(
            step.to_write(),
            WriteState.REJECTED,
            reason=write_refusal(no),
            now=self._clock.now(),
            fence=self._fence(),
        )

    def _start_send(self, step: Step, verdict: GuardPass) -> None:
        self._sends[step.id] = asyncio.get_running_loop().create_future()
        send = self._run_send(step, verdict)
        try:
            self._spawn(send)
        except BaseException:
            send.close()
            del self._sends[step.id]
            raise

    async def _run_send(self, step: Step, verdict: GuardPass) -> None:
        """Send, and pass the outcome, also an error, to the handlers that await the step."""
        try:
            outcome: StoredWrite | BaseException = await self._send(step, verdict)
        except asyncio.CancelledError:
            self._sends.pop(step.id).cancel()
            raise
        except BaseException as error:  # noqa: BLE001 - it is raised where the step is awaited
            outcome = error
        self._sends.pop(step.id).set_result(outcome)

    async def _send(self, step: Step, verdict: GuardPass) -> StoredWrite:
        started = self._clock.monotonic()
        budget = self._guard.budget
        async with budget.reserved(step.account_id, verdict.cost_usd):
            write = await self._begin(step, verdict)
            if not write.fresh:
                return await self._known(write)
            self._guard.answer_limit.note(step)
            answer = await self._ask(step, write, verdict)
            if not isinstance(answer, BaseException) or _may_cost(answer):
                budget.charge(step.account_id, verdict.cost_usd)
        if isinstance(answer, NotFound) and step.operation == "deletePosts":
            answer = Post(id=step.target, text="")
        if isinstance(answer, BaseException):
            await self._not_confirmed(step, write, answer)
        return await self._confirmed(step, write, answer, verdict, started)

    async def _begin(self, step: Step, verdict: GuardPass) -> StoredWrite:
        """Journal it as SENDING, unless another step of the account came first."""
        try:
            async with self._guard.without_rivals(step):
                return await self._store.writes.begin(
                    step.to_write(verdict.cost_usd), now=self._clock.now(), fence=self._fence()
                )
        except PolicyError as no:
            await self._refuse(step, no)
            raise

    async def _ask(
        self, step: Step, write: StoredWrite, verdict: GuardPass
    ) -> _Made | BotkitError | Parked:
        """Send the request; return, not raise, an error that keeps it from being confirmed.

        Right before the bytes leave, the sender looks at the credential once more.
        """
        try:
            self._guard.health.check_again(step.account_id, stops=verdict.stops)
            response = await self._sender.send(step.request, account_id=step.account_id)
            return made_by(step, response)
        except (BotkitError, Parked) as no:
            return no
        except BaseException:
            # Cut off, or a fault of our own: the bytes may have left. What cannot be written
            # down now is found at the next start, or when the step is asked for again.
            with contextlib.suppress(StateError):
                cost = Booking(
                    account_id=step.account_id,
                    at=self._clock.now(),
                    writes_usd=verdict.cost_usd,
                )
                await self._doubt(write, "cut off while it was being sent", cost)
            raise

    async def _confirmed(
        self, step: Step, write: StoredWrite, made: _Made, verdict: GuardPass, started: float
    ) -> StoredWrite:
        result = msgspec.json.encode(made)
        done = WriteMove(to=WriteState.CONFIRMED, result_id=made.id, result=result)
        await self._outage.outlast(lambda: self._move(write, done, fenced=False))
        took_s = self._clock.monotonic() - started
        _log.info(
            "write.confirmed",
            write=write.id,
            operation=step.operation,
            result=made.id,
            cost_usd=str(verdict.cost_usd),
            took_ms=round(took_s * 1000),
        )
        if step.operation == "createPosts":
            self.own_posts.wrote(step.account_id, step.target, made.id)
        if self._guard.health.works(step.account_id):
            await self._reconciler.unpark("account", account_id=step.account_id)
        if self._on_wrote is not None:
            self._on_wrote(Wrote(step=step, verdict=verdict, result_id=made.id, took_s=took_s))
        return msgspec.structs.replace(
            write, state=WriteState.CONFIRMED, result_id=made.id, result=result, fresh=False
        )

    async def _not_confirmed(
        self, step: Step, write: StoredWrite, no: BotkitError | Parked
    ) -> NoReturn:
        """Record what the error means, then raise the one that the handler shall see."""
        if isinstance(no, Parked):
            await self._again(write, f"waits for {no.waiting_for}")
            raise no
        meaning = meaning_of(no)
        if meaning is Meaning.UNKNOWN and _may_repeat(step):
            meaning = Meaning.NOT_SENT
        _log.warning("write.not_confirmed", write=write.id, meaning=meaning.value, why=str(no))
        why = f"{type(no).__name__}: {no}"
        match meaning:
            case Meaning.REFUSED:
                await self._reject(write, no)
                raise no
            case Meaning.HELD:
                parked = self._guard.health.stop(step.account_id, str(no))
                await self._again(write, why)
                raise parked from no
            case Meaning.NOT_SENT:
                await self._again(write, why)
                raise self._later(write, no) from no
            case _:  # unknown, or a duplicate that may be ours
                reason = DUPLICATE if meaning is Meaning.DUPLICATE else why
                await self._outage.outlast(lambda: self._doubt(write, reason))
                raise Parked(_waiting(write.id), until=self._in(_RECHECK_S)) from no

    def _later(self, write: StoredWrite, no: BotkitError) -> Parked:
        """Return what the event waits for after a write that surely was not carried out."""
        if isinstance(no, PaymentRequired):
            return Parked("credits")
        if isinstance(no, Unauthorized | AuthError):
            return Parked("login")
        if isinstance(no, RateLimited):
            if no.retry_at is not None:
                return Parked("rate", until=no.retry_at)
            times = 1 + _in_a_row(write, "RateLimited")
            return Parked("rate", until=self._clock.now() + rate_limits.penalty(times))
        wait_s = _RETRY.wait_s(len(write.attempts) - 1, self._entropy)
        return Parked("network", until=self._in(wait_s))

    async def _reject(self, write: StoredWrite, no: BotkitError) -> None:
        refused = WriteMove(to=WriteState.REJECTED, reason=write_refusal(no))
        await self._outage.outlast(lambda: self._move(write, refused))

    async def _doubt(self, write: StoredWrite, reason: str, *own: Booking) -> None:
        now = self._clock.now()
        next_read_at = now + timedelta(seconds=_FIRST_READ_S)
        doubt = WriteMove(to=WriteState.UNCERTAIN, reason=reason, next_read_at=next_read_at)
        await self._move(write, doubt, *own)
        self._reconciler.wake()

    async def _again(self, write: StoredWrite, reason: str) -> None:
        again = WriteMove(to=WriteState.QUEUED, reason=reason)
        await self._outage.outlast(lambda: self._move(write, again))

    async def _move(
        self, write: StoredWrite, move: WriteMove, *own: Booking, fenced: bool = True
    ) -> None:
        """Store the move, and the waiting bookings, in one transaction."""
        with self._guard.budget.join_commit(*own) as bookings:
            await self._store.writes.move(
                write.id,
                move,
                now=self._clock.now(),
                bookings=bookings,
                fence=self._fence() if fenced else None,
            )

    async def _pretend(self, step: Step) -> StoredWrite:
        """Do everything but the request, for a dry run."""
        verdict = await self._guard.check(step)
        row = step.to_write(verdict.cost_usd, prefix="dry-run/")
        await self._store.writes.put_aside(
            row,
            WriteState.EXPIRED,
            reason="dry run: not sent",
            now=self._clock.now(),
            fence=self._fence(),
        )
        made = made_up(step)
        _log.info("write.dry_run", write=step.id, operation=step.operation)
        write = await self._store.writes.get(row.id)
        assert write is not None
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
    return step.operation in REPEATABLE or step.policy is WritePolicy.RESEND


def _may_cost(no: BotkitError | Parked) -> bool:
    """Return True if X may have carried it out: then it costs."""
    return isinstance(no, BotkitError) and meaning_of(no) is Meaning.UNKNOWN


def _in_a_row(write: StoredWrite, outcome: str) -> int:
    """Return how many sendings right before this one ended like that."""
    count = 0
    for attempt in reversed(write.attempts[:-1]):
        if not attempt.outcome.startswith(outcome):
            break
        count += 1
    return count
