"""Hear by the activity stream: one connection for each app, for all its accounts.

A poll that reads over the gap of a disconnect closes it.
Source: X API docs, "X Activity API".
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec
import structlog

from botkit.errors import AuthError, BotkitError, MalformedAnswer, Parked, StreamClosed
from botkit.protocol.api import push_requests
from botkit.protocol.events import activity
from botkit.sources.hearing_limit import without_limit
from botkit.sources.push.lines import CONFIG_RETRY_S, LineStream
from botkit.sources.reporting import by_cause, words_of
from botkit.telemetry.counted import counted
from botkit.waiting import status_codes
from botkit.waiting.events import seconds_until
from botkit.waiting.status_codes import code_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Unpack

    from botkit.model.events import XEvent
    from botkit.model.users import Account
    from botkit.protocol.api.requests import Request
    from botkit.sources.hearing_limit import MayHear
    from botkit.sources.push.lines import StreamPorts
    from botkit.sources.push.subscriptions import Subscriptions

__all__ = ["ActivityStream"]

_log = structlog.get_logger(__name__)


class ActivityStream(LineStream):
    """Hear the activity events of one app's accounts.

    Args:
        kinds: The kinds of events to subscribe to, by account id.
        may_hear: Awaited after events; raises `Parked` while an account may not hear more.
        on_unheard: Called with the id of an account when some events that it wants do not come
            any more, so that its polls read them.
        source: The name of the way by which the events come.
        ports: Those of `LineStream`.
    """

    def __init__(
        self,
        app: str,
        accounts: Sequence[Account],
        *,
        kinds: Mapping[str, Sequence[str]],
        subscriptions: Subscriptions,
        may_hear: MayHear = without_limit,
        on_unheard: Callable[[str], None] = lambda _: None,
        source: str = "activity",
        **ports: Unpack[StreamPorts],
    ) -> None:
        super().__init__(app, source, **ports)
        self._accounts = {account.id: account for account in accounts}
        self._kinds = dict(kinds)
        self._subscriptions = subscriptions
        self._may_hear = may_hear
        self._on_unheard = on_unheard
        self._live: dict[str, frozenset[str]] = {}
        """By account id, the kinds of events that X delivers while the stream is open."""
        self._hearing = activity.Hearing(usernames={a.id: a.username for a in accounts})
        self._unprepared: dict[str, float] = {}
        """Accounts without subscriptions, and when to try again (on the clock that runs on)."""
        self._lacks: dict[str, str] = {}
        """By account id, the events that are not heard of the account, and why."""
        self._deaf: set[str] = set()
        """The accounts of which nothing is heard; each has a status line of its own."""

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

    def delivers(self, account_id: str, kinds: Iterable[str]) -> bool:
        """Return True if each event of these kinds reaches the account now."""
        return self._is_open and self._live.get(account_id, frozenset()).issuperset(kinds)

    def remove(self, account_id: str) -> bool:
        """Stop hearing an account; return True if there are others to hear."""
        self._note(self._accounts[account_id], "", is_deaf=False)
        for held in (self._accounts, self._kinds, self._unprepared, self._live):
            held.pop(account_id, None)
        return bool(self._accounts)

    def poke(self, account_id: str) -> None:
        """Try again what waits for an account's login or an app's bearer that was mended."""
        if account_id in self._unprepared:
            self._unprepared[account_id] = self._clock.monotonic()
        self._poked.set()

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
        self._set_live(account, prepared.live)
        refused = "; ".join(refusal.why for refusal in prepared.refused)
        step = next((one.next_step for one in prepared.refused if one.next_step), "")
        is_deaf = bool(refused and not prepared.live)
        self._note(account, refused, is_deaf=is_deaf, next_step=step)

    def _put_off(self, account: Account, problem: BotkitError | Parked) -> None:
        _log.warning("account.not_subscribed", account=account.id, why=str(problem))
        wait_s = CONFIG_RETRY_S
        if isinstance(problem, Parked) and problem.waiting_for == "budget" and problem.until:
            wait_s = seconds_until(problem.until, clock=self._clock, least_s=1.0)
        self._unprepared[account.id] = self._clock.monotonic() + wait_s
        self._set_live(account, ())
        self._note(account, words_of(problem), is_deaf=True, code=code_of(problem))

    def _set_live(self, account: Account, kinds: Iterable[str]) -> None:
        """Note the kinds of events that X delivers; call `on_unheard` if some do not come now."""
        before = self._live.get(account.id, frozenset())
        self._live[account.id] = frozenset(kinds)
        if before - self._live[account.id]:
            self._on_unheard(account.id)

    def _note(
        self,
        account: Account,
        lack: str,
        *,
        is_deaf: bool,
        code: int = status_codes.PERSON,
        next_step: str = "",
    ) -> None:
        """Note the events that are not heard of an account; report it if none are."""
        self._lacks.pop(account.id, None)
        if lack:
            self._lacks[account.id] = lack
        part = f"subscription/{account.username}"
        if is_deaf:
            self._deaf.add(account.id)
            step = {"next_step": next_step} if next_step else {}
            self._report(part, "missing", lack, {"code": str(code), **step})
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
        accounts = counted(len(self._accounts), "account")
        detail = f"hears {heard} of {accounts}, polls the others: {detail}"
        self._report(self.name, "partly", detail, {"code": str(status_codes.PASSES)})

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

    def _request(self) -> Request:
        return push_requests.activity_stream()

    def _hearers(self) -> Iterable[str]:
        return self._accounts

    async def _between_reads(self) -> None:
        if self._unprepared:
            await self._take_in()

    async def _take_portion(self, lines: Sequence[bytes]) -> StreamClosed | None:
        by_account: defaultdict[str, list[XEvent]] = defaultdict(list)
        closed: StreamClosed | None = None
        for line in lines:
            try:
                events = self.events_of(line)
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
            self._book(account_id, events)
            await self._record(account_id, events)
            await self._check_budget(account_id)
        return closed

    async def _check_budget(self, account_id: str) -> None:
        """Stop deliveries for an account that may not hear more."""
        if account_id not in self._accounts or account_id in self._unprepared:
            return
        try:
            await self._may_hear(account_id)
        except Parked:
            self._unprepared[account_id] = self._clock.monotonic()
            await self._take_in()
            self._on_connected()  # the polls record the gap, and close it when they may read

    def events_of(self, line: bytes) -> list[XEvent]:
        """Return the events of a line; if there is one account only, nameless events are its.

        Raises:
            StreamClosed: It is no event but errors.
            MalformedAnswer: It is no JSON, or nested beyond measure.
        """
        events = activity.decode_events(line, hearing=self._hearing)
        if len(self._accounts) == 1 and not all(event.account_id for event in events):
            (only,) = self._accounts
            hearing = msgspec.structs.replace(self._hearing, account_id=only)
            events = activity.decode_events(line, hearing=hearing)
        return events
