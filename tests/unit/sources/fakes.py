"""A scripted X, and an inbox that remembers: what the sources' tests stand on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botkit.errors import StoreUnavailable
from botkit.model.tokens import CredentialKind
from botkit.protocol.api.responses import Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from botkit.model.events import Event
    from botkit.model.hearing import Checkpoint
    from botkit.ports import HttpStream, Store
    from botkit.protocol.api.requests import Request
    from botkit.sandbox.harness.clock import VirtualClock

Answer = Response | BaseException
Spawn = Callable[[Coroutine[Any, Any, None]], None]
"""Runs a source until the test ends; see the fixture `spawn`."""
_STORED = Path(__file__).parents[2] / "wire" / "stored"


def stored_cursor(source: str) -> str:
    """The cursor of a source, as stores of 2026-11-30 hold it."""
    found: str = json.loads((_STORED / "cursors.json").read_text("utf-8"))[source]
    return found


def page(*posts: Mapping[str, Any], next_token: str | None = None) -> Response:
    """A page of a timeline, newest first."""
    meta: dict[str, Any] = {"result_count": len(posts)}
    if posts:
        meta["newest_id"] = posts[0]["id"]
    if next_token:
        meta["next_token"] = next_token
    users = [{"id": "7", "username": "ada", "name": "Ada"}]
    return Response(status=200, data=list(posts) or None, meta=meta, includes={"users": users})


def mention(post_id: int, text: str = "@greeter hello") -> dict[str, Any]:
    """A post by ada that mentions the account 1."""
    return {
        "id": str(post_id),
        "text": text,
        "author_id": "7",
        "entities": {"mentions": [{"start": 0, "end": 8, "username": "greeter", "id": "1"}]},
        "display_text_range": [0, len(text)],
    }


class FakeSender:
    """A `ports.Sender` that gives what was laid out for it, call by call."""

    def __init__(self) -> None:
        self.calls: list[Request] = []
        self.answers: list[Answer | Callable[[Request], Answer]] = []
        self.streams: list[FakeStream | BaseException] = []

    async def send(self, request: Request, *, account_id: str = "") -> Response:
        """The next answer."""
        assert account_id
        self.calls.append(request)
        answer = self.answers.pop(0)
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def ready(self, request: Request, *, account_id: str = "") -> None:
        """Always."""

    @asynccontextmanager
    async def stream(self, request: Request, *, account_id: str = "") -> AsyncIterator[HttpStream]:
        """The next stream; waits for ever when there is none."""
        self.calls.append(request)
        assert account_id
        if not self.streams:
            await asyncio.Event().wait()
        stream = self.streams.pop(0)
        if isinstance(stream, BaseException):
            raise stream
        yield stream

    async def kinds(self, account_id: str) -> Mapping[CredentialKind, tuple[str, ...]]:
        """An OAuth 2.0 login."""
        del account_id
        return {CredentialKind.OAUTH2: ("tweet.read", "users.read")}


class FakeStream:
    """A `ports.HttpStream`; it stays open and silent after its last chunk unless told to end."""

    status = 200
    headers: Mapping[str, str] = {}

    def __init__(self, *chunks: bytes, ends: bool = False) -> None:
        self._chunks = chunks
        self._ends = ends

    async def read(self) -> bytes:
        """Everything."""
        return b"".join(self._chunks)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Each, then silence or the end."""
        for chunk in self._chunks:
            yield chunk
        if not self._ends:
            await asyncio.Event().wait()


class FakeIntake:
    """A `ports.Intake` that keeps events in a list and checkpoints in the real store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.events: list[Event] = []
        self.failures = 0
        self._keys: set[str] = set()

    async def record(
        self,
        events: Sequence[Event],
        *,
        account_id: str,
        source: str,
        checkpoint: Checkpoint | None = None,
    ) -> int:
        """Keep what is new."""
        del account_id, source
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("full")
        if checkpoint is not None:
            await self._store.progress.set_checkpoint(checkpoint)
        new = [event for event in events if event.key not in self._keys]  # type: ignore[attr-defined]
        self._keys.update(event.key for event in new)  # type: ignore[attr-defined]
        self.events.extend(new)
        return len(new)


class Reports:
    """Takes what sources say."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, str]] = []
        self.codes: dict[str, str] = {}
        self.good_for_s: dict[str, float | None] = {}
        self.heard_to: dict[str, datetime] = {}

    def __call__(
        self,
        part: str,
        state: str,
        detail: str = "",
        data: Mapping[str, str] | None = None,
        *,
        good_for_s: float | None = None,
    ) -> None:
        """Remember it."""
        self.said.append((part, state, detail))
        self.codes[part] = (data or {}).get("code", "")
        self.good_for_s[part] = good_for_s

    def heard(self, part: str, to: datetime) -> None:
        """Remember the last time of each source."""
        self.heard_to[part] = to


class Calm:
    """A store (or a group of it) whose work on its threads holds virtual time still."""

    def __init__(self, inner: Any, clock: VirtualClock) -> None:
        self._inner = inner
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        """A group, or a method that says when it works."""
        value = getattr(self._inner, name)
        if not callable(value):
            return Calm(value, self._clock)

        async def call(*args: Any, **options: Any) -> Any:
            with self._clock.working():
                return await value(*args, **options)

        return call
