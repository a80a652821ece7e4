"""The base of the streams: connect, read line by line, and connect again by X's table.

Each network read is committed to the inbox before the next. A disconnect opens a gap.
Source: X API docs, "Handling disconnections", "Consuming streaming data".
"""

from __future__ import annotations

import abc
import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, TypedDict

import structlog

from botkit.errors import (
    BotkitError,
    Forbidden,
    MalformedAnswer,
    Parked,
    RateLimited,
    ServerError,
    StoreUnavailable,
    StreamClosed,
    TransportError,
    Unauthorized,
)
from botkit.model.hearing import GapRow
from botkit.protocol.events.stream_lines import LineSplitter, StreamBackoff, Trouble
from botkit.protocol.rules.pricing import charge_of_event
from botkit.sources.reporting import words_of
from botkit.waiting.backoff import JITTER, Backoff, Ladder
from botkit.waiting.events import event_or_timeout, seconds_until
from botkit.waiting.status_codes import code_of
from botkit.waiting.store_outage import EVERY_SECOND, StoreOutage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from typing import NotRequired, Unpack

    from botkit.model.events import XEvent
    from botkit.ports import Clock, Entropy, HttpStream, Intake, OnSpend, Sender
    from botkit.protocol.api.requests import Request
    from botkit.sources.gaps import Gaps
    from botkit.sources.reporting import StatusReporter

__all__ = ["CONFIG_RETRY_S", "LineStream", "StreamPorts"]

_log = structlog.get_logger(__name__)

_SILENCE_S = 30.0
"""X sends a keep-alive every 20 s; this adds slack for jitter."""
_PORTION = 128
"""So many lines are recorded at once: as many handlers start by them, as there are slots."""
_FRESH_S = 1.0
"""Bytes that came after such a wait were in no buffer: X sent them just now."""
_PASSING = (StreamClosed, RateLimited, ServerError, MalformedAnswer, TransportError)
"""The errors that pass by themselves: the stream waits as X asks, and no call shortens that."""
_REFUSED = Ladder.doubling(5.0, cap_s=60.0, jitter=JITTER)
"""The waits after a refusal: X has refused good credentials for a while, and retries are free."""
CONFIG_RETRY_S = 300.0
"""The time between two tries while only a person can mend the cause."""


class StreamPorts(TypedDict):
    """What each stream works with.

    Attributes:
        late: The longest time that X takes to deliver an event.
        on_connected: Called at each (re)connect, so that the polls read missed events.
        on_lost: Called when the stream cannot be opened, so that the polls read in its place.
        on_spend: Called with each charge for a delivered event.
    """

    sender: Sender
    intake: Intake
    clock: Clock
    entropy: Entropy
    report: StatusReporter
    gaps: Gaps
    late: timedelta
    on_connected: Callable[[], None]
    on_lost: NotRequired[Callable[[], None]]
    on_spend: NotRequired[OnSpend]


class LineStream(abc.ABC):
    """Hear one of X's streams with an app's bearer.

    Args:
        source: The name of the stream's kind, for the inbox and gaps.
        ports: What it works with, see `StreamPorts`.
    """

    def __init__(self, app: str, source: str, **ports: Unpack[StreamPorts]) -> None:
        self._app = app
        self._source = source
        self._sender = ports["sender"]
        self._intake = ports["intake"]
        self._clock = ports["clock"]
        self._entropy = ports["entropy"]
        self._report = ports["report"]
        self._gaps = ports["gaps"]
        self._late = ports["late"]
        self._on_connected = ports["on_connected"]
        self._on_lost = ports.get("on_lost")
        self._is_lost = False
        self._is_open = False
        self._on_spend = ports.get("on_spend")
        self._backoff = StreamBackoff()
        self._refused = Backoff(_REFUSED, self._entropy)
        self._poked = asyncio.Event()
        self._outage = StoreOutage(
            _log, "events of the stream", clock=self._clock, ladder=EVERY_SECOND
        )
        self._heard_to: datetime | None = None
        self._opened_at: datetime | None = None

    @property
    def name(self) -> str:
        """Return `<source>/<app>`."""
        return f"{self._source}/{self._app}"

    @abc.abstractmethod
    async def _prepare(self) -> None:
        """Do what must be done at X before the stream is opened."""

    @abc.abstractmethod
    def _request(self) -> Request:
        """Return the request that opens the stream."""

    @abc.abstractmethod
    def _hearers(self) -> Iterable[str]:
        """Return the ids of the accounts that hear by the stream; the first one's app opens it."""

    def _gap_sources(self) -> Iterable[str]:
        """Return the names under which the gaps of the stream are kept."""
        return (self._source,)

    @abc.abstractmethod
    def _say_open(self) -> None:
        """Report the open stream."""

    @abc.abstractmethod
    async def _take_portion(self, lines: Sequence[bytes]) -> StreamClosed | None:
        """Commit what some lines bring; return the end that one of them announces."""

    @abc.abstractmethod
    async def _between_reads(self) -> None:
        """Do what has to be done while the stream is open."""

    async def run(self) -> None:
        """Subscribe, connect, read, and connect again, until cancelled."""
        while True:
            self._poked.clear()
            try:
                await self._prepare()
                await self._read()
            except (BotkitError, Parked) as problem:
                self._is_open = False
                wait_s = self._wait_after(problem)
                _log.warning(
                    "stream.disconnected",
                    app=self._app,
                    stream=self._source,
                    why=str(problem),
                    wait_s=wait_s,
                )
                self._report(
                    self.name, "waiting", words_of(problem), {"code": str(code_of(problem))}
                )
                self._note_loss(problem)
                if isinstance(problem, _PASSING):
                    await self._clock.sleep(wait_s)
                else:
                    await event_or_timeout(self._poked, wait_s, clock=self._clock)

    def _note_loss(self, problem: BotkitError | Parked) -> None:
        """Make the polls read, once, when the stream cannot be opened or X no longer answers."""
        if not isinstance(problem, StreamClosed) and not self._is_lost:
            self._is_lost = True
            if self._on_lost is not None:
                self._on_lost()

    def _note_open(self) -> None:
        """Note that the stream hears, and make the polls read what it missed."""
        self._refused.reset()
        self._is_lost = False
        self._is_open = True
        self._say_open()
        self._on_connected()

    async def _read(self) -> None:
        hearers = tuple(self._hearers())
        splitter = LineSplitter()
        async with self._sender.stream(self._request(), account_id=hearers[0]) as stream:
            now = self._clock.now()
            for source in self._gap_sources():
                await self._gaps.heard_again(hearers, source=source, now=now)
            self._opened_at = now
            self._note_heard(now)
            _log.info("stream.connected", app=self._app, stream=self._source)
            self._note_open()
            try:
                await self._lines(stream, splitter)
            except Exception as problem:  # at a stop, the polls' checkpoints suffice
                await self._open_gaps(str(problem))
                raise

    async def _lines(self, stream: HttpStream, splitter: LineSplitter) -> None:
        chunks = stream.chunks()
        connected_s = self._clock.monotonic()
        while True:
            waited_from_s = self._clock.monotonic()
            try:
                async with self._clock.timeout(_SILENCE_S):
                    chunk = await anext(chunks)
            except TimeoutError:
                raise TransportError(  # X is away, and not this stream alone: the polls look too
                    f"The {self._source} stream is dead: nothing came for {_SILENCE_S:.0f} s.",
                    request=self._request().name,
                    kind="timeout",
                ) from None
            except StopAsyncIteration:
                raise self._closed("X closed the stream") from None
            if self._clock.monotonic() - connected_s >= StreamBackoff.SETTLED_S:
                self._backoff.reset()
            skipped = splitter.skipped
            lines = [line for line in splitter.feed(chunk) if line]
            if splitter.skipped != skipped:
                _log.error("stream_line.too_long", app=self._app)
            if lines:
                await self._take(lines)
            elif self._clock.monotonic() - waited_from_s >= _FRESH_S:
                self._note_heard(self._clock.now())
            await self._between_reads()

    async def _take(self, lines: Sequence[bytes]) -> None:
        """Commit what one network read brought."""
        closed: StreamClosed | None = None
        for start in range(0, len(lines), _PORTION):
            closed = await self._take_portion(lines[start : start + _PORTION]) or closed
        if closed is not None:
            raise closed

    def _book(self, account_id: str, events: Iterable[XEvent]) -> None:
        """Report what X charges for delivered events."""
        if self._on_spend is not None:
            for event in events:
                self._on_spend(account_id, charge_of_event(event), app=self._app)

    async def _record(self, account_id: str, events: Sequence[XEvent]) -> None:
        """Try until the store takes it: what was read from the socket must not be lost."""
        is_full = False
        while True:
            try:
                await self._intake.record(events, account_id=account_id, source=self._source)
            except StoreUnavailable as error:
                is_full = True
                self._report(self.name, "waiting", str(error), {"code": str(error.exit_code)})
                await self._outage.wait(error, count=len(events))
            else:
                self._outage.end()
                self._note_heard(max(event.at for event in events))
                if is_full:
                    self._say_open()
                return

    def _note_heard(self, to: datetime) -> None:
        self._heard_to = to
        self._report.heard(self.name, to)

    def _closed(self, reason: str) -> StreamClosed:
        return StreamClosed(
            f"The {self._source} stream ended: {reason}.",
            request=self._request().name,
            reason=reason,
            reconnect_after=timedelta(0),
        )

    def _wait_after(self, problem: BaseException) -> float:
        """Return the seconds to the next try: X's reconnect table, or a pause that `poke` ends."""
        jitter = self._entropy.uniform(0.0, 1.0)
        if isinstance(problem, Parked) and problem.until is not None:
            return seconds_until(problem.until, clock=self._clock, least_s=1.0)
        match problem:
            case StreamClosed():
                least_s = problem.reconnect_after.total_seconds()
                return max(least_s, self._backoff.wait_s(Trouble.CLEAN, jitter=jitter))
            case RateLimited():
                return self._backoff.wait_s(Trouble.RATE, jitter=jitter)
            case ServerError() | MalformedAnswer():
                return self._backoff.wait_s(Trouble.HTTP, jitter=jitter)
            case TransportError():
                return self._backoff.wait_s(Trouble.NETWORK, jitter=jitter)
            case Unauthorized() | Forbidden():
                return self._refused.next_s()
            case _:
                return CONFIG_RETRY_S * (0.9 + 0.2 * jitter)

    async def _open_gaps(self, why: str, *, cause: str = "disconnected") -> None:
        """Open gaps that begin at the last event or the last sign of life of the stream.

        X may deliver an event some time after it happened, so a gap begins that much earlier.
        """
        now = self._clock.now()
        since = min(self._heard_to or now, now) - self._late
        try:
            for account_id in tuple(self._hearers()):
                for source in self._gap_sources():
                    await self._gaps.open(
                        GapRow(
                            source=source,
                            account_id=account_id,
                            since=since,
                            cause=cause,
                            reason=why,
                        )
                    )
        except BotkitError as error:
            _log.warning("gap.not_recorded", why=str(error))
