"""Give the pages of deleted rows back to the file system, a few at a time.

Source: SQLite documentation, pragmas `auto_vacuum` and `incremental_vacuum`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.storage.sqlite.schema import PAGE_BYTES

if TYPE_CHECKING:
    from botkit.storage.sqlite.transaction import SqliteTransaction

__all__ = ["give_room_back"]

_AT_ONCE = 1000
"""The most pages to move in one transaction (4 MB): other writers wait for some 30 ms."""
_SPARE = 16 * 1024 * 1024 // PAGE_BYTES
"""The free pages to keep for new rows, or an eighth of the file if that is more."""


def give_room_back(transaction: SqliteTransaction) -> bool:
    """Shorten the file by some of its free pages; return True if more can be removed.

    Do nothing in a file that was made before botkit made them shrinkable.
    """
    free = _number(transaction, "freelist_count")
    spare = max(_SPARE, _number(transaction, "page_count") // 8)
    if free <= spare or not _number(transaction, "auto_vacuum"):
        return False
    pages = min(_AT_ONCE, free - spare)
    for _ in range(pages):  # in Python, the pragma frees one page a call
        transaction.execute("PRAGMA incremental_vacuum(1)")
    return pages == _AT_ONCE


def _number(transaction: SqliteTransaction, pragma: str) -> int:
    return int(transaction.execute(f"PRAGMA {pragma}").fetchone()[0])
