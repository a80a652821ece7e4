"""Completes events before a handler sees them: looks up what a delivery lacked.

X's reply and quote deliveries name an author by id only, and some posts a quoted post without its
author. All authors that wait are looked up in one call; when it fails the events wait in the
inbox, which is no failure of a handler.
Source: docs/explanation/requirements.md, "Intake" (Complete).
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog

from botkit.errors import BotkitError, NotFound, Parked, StoreUnavailable
from botkit.model.events import DirectMessage, PostEvent, PostSeen, Quote
from botkit.model.records import DeadLetter, RunDead, RunParked
from botkit.protocol.api.ids import is_id
from botkit.protocol.events.activity import encode_event
from botkit.telemetry.times import rfc3339
from botkit.waiting.backoff import JITTER, Backoff, Ladder
from botkit.waiting.store_outage import EVERY_SECOND, StoreOutage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from botkit.model.events import Event
    from botkit.model.posts import Post
    from botkit.model.records import Fence
    from botkit.model.users import User
    from botkit.ports import Clock, Entropy, Store
    from botkit.runtime.intake.lanes import Job

__all__ = ["Enrichment", "Lookup", "is_incomplete"]

_log = structlog.get_logger(__name__)

_MOST = 100
"""How many users one call may ask for. Source: X API docs, `GET /2/users`."""
_BACKOFF = Ladder(steps_s=(5.0, 15.0, 60.0, 300.0), jitter=JITTER)
_AUTHOR = "author"
_QUOTED = "quoted"
_WHO = frozenset({_AUTHOR, "sender"})
_NEEDED = _WHO | {_QUOTED}


class Lookup(Protocol):
    """Looks things up on X as an account: through limiter, price and cache."""

    async def users(self, ids: Sequence[str], *, account_id: str) -> Mapping[str, User]:
        """Return the users that exist, by id, in one call for up to a hundred."""
        ...

    async def post(self, post_id: str, *, account_id: str) -> Post:
        """Return the post. Raise `NotFound` if it is gone or not visible."""
        ...


class Enrichment:
    """Looks up what events lack and passes the completed events on.

    Args:
        ready: Called with a job whose event is complete now.
        gone: Called with a job that waits in the store now, or was given up.
        later: Called with the time at which an event in the store becomes due.
    """

    def __init__(
        self,
        *,
        lookup: Lookup,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        fence: Callable[[], Fence],
        ready: Callable[[Job], None],
        gone: Callable[[Job], None],
        later: Callable[[datetime], None],
    ) -> None:
        self._lookup = lookup
        self._events = store.events
        self._clock = clock
        self._fence = fence
        self._ready = ready
        self._gone = gone
        self._later = later
        self._waiting: list[Job] = []
        self._backoff = Backoff(_BACKOFF, entropy)
        self._outage = StoreOutage(_log, "look-up of authors", clock=clock, ladder=EVERY_SECOND)
        self._woken = asyncio.Event()

    def add(self, job: Job) -> None:
        """Look up what this event lacks."""
        self._waiting.append(job)
        self._woken.set()

    async def run(self) -> None:
        """Look up what is asked for, a batch at a time, until cancelled."""
        while True:
            self._woken.clear()
            if not self._waiting:
                await self._woken.wait()
                continue
            batch = self._batch()
            try:
                await self._complete(batch)
            except StoreUnavailable as error:
                self._waiting = batch + self._waiting
                await self._outage.wait(error)
            else:
                self._outage.end()

    def _batch(self) -> list[Job]:
        """Return jobs of one account, with as many authors as one call takes."""
        account_id = self._waiting[0].account_id
        ids: set[str] = set()
        batch: list[Job] = []
        rest: list[Job] = []
        for job in self._waiting:
            fits = job.account_id == account_id and len(ids | {_actor(job)}) <= _MOST
            if fits:
                ids.add(_actor(job))
            (batch if fits else rest).append(job)
        self._waiting = rest
        return batch

    async def _complete(self, batch: list[Job]) -> None:
        account_id = batch[0].account_id
        lacking = {_actor(job) for job in batch if _lacks(job, _WHO)}
        ids = sorted(filter(is_id, lacking))
        found: Mapping[str, User] = {}
        quoted: dict[str, Post | None] = {}
        try:
            if ids:
                found = await self._lookup.users(ids, account_id=account_id)
            for job in batch:
                if _lacks(job, {_QUOTED}):
                    post_id = _quoted_id(job)
                    quoted[post_id] = await self._quoted(post_id, account_id)
        except StoreUnavailable:
            raise
        except (BotkitError, Parked) as problem:
            await self._wait(batch, problem)
            return
        self._backoff.reset()
        while batch:
            job = batch[0]
            user = found.get(_actor(job))
            if user is None and _lacks(job, _WHO):
                await self._give_up(job)
            else:
                await self._fill(job, user, quoted.get(_quoted_id(job)))
            batch.pop(0)

    async def _quoted(self, post_id: str, account_id: str) -> Post | None:
        if not is_id(post_id):
            return None
        try:
            return await self._lookup.post(post_id, account_id=account_id)
        except NotFound:
            return None  # nobody's any more, so not the account's

    async def _fill(self, job: Job, user: User | None, quoted: Post | None) -> None:
        event = job.event
        assert event is not None
        if user is not None:
            event = _with_author(event, user)
        if isinstance(event, PostEvent) and _QUOTED in event.missing:
            event = _with_quoted(event, quoted)
        _, body = encode_event(event)
        await self._events.amend(job.seq, body, fence=self._fence())
        job.event = event
        self._ready(job)

    async def _wait(self, batch: list[Job], problem: BaseException) -> None:
        until = self._clock.now() + timedelta(seconds=self._backoff.next_s())
        if isinstance(problem, Parked) and problem.until is not None:
            until = max(until, problem.until)
        _log.warning(
            "authors.not_read",
            events=[job.key for job in batch[:3]],
            count=len(batch),
            why=str(problem),
            until=rfc3339(until),
        )
        while batch:
            parked = RunParked(seq=batch[0].seq, waiting_for=_AUTHOR, until=until)
            await self._events.settle([parked], fence=self._fence())
            self._gone(batch.pop(0))
        self._later(until)

    async def _give_up(self, job: Job) -> None:
        """Bury an event whose author is gone, suspended or not named: it stays incomplete."""
        letter = DeadLetter(
            account_id=job.account_id,
            key=job.key,
            kind=job.kind,
            reason=_AUTHOR,
            error=_why_nobody(_actor(job)),
            trace="",
            handler="",
            attempts=job.attempts,
            at=self._clock.now(),
        )
        await self._events.settle([RunDead(seq=job.seq, letter=letter)], fence=self._fence())
        _log.warning("event.dead_lettered", key=job.key, reason=_AUTHOR, error=letter.error)
        self._gone(job)


def is_incomplete(event: Event) -> bool:
    """Return True if something must be looked up before a handler may see the event."""
    return (
        isinstance(event, (PostEvent, DirectMessage))
        and bool(event.missing)
        and not _NEEDED.isdisjoint(event.missing)
    )


def _lacks(job: Job, parts: Collection[str]) -> bool:
    event = job.event
    return isinstance(event, PostEvent | DirectMessage) and any(
        part in parts for part in event.missing
    )


def _actor(job: Job) -> str:
    event = job.event
    if isinstance(event, DirectMessage):
        return event.sender.id
    return event.author.id if isinstance(event, PostEvent) else ""


def _why_nobody(actor: str) -> str:
    if is_id(actor):
        return f"X does not show user {actor} any more."
    return f"X does not say who wrote it: {actor[:_MOST]!r} is no user's id."


def _quoted_id(job: Job) -> str:
    event = job.event
    return (event.post.quoted_post_id or "") if isinstance(event, PostEvent) else ""


def _with_author(event: Event, user: User) -> Event:
    if isinstance(event, DirectMessage):
        missing = tuple(part for part in event.missing if part not in _WHO)
        return msgspec.structs.replace(event, sender=user, missing=missing)
    assert isinstance(event, PostEvent)
    missing = tuple(part for part in event.missing if part not in _WHO)
    return msgspec.structs.replace(event, author=user, missing=missing)


def _with_quoted(event: PostEvent, quoted: Post | None) -> PostEvent:
    """Set `quotes_me` by the quoted post's author; a `PostSeen` becomes a `Quote`."""
    missing = tuple(part for part in event.missing if part != _QUOTED)
    mine = quoted is not None and quoted.author_id == event.account_id
    event = msgspec.structs.replace(event, missing=missing, quotes_me=mine)
    if mine and type(event) is PostSeen:
        fields = {name: getattr(event, name) for name in event.__struct_fields__}
        return Quote(**fields)
    return event
