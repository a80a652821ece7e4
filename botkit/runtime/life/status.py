"""Keeps and stores the status reports of the running parts, for `botkit status` and `/readyz`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from botkit.model.records import StatusReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from botkit.ports import Clock, Store

__all__ = ["Reports"]

_log = structlog.get_logger(__name__)


class Reports:
    """Keeps each part's last report; `flush` stores those that have changed."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._progress = store.progress
        self._clock = clock
        self._last: dict[str, StatusReport] = {}
        self._unstored: dict[str, StatusReport] = {}
        self._changed = asyncio.Event()

    def __call__(
        self, part: str, state: str, detail: str = "", data: Mapping[str, str] | None = None
    ) -> None:
        """Take a part's report, and log it if state or detail have changed."""
        before = self._last.get(part)
        values = dict(data or {})
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

    @property
    def current(self) -> Mapping[str, StatusReport]:
        """Return the last report of each part."""
        return self._last

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
            StoreUnavailable: The reports are kept for the next call.
        """
        if self._unstored:
            reports = self._unstored
            self._unstored = {}
            try:
                await self._progress.report(list(reports.values()))
            except BaseException:
                self._unstored = reports | self._unstored
                raise

    async def begin(self) -> None:
        """Delete the reports of an earlier process; keep those of this one."""
        await self._progress.clear_reports()
        self._unstored = dict(self._last)

    async def clear(self) -> None:
        """Delete all reports: after a clean end no part runs."""
        self._unstored = {}
        await self._progress.clear_reports()
