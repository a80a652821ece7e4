"""What the operator is willing to spend, by hour and by day, kept across restarts."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from botkit.errors import Parked

if TYPE_CHECKING:
    from botkit.ports import Clock, Store

__all__ = ["Budget", "Limits"]


class Limits(Struct, frozen=True, kw_only=True):
    """The most that may be spent, USD; None for no limit."""

    hour_usd: Decimal | None = None
    day_usd: Decimal | None = Decimal(50)


class Budget:
    """Counts what each account spent and says no before it is too much.

    A refusal is one for now: the event waits for the next hour or day (UTC), or for a new limit.
    """

    def __init__(self, store: Store, clock: Clock, limits: Limits) -> None:
        self._store = store
        self._clock = clock
        self.limits = limits

    async def check(self, account_id: str, cost_usd: Decimal) -> None:
        """Return when that much more may be spent now.

        Raises:
            Parked: `budget`, until the hour or the day is over.
        """
        now = self._clock.now()
        hour = now.replace(minute=0, second=0, microsecond=0)
        day = hour.replace(hour=0)
        by_hour, by_day = await self.spent(account_id)
        if _over(self.limits.day_usd, by_day + cost_usd):
            raise Parked("budget", until=day + timedelta(days=1))
        if _over(self.limits.hour_usd, by_hour + cost_usd):
            raise Parked("budget", until=hour + timedelta(hours=1))

    async def spent(self, account_id: str) -> tuple[Decimal, Decimal]:
        """USD spent in this hour and on this day, UTC."""
        hour: datetime = self._clock.now().replace(minute=0, second=0, microsecond=0)
        entries = await self._store.ledger.spent(account_id, since=hour.replace(hour=0))
        by_day = sum((e.reads_usd + e.writes_usd for e in entries), Decimal(0))
        by_hour = sum(
            (e.reads_usd + e.writes_usd for e in entries if e.hour >= hour), Decimal(0)
        )
        return by_hour, by_day


def _over(limit: Decimal | None, would_be: Decimal) -> bool:
    return limit is not None and would_be > limit
