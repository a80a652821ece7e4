"""Keep the gaps in which the bot may have missed events; report them, and close them.

A gap's bounds are times of events by X's clock, not of reads: missing events happened between
them. The gaps of a store belong to its only runner, so they are held in memory, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace

from botkit.errors import BotkitError
from botkit.model.events import Gap
from botkit.model.hearing import BY_HAND, GIVEN_UP
from botkit.telemetry.times import rfc3339, second_not_before

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from botkit.model.hearing import GapRow
    from botkit.model.users import Account
    from botkit.ports import Clock, Intake, Store
    from botkit.sources.reporting import StatusReporter

__all__ = ["REACH", "Gaps"]

_log = structlog.get_logger(__name__)

REACH = "reach"
"""The cause of a gap that a poll could not read to its end, and that no later poll can."""
_MOST = 10_000


class Gaps:
    """Hold the open gaps of a bot's accounts.

    Args:
        intake: Takes `Gap` events; None if the bot does not handle them.
        unreadable: The events, in words, that only the stream delivers: no poll reads them later.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        report: StatusReporter,
        intake: Intake | None = None,
        unreadable: str = "",
    ) -> None:
        self._intake = intake
        self._unreadable = unreadable
        self._progress = store.progress
        self._clock = clock
        self._report = report
        self._open: dict[int, GapRow] | None = None
        self._told: dict[int, GapRow] = {}
        self._polled: set[tuple[str, str]] = set()
        """The accounts and sources whose gaps a poll tells itself, once it has tried to read."""

    def leave_to_poll(self, account_id: str, sources: Collection[str]) -> None:
        """Let only the poll that covers these sources tell their gaps: it may close them first."""
        self._polled.update((account_id, source) for source in sources)

    async def of(self, account_id: str) -> list[GapRow]:
        """Return the open gaps of an account, oldest first."""
        return [gap for gap in (await self._held()).values() if gap.account_id == account_id]

    async def open(self, gap: GapRow) -> GapRow:
        """Record a gap; widen the open one of the same cause that it touches, if there is one."""
        for known in await self.of(gap.account_id):
            if (known.source, known.cause) == (gap.source, gap.cause) and _touch(known, gap):
                ends = (known.until, gap.until)
                until = None if None in ends else max(end for end in ends if end is not None)
                since = min(known.since, gap.since)
                return await self.change(replace(gap, id=known.id, since=since, until=until))
        held = await self._held()
        opened = replace(gap, id=await self._progress.open_gap(gap))
        held[opened.id] = opened
        return opened

    async def heard_again(self, accounts: Collection[str], *, source: str, now: datetime) -> None:
        """End the growing gaps of these accounts now that the source hears again."""
        for gap in tuple((await self._held()).values()):
            if gap.source == source and gap.until is None and gap.account_id in accounts:
                await self.change(replace(gap, until=now))

    async def covered(
        self, account_id: str, *, sources: Collection[str], until: datetime, how: str
    ) -> None:
        """Close the gaps that are covered by a read which began at `until`."""
        for gap in await self.of(account_id):
            ended = gap.until is not None and gap.until <= until
            if gap.source not in sources or gap.cause == REACH or not ended:
                continue
            if self._unreadable and gap.source in {"activity", "mentions"}:
                why = f"{how}, but for {self._unreadable}, which no timeline of X shows"
                self._told[gap.id] = gap
                await self.change(replace(gap, state=GIVEN_UP, reason=why))
            else:
                await self.close(gap, how)

    async def close(self, gap: GapRow, reason: str) -> None:
        """Close a gap, because its events were read."""
        await self.change(replace(gap, state="closed", reason=reason))

    async def change(self, gap: GapRow) -> GapRow:
        """Store the new values of a gap."""
        held = await self._held()
        await self._progress.change_gap(gap)
        if gap.state == "open":
            held[gap.id] = gap
        else:
            held.pop(gap.id, None)
            if gap.id in self._told:
                self._told[gap.id] = gap
        return gap

    async def tell(self, account: Account, covers: Collection[str] = ()) -> None:
        """Report the account's gaps that a poll has left open, and those that are over now.

        Leave a gap of a source that is not in `covers` to the poll that covers it, if any.
        """
        left = [gap for gap in await self.of(account.id) if gap.until is not None]
        for gap in left:
            if gap.source not in covers and (account.id, gap.source) in self._polled:
                continue
            before = self._told.get(gap.id)
            if before is None or before.reason != gap.reason:
                await self._announce(account, gap)
                _log.warning("gap.open", **_in_words(account, gap))
            self._told[gap.id] = gap
        numbers = {gap.id for gap in left}
        over = [
            gap
            for gap in self._told.values()
            if gap.account_id == account.id and gap.id not in numbers
        ]
        for gap in over:
            await self._announce(account, gap)
            _log.info("gap.closed", **_in_words(account, gap))
            del self._told[gap.id]
        told = [gap for gap in left if gap.id in self._told]
        if told:
            self._report(f"gaps/{account.username}", "open", _detail(told))
        elif over:
            self._report(f"gaps/{account.username}", "none")

    async def tell_after_failure(self, account: Account, covers: Collection[str] = ()) -> None:
        """Report as `tell` does; raise nothing if the store, too, cannot be read."""
        try:
            await self.tell(account, covers)
        except BotkitError as error:
            _log.warning("gap.not_recorded", why=str(error))

    async def look_again(self, accounts: Iterable[Account]) -> None:
        """Drop the gaps that a person closed by command, and report them as over."""
        if not self._open:
            return
        still = {row.id for row in await self._progress.gaps(state="open", limit=_MOST)}
        for number in self._open.keys() - still:
            del self._open[number]
            if number in self._told:
                told = self._told[number]
                self._told[number] = replace(told, state=GIVEN_UP, reason=BY_HAND)
        for account in accounts:
            await self.tell(account)

    async def _announce(self, account: Account, gap: GapRow) -> None:
        """Send the bot a `Gap` event; the inbox drops one that an earlier process sent."""
        if self._intake is None:
            return
        event = Gap(
            account_id=account.id,
            at=self._clock.now(),
            source="gaps",
            number=gap.id,
            missed_by=gap.source,
            since=gap.since,
            until=gap.until or gap.since,
            cause=gap.cause,
            state=gap.state,
            reason=gap.reason,
            next_step=f"botkit events gaps --close {gap.id}" if gap.state == "open" else "",
        )
        await self._intake.record([event], account_id=account.id, source="gaps")

    async def _held(self) -> dict[int, GapRow]:
        """Return the open gaps by number; gaps from an earlier process no longer grow."""
        if self._open is None:
            now = self._clock.now()
            rows = await self._progress.gaps(state="open", limit=_MOST)
            if self._open is None:  # another poll may have read them meanwhile
                self._open = {
                    row.id: replace(row, until=row.until or now) for row in reversed(rows)
                }
        return self._open


def _touch(one: GapRow, other: GapRow) -> bool:
    """Return True if the gaps overlap or touch."""
    return (one.until is None or other.since <= one.until) and (
        other.until is None or one.since <= other.until
    )


def _in_words(account: Account, gap: GapRow) -> dict[str, str | int | None]:
    return {
        "gap": gap.id,
        "account": account.username,
        "source": gap.source,
        "since": rfc3339(gap.since),
        "until": rfc3339(second_not_before(gap.until)) if gap.until is not None else None,
        "cause": gap.cause,
        "why": gap.reason,
    }


def _detail(gaps: list[GapRow]) -> str:
    first, count = gaps[0], len(gaps)
    more = f", and {count - 1} more" if count > 1 else ""
    until = rfc3339(second_not_before(first.until or first.since))
    return (
        f"what was made from {rfc3339(first.since)} to {until} may"
        f" be missing{more}: `botkit events gaps` shows why"
    )
