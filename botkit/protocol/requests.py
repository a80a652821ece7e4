"""Calls of X's API v2 as values: method, path, query and body; no host, no credentials."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Request"]


class Request(Struct, frozen=True, kw_only=True, gc=False):
    """One call. `operation` is the operation id of the table, which knows kinds and prices.

    `path` has its parameters filled in, percent-encoded. `resources` is how many resources the
    answer may bring at most, for the price of a read; `has_link` makes a post cost more, and
    `summoned` makes it cost less.
    """

    operation: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    json: bytes | None = None
    resources: int = 1
    has_link: bool = False
    summoned: bool = False
    as_app: bool = False
    """Sent with the bearer of the account's app, whatever else the operation accepts."""

    @property
    def name(self) -> str:
        """What logs and errors call it: method and path."""
        return f"{self.method} {self.path}"
