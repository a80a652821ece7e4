"""Hear by the activity stream: one connection for each app, for all its accounts.

The stream is read line by line. Each network read is committed to the inbox before the next, and
reconnects follow X's table. A disconnect opens a gap until the next connect; a poll that reads
over the gap closes it.
Source: X API docs, "X Activity API", "Handling disconnections", "Consuming streaming data".
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import structlog

from botkit.errors import (
    AuthError,
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
from botkit.protocol.api import push_requests
from botkit.protocol.events import activity
from botkit.protocol.events.stream_lines import LineSplitter, StreamBackoff, Trouble
from botkit.protocol.rules.pricing import charge_of_event
from botkit.sources.hearing_limit import without_limit
from botkit.sources.reporting import by_cause, words_of
from botkit.waiting import status_codes
from botkit.waiting.backoff import JITTER, Backoff, Ladder
from botkit.waiting.events import event_or_timeout, seconds_until
from botkit.waiting.status_codes import code_of
from botkit.waiting.store_outage import EVERY_SECOND, StoreOutage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from botkit.model.events import XEvent
    from botkit.model.users import Account
    from botkit.ports import Clock, Entropy, HttpStream, Intake, OnSpend, Sender
    from botkit.sources.gaps import Gaps
    from botkit.sources.hearing_limit import MayHear
    from botkit.sources.reporting import StatusReporter
    from botkit.sources.subscriptions import Subscriptions

__all__ = ["ActivityStream"]

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
_CONFIG_RETRY_S = 300.0
"""The time between two tries while only a person can mend the cause."""


class ActivityStream:
    """Hear the activity events of one app's accounts.

    Args:
        kinds: The kinds of events to subscribe to, by account id.
        late: The longest time that X takes to deliver an event.
        on_connected: Called at each (re)connect, so that the polls read missed events.
        on_lost: Called when X no longer answers, so that the polls find out if it answers them.
        on_spend: Called with each charge for a delivered event.
        may_hear: Awaited after events; raises `Parked` while an account may not hear more.
    """

    def __init__(
        self,
        app: str,
        accounts: Sequence[Account],
        *,
        kinds: Mapping[str, Sequence[str]],
        subscriptions: Subscriptions,
        sender: Sender,
        intake: Intake,
        clock: Clock,
        entropy: Entropy,
        report: StatusReporter,
        gaps: Gaps,
        late: timedelta,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None] | None = None,
        on_spend: OnSpend | None = None,
        may_hear: MayHear = without_limit,
    ) -> None:
        self._app = app
        self._accounts = {account.id: account for account in accounts}
        self._kinds = dict(kinds)
        self._subscriptions = subscriptions
        self._sender = sender
        self._intake = intake
        self._clock = clock
        self._entropy = entropy
        self._report = report
        self._gaps = gaps
        self._late = late
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._is_lost = False
        self._on_spend = on_spend
        self._may_hear = may_hear
        self._hearing = activity.Hearing(usernames={a.id: a.username for a in accounts})
        self._unprepared: dict[str, float] = {}
        """Accounts without subscriptions, and when to try again (on the clock that runs on)."""
        self._lacks: dict[str, str] = {}
        """By account id, the events that are not heard of the account, and why."""
        self._deaf: set[str] = set()
        """The accounts of which nothing is heard; each has a status line of its own."""
        self._backoff = StreamBackoff()
        self._refused = Backoff(_REFUSED, entropy)
        self._poked = asyncio.Event()
        self._outage = StoreOutage(_log, "events of the stream", clock=clock, ladder=EVERY_SECOND)
        self._heard_to: datetime | None = None

    @property
    def name(self) -> str:
        """Return `activity/<app>`."""
        return f"activity/{self._app}"

    def add(self, account: Account, kinds: Sequence[str]) -> None:
        """Hear one more account; the open connection subscribes for it within a keep-alive."""
        self._accounts[account.id] = account
        self._kinds[account.id] = kinds
        usernames = {each.id: each.username for each in self._accounts.values()}
        self._hearing = activity.Hearing(usernames=usernames)
        self._unprepared[account.id] = self._clock.monotonic()

    def hears(self, account_id: str) -> bool:
        """Return True if the stream hears this account."""
        return account_id in self._accounts

    def remove(self, account_id: str) -> bool:
        """Stop hearing an account; return True if there are others to hear."""
        self._note(self._accounts[account_id], "", is_deaf=False)
        for held in (self._accounts, self._kinds, self._unprepared):
            held.pop(account_id, None)
        return bool(self._accounts)

    def poke(self, account_id: str) -> None:
        """Try again what waits for an account's login or an app's bearer that was mended."""
        if account_id in self._unprepared:
            self._unprepared[account_id] = self._clock.monotonic()
        self._poked.set()

    async def run(self) -> None:
        """Subscribe, connect, read, and connect again, until cancelled."""
        while True:
            self._poked.clear()
            try:
                await self._prepare()
                await self._read()
            except (BotkitError, Parked) as problem:
                wait_s = self._wait_after(problem)
                _log.warning("stream.disconnected", app=self._app, why=str(problem), wait_s=wait_s)
                self._report(
                    self.name, "waiting", words_of(problem), {"code": str(code_of(problem))}
                )
                self._note_loss(problem)
                if isinstance(problem, _PASSING):
                    await self._clock.sleep(wait_s)
                else:
                    await event_or_timeout(self._poked, wait_s, clock=self._clock)

    async def _prepare(self) -> None:
        """Subscribe for all accounts, and note refusals.

        The dead login of one account does not stop the others from being heard.
        """
        problems: list[AuthError | Parked] = []
        self._unprepared.clear()
        for account in tuple(self._accounts.values()):
            if not self.hears(account.id):
                continue  # it left meanwhile
            try:
                await self._subscribe(account)
            except (AuthError, Parked) as problem:
                problems.append(problem)
                self._put_off(account, problem)
        if len(problems) == len(self._accounts):
            raise problems[-1]

    async def _subscribe(self, account: Account) -> None:
        """Subscribe for an account, and note refusals.

        Raises:
            Parked: The account may not hear more. Its subscriptions are removed, because X
                delivers all subscribed events, and charges for them.
        """
        try:
            await self._may_hear(account.id)
        except Parked:
            await self._subscriptions.prepare(account, ())
            raise
        prepared = await self._subscriptions.prepare(account, self._kinds[account.id])
        refused = "; ".join(why for _, why in prepared.refused)
        self._note(account, refused, is_deaf=bool(refused and not prepared.live))

    def _put_off(self, account: Account, problem: BotkitError | Parked) -> None:
        _log.warning("account.not_subscribed", account=account.id, why=str(problem))
        wait_s = _CONFIG_RETRY_S
        if isinstance(problem, Parked) and problem.waiting_for == "budget" and problem.until:
            wait_s = seconds_until(problem.until, clock=self._clock, least_s=1.0)
        self._unprepared[account.id] = self._clock.monotonic() + wait_s
        self._note(account, words_of(problem), is_deaf=True, code=code_of(problem))

    def _note(
        self, account: Account, lack: str, *, is_deaf: bool, code: int = status_codes.PERSON
    ) -> None:
        """Note the events that are not heard of an account; report it if none are."""
        self._lacks.pop(account.id, None)
        if lack:
            self._lacks[account.id] = lack
        part = f"subscription/{account.username}"
        if is_deaf:
            self._deaf.add(account.id)
            self._report(part, "missing", lack, {"code": str(code)})
        elif account.id in self._deaf:
            self._deaf.remove(account.id)
            self._report(part, "live")

    def _say_open(self) -> None:
        """Report the open stream: `live` if something is heard of each account, else `partly`."""
        problems = [(self._accounts[key], why) for key, why in self._lacks.items()]
        detail = by_cause(problems, of=len(self._accounts))
        if not self._deaf:
            self._report(self.name, "live", detail)
            return
        heard = len(self._accounts) - len(self._deaf)
        detail = f"hears {heard} of {len(self._accounts)} accounts, polls the others: {detail}"
        self._report(self.name, "partly", detail, {"code": str(status_codes.PASSES)})

    def _note_loss(self, problem: BotkitError | Parked) -> None:
        """Make the polls read, once, when X no longer answers."""
        if isinstance(problem, TransportError | ServerError) and not self._is_lost:
            self._is_lost = True
            if self._on_lost is not None:
                self._on_lost()

    async def _take_in(self) -> None:
        """Subscribe for accounts that came while the stream is open."""
        now_s = self._clock.monotonic()
        for account_id in [key for key, at_s in self._unprepared.items() if at_s <= now_s]:
            if self._unprepared.pop(account_id, None) is None:
                continue  # it left meanwhile
            account = self._accounts[account_id]
            try:
                await self._subscribe(account)
            except (BotkitError, Parked) as problem:
                self._put_off(account, problem)
            else:
                self._on_connected()
            self._say_open()

    async def _read(self) -> None:
        first = next(iter(self._accounts))
        splitter = LineSplitter()
        async with self._sender.stream(
            push_requests.activity_stream(), account_id=first
        ) as stream:
            await self._gaps.heard_again(self._accounts, source="activity", now=self._clock.now())
            self._heard_to = self._clock.now()
            _log.info("stream.connected", app=self._app)
            self._refused.reset()
            self._is_lost = False
            self._say_open()
            self._on_connected()
            try:
                await self._lines(stream, splitter)
            except Exception as problem:  # at a stop, the polls' checkpoints suffice
                await self._open_gaps(problem)
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
                raise self._closed(f"nothing came for {_SILENCE_S:.0f} s") from None
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
                self._heard_to = self._clock.now()
            if self._unprepared:
                await self._take_in()

    async def _take(self, lines: Sequence[bytes]) -> None:
        """Commit what one network read brought."""
        closed: StreamClosed | None = None
        for start in range(0, len(lines), _PORTION):
            closed = await self._take_portion(lines[start : start + _PORTION]) or closed
        if closed is not None:
            raise closed

    async def _take_portion(self, lines: Sequence[bytes]) -> StreamClosed | None:
        by_account: defaultdict[str, list[XEvent]] = defaultdict(list)
        closed: StreamClosed | None = None
        for line in lines:
            try:
                events = self._events(line)
            except StreamClosed as error:
                closed = error
            except MalformedAnswer as error:
                _log.error("stream_line.malformed", app=self._app, why=str(error))
            else:
                for event in events:
                    by_account[event.account_id].append(event)
        for account_id in by_account.keys() - self._accounts.keys():
            _log.warning("event.for_unknown_account", account=account_id)
            del by_account[account_id]
        for account_id, events in by_account.items():
            await self._record(account_id, events)
            await self._check_budget(account_id)
        return closed

    async def _check_budget(self, account_id: str) -> None:
        """Stop deliveries for an account that may not hear more."""
        account = self._accounts.get(account_id)
        if account is None or account_id in self._unprepared:
            return
        try:
            await self._may_hear(account_id)
        except Parked:
            self._unprepared[account_id] = self._clock.monotonic()
            await self._take_in()
            self._report(self.name, "live", f"@{account.username} may not hear more today")
            self._on_connected()  # the polls record the gap, and close it when they may read

    def _events(self, line: bytes) -> list[XEvent]:
        """Return the events of a line; if there is one account only, nameless events are its."""
        events = activity.decode_events(line, hearing=self._hearing)
        if len(self._accounts) == 1 and not all(event.account_id for event in events):
            (only,) = self._accounts
            hearing = msgspec.structs.replace(self._hearing, account_id=only)
            events = activity.decode_events(line, hearing=hearing)
        return events

    async def _record(self, account_id: str, events: Sequence[XEvent]) -> None:
        """Try until the store takes it: what was read from the socket must not be lost."""
        if self._on_spend is not None:
            for event in events:
                self._on_spend(account_id, charge_of_event(event), app=self._app)
        is_full = False
        while True:
            try:
                await self._intake.record(events, account_id=account_id, source="activity")
            except StoreUnavailable as error:
                is_full = True
                self._report(self.name, "waiting", str(error), {"code": str(error.exit_code)})
                await self._outage.wait(error, count=len(events))
            else:
                self._outage.end()
                self._heard_to = max(event.at for event in events)
                if is_full:
                    self._say_open()
                return

    def _closed(self, reason: str) -> StreamClosed:
        return StreamClosed(
            f"The activity stream ended: {reason}.",
            request="GET /2/activity/stream",
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
                return _CONFIG_RETRY_S * (0.9 + 0.2 * jitter)

    async def _open_gaps(self, problem: Exception) -> None:
        """Open gaps that begin at the last event or the last sign of life of the stream.

        X may deliver an event some time after it happened, so a gap begins that much earlier.
        """
        now = self._clock.now()
        since = min(self._heard_to or now, now) - self._late
        try:
            for account_id in tuple(self._accounts):
                await self._gaps.open(
                    GapRow(
                        source="activity",
                        account_id=account_id,
                        since=since,
                        cause="disconnected",
                        reason=str(problem),
                    )
                )
        except BotkitError as error:
            _log.warning("gap.not_recorded", why=str(error))
