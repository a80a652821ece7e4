"""Keeps and stores the status reports of the running parts, for `botkit status` and `/readyz`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace

from botkit.model.records import StatusReport
from botkit.telemetry.times import rfc3339
from botkit.waiting import status_codes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from botkit.leases.lease import Lease
    from botkit.model.records import Fence
    from botkit.ports import Clock, Store

__all__ = ["HEARD_TO", "Reports"]

_log = structlog.get_logger(__name__)

HEARD_TO = "heard_to"
"""The name, in a report's data, of the time by X's clock up to which a source has read."""
_HEARD_EVERY = timedelta(seconds=15)
_HEARD = frozenset({"live", "partly"})


class Reports:
    """Keep each part's last report; `flush` stores those that have changed.

    Only the holder of the runner's `lease` changes stored reports: a process that lost it must not
    overwrite those of its successor.
    """

    def __init__(self, store: Store, clock: Clock, lease: Lease) -> None:
        self._progress = store.progress
        self._clock = clock
        self._lease = lease
        self._last: dict[str, StatusReport] = {}
        self._unstored: dict[str, StatusReport] = {}
        self._heard: dict[str, datetime] = {}
        self._silent_at: dict[str, tuple[float, datetime]] = {}
        """For each part with a limited report: when the report expires, and when it was made."""
        self._changed = asyncio.Event()

    def __call__(
        self,
        part: str,
        state: str,
        detail: str = "",
        data: Mapping[str, str] | None = None,
        *,
        good_for_s: float | None = None,
    ) -> None:
        """Take a part's report, and log it if state or detail have changed.

        With `good_for_s`, the part is `waiting` for X once it has not reported for that long.
        """
        self._silent_at.pop(part, None)
        if good_for_s is not None:
            self._silent_at[part] = self._clock.monotonic() + good_for_s, self._clock.now()
        before = self._last.get(part)
        values = dict(data or {})
        if part in self._heard:
            values[HEARD_TO] = rfc3339(self._heard[part])
        if before is not None and (before.state, before.detail) == (state, detail):
            if before.data == values:
                return
        else:
            _log.info("part.state_changed", part=part, state=state, detail=detail)
        report = StatusReport(
            part=part, state=state, detail=detail, at=self._clock.now(), data=values
        )
        self._last[part] = self._unstored[part] = report
        self._changed.set()

    def heard(self, part: str, to: datetime) -> None:
        """Note the time up to which a source has read, and store it a little later.

        A source may call this at every read; what is stored lags behind by up to 15 s.
        """
        before = self._heard.get(part)
        if before is not None and abs(to - before) < _HEARD_EVERY:
            return
        self._heard[part] = to
        last = self._last.get(part)
        if last is not None:
            told = replace(last, data=last.data | {HEARD_TO: rfc3339(to)})
            self._last[part] = self._unstored[part] = told

    @property
    def current(self) -> Mapping[str, StatusReport]:
        """Return the last report of each part."""
        return self._last

    def expire(self) -> None:
        """Report as `waiting` the parts whose last report is too old to be true."""
        now_s = self._clock.monotonic()
        for part, (at_s, said_at) in [*self._silent_at.items()]:
            if now_s >= at_s:
                why = f"X has not answered since {rfc3339(said_at)}"
                self(part, "waiting", why, {"code": str(status_codes.X)})

    async def wait_heard(self, parts: Collection[str]) -> None:
        """Wait until one of these parts is live, and every other has tried to connect."""
        while True:
            self._changed.clear()
            states = [self._last[part].state for part in parts if part in self._last]
            if len(states) == len(parts) and "starting" not in states and _HEARD & {*states}:
                return
            await self._changed.wait()

    async def wait_live(self, parts: Iterable[str]) -> None:
        """Wait until each of these parts has been live."""
        left = set(parts)
        while True:
            self._changed.clear()
            left -= {part for part, last in self._last.items() if last.state == "live"}
            if not left:
                return
            await self._changed.wait()

    async def flush(self) -> None:
        """Store the reports that have changed.

        Raises:
            LeaseLost: Another process runs the bot now.
            StoreUnavailable: The reports are kept for the next call.
        """
        if self._unstored:
            reports = self._unstored
            self._unstored = {}
            try:
                await self._progress.report(list(reports.values()), fence=self._fence())
            except BaseException:
                self._unstored = reports | self._unstored
                raise

    async def begin(self) -> None:
        """Delete the reports of an earlier process; keep those of this one."""
        await self._progress.clear_reports(fence=self._fence())
        self._unstored = dict(self._last)

    async def clear(self) -> None:
        """Delete all reports: after a clean end no part runs."""
        self._unstored = {}
        await self._progress.clear_reports(fence=self._fence())

    def _fence(self) -> Fence:
        """Return the fence of the lease, even of one that may have expired: the store decides."""
        fence = self._lease.last_fence
        return self._lease.fence() if fence is None else fence
