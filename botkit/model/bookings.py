"""Money as the store keeps it: what X charged, and the sums of an hour."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

__all__ = ["Booking", "BudgetEntry"]


class Booking(Struct, frozen=True, kw_only=True, gc=False):
    """Money that X charges, to be added to an account's hour.

    Attributes:
        at: When it was charged.
        app: The app, as named in the settings, whose credits pay for the resource.
        resource: The name of the resource (`Posts: Read/123`), which X charges once for each app
            and UTC day; "" for what X charges each time.
    """

    account_id: str
    at: datetime
    app: str = ""
    resource: str = ""
    reads_usd: Decimal = Decimal(0)
    writes_usd: Decimal = Decimal(0)


class BudgetEntry(Struct, frozen=True, kw_only=True, gc=False):
    """Money spent by one account in one hour, by `calls` bookings. `hour` is its start, UTC."""

    account_id: str
    hour: datetime
    reads_usd: Decimal
    writes_usd: Decimal
    calls: int
