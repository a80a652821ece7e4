"""The store's rows on money: X's charges, open reads, and the sums of an hour."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

__all__ = ["Booking", "BudgetEntry", "OpenRead"]


class OpenRead(Struct, frozen=True, kw_only=True, gc=False):
    """Hold a read whose charge is not known: it is under way, or its answer was lost.

    One row stands for all reads of the same request on a UTC day, which cost as much as one.

    Attributes:
        at: The time at which the request was sent.
        app: The app, as named in the settings, whose credits pay for the read.
        request: The request, as JSON.
        most_usd: The most that the read can have cost.
        given_up: True if the day ended without an answer: `most_usd` is booked.
    """

    account_id: str
    app: str
    at: datetime
    request: str
    most_usd: Decimal
    given_up: bool = False


class Booking(Struct, frozen=True, kw_only=True, gc=False):
    """Hold a charge of X, to be added to the sum of an account's hour.

    Attributes:
        at: The time of the charge.
        app: The app, as named in the settings, whose credits pay for the resource.
        resource: The name of the resource (`Posts: Read/123`), which X charges once for each app
            and UTC day; "" for a charge without such a limit.
        settles: The read whose answer has shown its charge; such a booking adds no money.
    """

    account_id: str
    at: datetime
    app: str = ""
    resource: str = ""
    reads_usd: Decimal = Decimal(0)
    writes_usd: Decimal = Decimal(0)
    settles: OpenRead | None = None


class BudgetEntry(Struct, frozen=True, kw_only=True, gc=False):
    """Hold the sum of an account's `calls` bookings in one hour; `hour` is its start, UTC."""

    account_id: str
    hour: datetime
    reads_usd: Decimal
    writes_usd: Decimal
    calls: int
