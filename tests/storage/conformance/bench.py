"""What the suite's tests share: a clock, made-up rows, and the two fixtures."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from msgspec.structs import replace

from botkit.model.records import (
    CredentialRow,
    DeadLetter,
    InboxItem,
    Intent,
    KeepFor,
    NewEvent,
    NewWrite,
    RunDone,
)
from botkit.model.tokens import CredentialKind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from botkit.model.records import Fence
    from botkit.ports import Clock, Store

    OpenRival = Callable[[], AbstractAsyncContextManager[Store]]

__all__ = [
    "ME",
    "T0",
    "Suite",
    "SuiteClock",
    "credential",
    "done",
    "event",
    "forget",
    "intent",
    "lease",
    "letter",
    "raised",
    "write",
]

E = TypeVar("E", bound=BaseException)

ME = "1999000000000000001"
T0 = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class SuiteClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: datetime = T0) -> None:
        self._now = now

    def now(self) -> datetime:
        """What it shows."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the suite's start time."""
        return (self._now - T0).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Move on by that much at once."""
        self._now += timedelta(seconds=max(seconds, 0))
        await asyncio.tasks.sleep(0)

    @asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncGenerator[None]:
        """Never runs out: this clock stands still."""
        del seconds
        yield

    def move(self, span: timedelta) -> None:
        """Move on, or back."""
        self._now += span


class Suite:
    """The base of the suite's groups."""

    @pytest.fixture
    def clock(self) -> SuiteClock:
        """The clock that every handle of a test is opened with."""
        return SuiteClock()

    @pytest.fixture
    def open_rival(self, clock: Clock) -> OpenRival:
        """Give a function that opens another handle on this test's store."""
        raise NotImplementedError("a backend's test class brings its own open_rival")

    @pytest.fixture
    async def store(self, open_rival: OpenRival) -> AsyncIterator[Store]:
        """The test's store, empty."""
        async with open_rival() as store:
            yield store


async def raised(kind: type[E], awaitable: Awaitable[object]) -> E:
    """The error of that kind that the awaitable raised."""
    with pytest.raises(kind) as caught:
        await awaitable
    return caught.value


async def lease(store: Store, name: str = "runner") -> Fence:
    """Take a lease for a minute."""
    fence = await store.leases.acquire(name, "tester", ttl=timedelta(minutes=1))
    assert fence is not None
    return fence


async def forget(store: Store, **before: datetime) -> Mapping[str, int]:
    """Forget what was over before those times, and nothing else."""
    now = T0 + timedelta(days=3650)
    ages = {name: now - at for name, at in before.items()}
    names = ("events", "deliverable", "dead", "writes", "invitations", "users", "gaps", "ledger")
    never = dict.fromkeys(names, timedelta(days=36500))
    return await store.prune(KeepFor(**(never | ages)), now=now)


def event(key: str = "post/1/1", **fields: Any) -> NewEvent:
    """An event as a source would record it."""
    return replace(
        NewEvent(
            account_id=ME,
            key=key,
            kind="mention",
            lane="conversation/1",
            body=b'{"text": "hello"}',
            at=T0 - timedelta(seconds=3),
            source="activity",
        ),
        **fields,
    )


def done(item: InboxItem | int, **fields: Any) -> RunDone:
    """The end of an event."""
    seq = item if isinstance(item, int) else item.seq
    return replace(RunDone(seq=seq, note="bot.greet"), **fields)


def letter(item: InboxItem, **fields: Any) -> DeadLetter:
    """Why an event is given up."""
    return replace(
        DeadLetter(
            account_id=item.account_id,
            key=item.key,
            kind=item.kind,
            reason="failed",
            error="ValueError: no",
            trace="Traceback ...",
            handler="bot.greet",
            attempts=3,
            at=T0,
        ),
        **fields,
    )


def write(write_id: str = "step/1", **fields: Any) -> NewWrite:
    """A reply about to be sent."""
    return replace(
        NewWrite(
            id=write_id,
            account_id=ME,
            operation="createPosts",
            target="reply/1",
            body=b'{"text": "hi"}',
            event_key="post/1/1",
            handler="bot.greet",
            text="hi",
            text_hash="h1",
            interaction="1",
        ),
        **fields,
    )


def credential(gen: int = 1, **fields: Any) -> CredentialRow:
    """A login as setup would store it."""
    return replace(
        CredentialRow(
            account_id=ME,
            app="default",
            kind=CredentialKind.OAUTH2,
            gen=gen,
            sealed=b"sealed generation %d" % gen,
            user_id=ME,
            username="greeter",
            scopes=("tweet.read", "tweet.write", "users.read", "offline.access"),
            since=T0,
            granted_at=T0,
            access_until=T0 + timedelta(hours=2),
        ),
        **fields,
    )


def intent(intent_id: str = "i1", gen: int = 1, **fields: Any) -> Intent:
    """A refresh about to begin."""
    return replace(
        Intent(
            id=intent_id,
            gen=gen,
            refresh_hash="4f2a",
            owner="host/1",
            boot_id="b1",
            started=T0,
        ),
        **fields,
    )
