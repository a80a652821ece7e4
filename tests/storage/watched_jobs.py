"""Watches the jobs that all drivers share: do they lock before they read, and is their SQL shared?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from botkit.storage.sqlite.engine import Engine

__all__ = ["WatchedReader", "WatchedTransaction", "watch_jobs"]

_SHARED = "botkit.storage.sql."
_NOT_SHARED = {
    "a parameter without a number": re.compile(r"\?(?!\d)"),
    '"user" without quotes': re.compile(r"(?<![\"\w])user(?![\"\w(])", re.IGNORECASE),
    "a word that PostgreSQL does not know": re.compile(
        r"\b(json_each|zeroblob|rowid|nocase|glob|ifnull|last_insert_rowid|insert or)\b",
        re.IGNORECASE,
    ),
    "a word that old SQLite does not know": re.compile(r"\breturning\b", re.IGNORECASE),
    "a number where a condition belongs": re.compile(
        r"\b(where|and|or) \d+\b(?! *[<>=])", re.IGNORECASE
    ),
    "min or max of several values": re.compile(
        r"\b(min|max)\((?:[^()]|\([^()]*\))*,", re.IGNORECASE
    ),
}


class WatchedReader:
    """Passes statements on, and notes those that a second driver could not run."""

    def __init__(self, inner: Any, job: str, faults: list[str]) -> None:
        self._inner = inner
        self._job = job
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        self._look_at(statement)
        return self._inner.execute(statement, parameters)

    def _look_at(self, statement: str) -> None:
        for what, pattern in _NOT_SHARED.items():
            if pattern.search(statement):
                self._note(f"{what}: {' '.join(statement.split())}")

    def _note(self, fault: str) -> None:
        self._faults.append(f"{self._job}: {fault}")


class WatchedTransaction(WatchedReader):
    """The same, and notes a job that writes after a read that no lock came before."""

    def __init__(self, inner: Any, job: str, faults: list[str]) -> None:
        super().__init__(inner, job, faults)
        self._locked = self._has_read = self._has_begun = False

    @property
    def scrub(self) -> bool:
        found: bool = self._inner.scrub
        return found

    @scrub.setter
    def scrub(self, value: bool) -> None:
        self._inner.scrub = value

    def lock(self, name: str) -> None:
        if self._has_begun:
            self._note(f"locks {name} after its first statement")
        self._locked = True
        self._inner.lock(name)

    def check(self, fence: Any) -> None:
        self._has_begun = True
        self._inner.check(fence)

    def holds(self, fence: Any) -> bool:
        self._has_begun = True
        found: bool = self._inner.holds(fence)
        return found

    def executemany(self, statement: str, rows: Any) -> Any:
        self._look_at(statement)
        return self._inner.executemany(statement, rows)

    def insert(self, statement: str, parameters: Sequence[Any]) -> int:
        self._look_at(statement)
        number: int = self._inner.insert(statement, parameters)
        return number

    def _look_at(self, statement: str) -> None:
        super()._look_at(statement)
        self._has_begun = True
        if statement.split(maxsplit=1)[0].upper() == "SELECT":
            self._has_read = True
        elif self._has_read and not self._locked:
            self._note("writes after a read, and locked nothing")


def watch_jobs(engine: type[Engine], faults: list[str]) -> dict[str, Callable[..., Any]]:
    """Return `read` and `write` for the engine, which watch the shared jobs that pass through."""
    read, write = engine.read, engine.write

    async def watched_read(self: Any, job: Any) -> Any:
        if not job.__module__.startswith(_SHARED):
            return await read(self, job)
        name = job.__qualname__
        return await read(self, lambda reader: job(WatchedReader(reader, name, faults)))

    async def watched_write(self: Any, job: Any, *items: Any) -> Any:
        if items or not job.__module__.startswith(_SHARED):
            return await write(self, job, *items)
        name = job.__qualname__
        return await write(
            self, lambda transaction: job(WatchedTransaction(transaction, name, faults))
        )

    return {"read": watched_read, "write": watched_write}
