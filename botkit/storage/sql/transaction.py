"""What a driver brings, so that the jobs of this room run on it.

A job is a function that takes a `Transaction` and runs statements in it; it changes nothing but
the store, because a driver may run it again from the start. A statement numbers its parameters
(`?1`, `?2`), quotes `"user"`, and uses only what SQLite and PostgreSQL both know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from botkit.model.records import Fence
    from botkit.storage.sql.event_rows import EventRow

__all__ = ["SqlCursor", "SqlEngine", "SqlReader", "Transaction"]

T = TypeVar("T")


class SqlCursor(Protocol):
    """The answer to a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows the statement changed."""
        ...

    def fetchone(self) -> Any:
        """Return the next row, None after the last."""
        ...

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class SqlReader(Protocol):
    """A snapshot to read from."""

    def execute(self, statement: str, parameters: Sequence[Any] = ..., /) -> SqlCursor:
        """Run a statement."""
        ...


class Transaction(SqlReader, Protocol):
    """An open transaction."""

    scrub: bool
    """Set by a job that replaced or deleted a secret: its old bytes are overwritten soon."""

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> SqlCursor:
        """Run a statement once for each row of parameters."""
        ...

    def insert(self, statement: str, parameters: Sequence[Any], /) -> int:
        """Insert one row into a table that numbers its rows; return the number."""
        ...

    def lock(self, name: str, /) -> None:
        """Keep all other transactions that lock this name waiting until this one has ended.

        A job that reads before it writes begins with it. One that locks several names locks them
        in the order invitation, vault check, login.
        """
        ...

    def check(self, fence: Fence | None, /) -> None:
        """Raise `LeaseLost` unless the lease row still has the fence's epoch; None passes."""
        ...

    def holds(self, fence: Fence | None, /) -> bool:
        """Return True if the lease row still has the fence's epoch; None passes."""
        ...

    def forget_leases(self) -> None:
        """Read the lease row anew at the next check: this transaction changed one."""
        ...

    def record_events(self, rows: Sequence[EventRow], /) -> list[int | None]:
        """Insert events; return the sequence number of each, None for a duplicate."""
        ...

    def reserve(self, size_bytes: int, /) -> None:
        """Make sure that a later transaction of that size finds room to be committed."""
        ...


class SqlEngine(Protocol):
    """Runs jobs."""

    async def read(self, job: Callable[[SqlReader], T], /) -> T:
        """Run the job on a snapshot that holds every write that was answered before."""
        ...

    async def write(self, job: Callable[[Transaction], T], /) -> T:
        """Run the job in a transaction; return when it is committed and synced."""
        ...
