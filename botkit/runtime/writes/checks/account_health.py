"""Stops sending for accounts that X has suspended or locked, until a person has acted.

One refused write stops the account, so that the others do not hammer X. When the time is over a
single write may try; the rest waits for what becomes of it.
Source: docs/explanation/requirements.md, fault 19; docs/explanation/x-facts.md, 10.8 (codes 64 and
326).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from botkit.errors import Parked
from botkit.telemetry.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from botkit.ports import Clock

__all__ = ["AccountHealth"]

_log = structlog.get_logger(__name__)

_HOLD = timedelta(hours=1)
_PROBE = timedelta(minutes=2)


class AccountHealth:
    """Remember, in memory only, which accounts X suspended or locked.

    After a restart the first refused write shows it again.

    Args:
        report: Called with part, state and detail, for `botkit status` and `/readyz`.
    """

    def __init__(
        self, clock: Clock, *, report: Callable[[str, str, str], None] | None = None
    ) -> None:
        self._clock = clock
        self._report = report
        self._held: dict[str, datetime] = {}
        self._stops: dict[str, int] = {}

    def check(self, account_id: str) -> None:
        """Return if a write of the account may be tried now.

        Raises:
            Parked: `account`, with the time of the next try.
        """
        until = self._held.get(account_id)
        if until is None:
            return
        now = self._clock.now()
        if now < until <= now + _HOLD:
            raise Parked("account", until=until)
        self._held[account_id] = now + _PROBE

    def stops_of(self, account_id: str) -> int:
        """Return how often the account was stopped: `check_again` compares it."""
        return self._stops.get(account_id, 0)

    def check_again(self, account_id: str, *, stops: int) -> None:
        """Check right before the bytes leave that the account was not stopped since `check`.

        Raises:
            Parked: `account`, with the time of the next try.
        """
        if self.stops_of(account_id) != stops:
            raise Parked("account", until=self._held.get(account_id))

    def stop(self, account_id: str, reason: str) -> Parked:
        """Note that X has stopped the account; return the `Parked` to raise."""
        until = self._clock.now() + _HOLD
        self._held[account_id] = until
        self._stops[account_id] = self.stops_of(account_id) + 1
        _log.error(
            "account.stopped",
            account=account_id,
            why=reason,
            next_try=rfc3339(until),
        )
        if self._report is not None:
            self._report(f"account/{account_id}", "stopped", reason)
        return Parked("account", until=until)

    def works(self, account_id: str) -> bool:
        """Note that X took a write of the account; return True if it had been stopped before."""
        if self._held.pop(account_id, None) is None:
            return False
        _log.info("account.resumed", account=account_id)
        if self._report is not None:
            self._report(f"account/{account_id}", "working", "")
        return True
