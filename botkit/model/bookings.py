"""The store's rows on money: X's charges, and the sums of an hour."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

__all__ = ["Booking", "BudgetEntry"]


class Booking(Struct, frozen=True, kw_only=True, gc=False):
    """Hold a charge of X, to be added to the sum of an account's hour.

    Attributes:
        at: The time of the charge.
        app: The app, as named in the settings, whose credits pay for the resource.
        resource: The name of the resource (`Posts: Read/123`), which X charges once for each app
            and UTC day; "" for a charge without such a limit.
    """

    account_id: str
    at: datetime
    app: str = ""
    resource: str = ""
    reads_usd: Decimal = Decimal(0)
    writes_usd: Decimal = Decimal(0)


class BudgetEntry(Struct, frozen=True, kw_only=True, gc=False):
    """Hold the sum of an account's `calls` bookings in one hour; `hour` is its start, UTC."""

    account_id: str
    hour: datetime
    reads_usd: Decimal
    writes_usd: Decimal
    calls: int
