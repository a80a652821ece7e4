"""What the running parts say of themselves, for `botkit status` and `/readyz`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from botkit.model.records import StatusReport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botkit.ports import Clock, Store

__all__ = ["Reports"]

_log = structlog.get_logger(__name__)


class Reports:
    """Keeps each part's last report; what has changed is stored by `flush`."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._progress = store.progress
        self._clock = clock
        self._last: dict[str, StatusReport] = {}
        self._unstored: dict[str, StatusReport] = {}

    def __call__(
        self, part: str, state: str, detail: str = "", data: Mapping[str, str] | None = None
    ) -> None:
        """Take a part's report; a change of state or detail is one log line."""
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

    @property
    def current(self) -> Mapping[str, StatusReport]:
        """The last report of each part."""
        return self._last

    async def flush(self) -> None:
        """Store what has changed.

        Raises:
            StoreUnavailable: It is kept for the next time.
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
        """At start: what an earlier process said goes, what this one has said by now stays."""
        await self._progress.clear_reports()
        self._unstored = dict(self._last)

    async def clear(self) -> None:
        """At a clean end: nothing runs."""
        self._unstored = {}
        await self._progress.clear_reports()
