"""The group of the store that counts money. `botkit.ports.store` has the promises it keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from botkit.model.bookings import Booking, BudgetEntry, OpenRead

__all__ = ["Ledger"]


class Ledger(Protocol):
    """Record the money spent, by account and hour, the charged resources, and open reads."""

    async def book(self, bookings: Sequence[Booking]) -> None:
        """Add each booking to its account's hour, all or nothing.

        Skip a resource that was booked for its app earlier on the same UTC day. A repeated call
        adds bookings without a resource again.
        """
        ...

    async def spent(self, account_id: str | None = None, *, since: datetime) -> list[BudgetEntry]:
        """Return the entries from the hour of `since` on, of one account or all, oldest first."""
        ...

    async def open_read(self, read: OpenRead) -> bool:
        """Record a read before it is sent; return False if one of the same request is open.

        A booking with `settles` closes it.
        """
        ...

    async def open_reads(self) -> list[OpenRead]:
        """Return the reads whose charge is not known, also those given up, oldest first."""
        ...

    async def give_up_read(self, read: OpenRead, bookings: Sequence[Booking]) -> bool:
        """Book the most that an open read can have cost, and record that it was given up.

        Close it if there is nothing to book. Return False, and book nothing, if it is not open
        any more.
        """
        ...
