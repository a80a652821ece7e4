"""Hear by the filtered stream: one connection for each app, for the rules that the bot declares.

A self-serve stream cannot be read back: after a cut, recent search reads for each rule what was
missed, if the rule is a query that the search takes too.
Source: X API docs, "Filtered stream".
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import structlog

from botkit.errors import MalformedAnswer, Parked, RateLimited, StreamClosed
from botkit.model.hearing import Checkpoint, GapRow
from botkit.protocol.api import push_requests
from botkit.protocol.events.matches import decode_match, matched
from botkit.sources.hearing_limit import without_limit
from botkit.sources.push.lines import LineStream
from botkit.sources.push.places import is_full, make_room
from botkit.sources.push.rules import KeptRules
from botkit.telemetry.counted import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from typing import Unpack

    from botkit.model.events import PostMatched
    from botkit.model.sources import Rule
    from botkit.model.users import Account
    from botkit.ports import Store
    from botkit.protocol.api.requests import Request
    from botkit.sources.hearing_limit import MayHear
    from botkit.sources.push.lines import StreamPorts
    from botkit.sources.push.rules import StreamRules

__all__ = ["FilteredStream", "gap_source"]

_log = structlog.get_logger(__name__)

_SOURCE = "filtered"
_LASTED = timedelta(seconds=10)
_STORE_EVERY = timedelta(seconds=60)


class FilteredStream(LineStream):
    """Hear the posts that match the bot's rules, as one account.

    Args:
        rules: The rules that the bot declares.
        kept: Reconciles them with those at X.
        backfill: The time that X delivers again at a connect; none on a self-serve plan.
        may_hear: Awaited after events; raises `Parked` while the account may not hear more.
        ports: Those of `LineStream`.
    """

    def __init__(
        self,
        app: str,
        account: Account,
        rules: Sequence[Rule],
        *,
        kept: StreamRules,
        store: Store,
        backfill: timedelta | None = None,
        may_hear: MayHear = without_limit,
        **ports: Unpack[StreamPorts],
    ) -> None:
        super().__init__(app, _SOURCE, **ports)
        self._account = account
        self._rules = {rule.tag: rule for rule in rules}
        self._kept = kept
        self._store = store
        self._backfill = backfill
        self._may_hear = may_hear
        self._at_x = KeptRules(tags={}, refused={})
        self._stored_to: datetime | None = None
        self._started = False

    def poke(self) -> None:
        """Try again now: a login or bearer was mended."""
        self._poked.set()

    async def _prepare(self) -> None:
        if not self._started:
            await self._open_gap_since_the_last_run()
            self._started = True
        await self._may_hear(self._account.id)
        self._at_x = await self._kept.prepare(self._account.id)
        for tag, why in self._at_x.refused.items():
            _log.error("rule.refused", tag=tag, rule=self._rules[tag].value, why=why)

    async def _open_gap_since_the_last_run(self) -> None:
        """Record the gap since the last run, however it ended, for the rules that it had.

        It grows until the stream is open.
        """
        last = await self._store.progress.checkpoint(_SOURCE, self._account.id)
        if last is None or last.read_to is None:
            return
        for tag in self._rules.keys() & msgspec.json.decode(last.cursor, type=set[str]):
            await self._gaps.open(
                GapRow(
                    source=gap_source(tag),
                    account_id=self._account.id,
                    since=min(last.read_to, self._clock.now()),
                    cause="stopped",
                    reason="no bot ran",
                )
            )

    def _request(self) -> Request:
        minutes = None if self._backfill is None else int(self._backfill.total_seconds() // 60)
        return push_requests.filtered_stream(backfill_minutes=minutes)

    async def _read(self) -> None:
        """Read; if X has no place left, close an own dead connection there, or say whose it is."""
        try:
            await super()._read()
        except RateLimited as full:
            if not is_full(full):
                raise
            held = await make_room(self._sender, self._account.id, opened_at=self._lasted_since())
            if not held:
                self._opened_at = None  # once: X may need a while to let the place go
                raise self._closed("the connection before had its place") from full
            full.hint = f"{held} has the app's place."
            raise

    def _lasted_since(self) -> datetime | None:
        """Return when the connection before was opened; None if it lasted no time.

        One of another program can have come right after it, and must not be taken for it.
        """
        opened, heard = self._opened_at, self._heard_to
        lasted = opened is not None and heard is not None and heard - opened > _LASTED
        return opened if lasted else None

    def _hearers(self) -> Iterable[str]:
        return (self._account.id,)

    def _gap_sources(self) -> Iterable[str]:
        return tuple(gap_source(tag) for tag in self._rules)

    def _say_open(self) -> None:
        refused = self._at_x.refused
        detail = f"{len(self._rules) - len(refused)} of {counted(len(self._rules), 'rule')}"
        if refused:
            whys = "; ".join(f"{tag}: {why}" for tag, why in refused.items())
            self._report(self.name, "partly", f"{detail}; X refuses {whys}", {"code": "2"})
        else:
            self._report(self.name, "live", detail)

    async def _between_reads(self) -> None:
        """Store how far the stream was heard, now and then."""
        heard_to = self._heard_to
        if heard_to is None or (
            self._stored_to is not None and heard_to - self._stored_to < _STORE_EVERY
        ):
            return
        await self._store.progress.set_checkpoint(self._checkpoint(heard_to))
        self._stored_to = heard_to

    def _checkpoint(self, heard_to: datetime) -> Checkpoint:
        return Checkpoint(
            source=_SOURCE,
            account_id=self._account.id,
            cursor=msgspec.json.encode(sorted(self._rules)).decode(),
            read_to=heard_to - self._late,
        )

    async def _take_portion(self, lines: Sequence[bytes]) -> StreamClosed | None:
        events: list[PostMatched] = []
        closed: StreamClosed | None = None
        for line in lines:
            try:
                events += self._events(line)
            except StreamClosed as error:
                closed = error
            except MalformedAnswer as error:
                _log.error("stream_line.malformed", app=self._app, why=str(error))
        if events:
            await self._record(self._account.id, events)
            await self._check_budget()
        return closed

    async def _check_budget(self) -> None:
        """End the stream while the account may not hear more: X charges for each delivery.

        Raises:
            Parked: It may not.
        """
        try:
            await self._may_hear(self._account.id)
        except Parked:
            await self._open_gaps("the budget for hearing was spent", cause="budget")
            raise

    def _events(self, line: bytes) -> list[PostMatched]:
        """Return an event for each of the bot's rules that the post matched."""
        found = decode_match(
            line,
            account_id=self._account.id,
            username=self._account.username,
            source=_SOURCE,
        )
        if found is None:
            return []
        self._book(self._account.id, [found.event])  # whosever rule it matched
        tags = dict.fromkeys(
            tag for rule_id in found.rule_ids for tag in self._at_x.tags.get(rule_id, ())
        )
        return [matched(found.event, tag=tag, rule=self._rules[tag].value) for tag in tags]


def gap_source(tag: str) -> str:
    """Return the name under which the gaps of a rule are kept."""
    return f"{_SOURCE}:{tag}"
