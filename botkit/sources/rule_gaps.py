"""Fill the gaps of the filtered stream by recent search, rule by rule."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace

from botkit.errors import BotkitError
from botkit.protocol.queries.syntax import faults_of
from botkit.sources.push.filtered import gap_source
from botkit.sources.search import GapSearch, RecentSearch
from botkit.waiting.events import event_or_timeout
from botkit.waiting.status_codes import code_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import timedelta
    from decimal import Decimal

    from botkit.model.sources import Rule
    from botkit.model.users import Account
    from botkit.ports import Clock, Intake, Sender
    from botkit.sources.gaps import Gaps
    from botkit.sources.reporting import StatusReporter

__all__ = ["RuleGaps"]

_log = structlog.get_logger(__name__)

_EVERY_S = 60.0
_SOON_S = 5.0


class RuleGaps:
    """Read what the filtered stream of an app missed, and tell what cannot be read.

    Args:
        late: The longest time that X takes to show a new post.
        allow: Awaited before each page, with the account's id and the most that the page can
            cost; raises `Parked` if no more may be spent now.
        plan: The app's plan, which limits the length of a query.
    """

    def __init__(
        self,
        app: str,
        account: Account,
        rules: Sequence[Rule],
        *,
        sender: Sender,
        intake: Intake,
        gaps: Gaps,
        clock: Clock,
        report: StatusReporter,
        late: timedelta,
        allow: Callable[[str, Decimal], Awaitable[None]],
        plan: str,
    ) -> None:
        self._app = app
        self._account = account
        self._gaps = gaps
        self._clock = clock
        self._report = report
        self._poked = asyncio.Event()
        self._covers = tuple(gap_source(rule.tag) for rule in rules)
        self._unsearchable: dict[str, str] = {}
        self._searches: list[RecentSearch] = []
        gaps.leave_to_poll(account.id, self._covers)
        for rule in rules:
            source = gap_source(rule.tag)
            faults = faults_of(rule.value, "search", plan=plan)
            if faults:
                self._unsearchable[source] = f"recent search does not take the rule: {faults[0]}"
                continue
            wanted = GapSearch(source=source, query=rule.value, tag=rule.tag, every_cause=True)
            self._searches.append(
                RecentSearch(
                    account,
                    wanted,
                    sender=sender,
                    intake=intake,
                    gaps=gaps,
                    clock=clock,
                    late=late,
                    allow=allow,
                )
            )

    @property
    def name(self) -> str:
        """Return `rule_gaps/<app>`."""
        return f"rule_gaps/{self._app}"

    def poke(self) -> None:
        """Read now: the stream has come back."""
        self._poked.set()

    async def run(self) -> None:
        """Fill gaps until cancelled."""
        while True:
            self._poked.clear()
            wait_s = _EVERY_S
            try:
                if await self._fill():
                    wait_s = _SOON_S
            except BotkitError as problem:
                _log.warning("gap.not_recorded", why=str(problem))
                code = {"code": str(code_of(problem))}
                self._report(self.name, "waiting", str(problem), code)
            else:
                self._report(self.name, "live", "reads by search what the filtered stream missed")
            await event_or_timeout(self._poked, wait_s, clock=self._clock)

    async def _fill(self) -> bool:
        """Read once; return True if more can be read soon."""
        more = False
        for search in self._searches:
            more = await search.fill() or more
        for gap in await self._gaps.of(self._account.id):
            why = self._unsearchable.get(gap.source, "")
            if why not in gap.reason:
                await self._gaps.change(replace(gap, reason=f"{gap.reason}; {why}"))
        await self._gaps.tell(self._account, self._covers)
        return more
