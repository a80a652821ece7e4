"""Follow pages to their end, but not without end.

A token that repeats, or pages without end, are a fault of X or of a proxy, and reading on would
cost money for nothing. Source: X API docs, "Pagination".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.errors import MalformedAnswer

if TYPE_CHECKING:
    from botkit.protocol.api.responses import Response

__all__ = ["PageTrail"]


class PageTrail:
    """The page tokens of one read.

    One trail serves one read from its first page; it is not a value and is not shared.
    """

    __slots__ = ("_most", "_name", "_seen")

    def __init__(self, request_name: str, *, most_pages: int = 100) -> None:
        self._name = request_name
        self._most = most_pages
        self._seen: set[str] = set()

    def next_token(self, response: Response) -> str | None:
        """Return the token of the next page; None if this is the last.

        Raises:
            MalformedAnswer: The token came before, is not text, or there are more pages than
                `most_pages`. The pages that were read until then are good.
        """
        token = response.meta.get("next_token")
        if token is None or token == "":
            return None
        if not isinstance(token, str):
            raise self._stop(response, "a page token that is no text")
        if token in self._seen:
            raise self._stop(response, "a page token that came before")
        self._seen.add(token)
        if len(self._seen) >= self._most:
            raise self._stop(response, f"more than {self._most} pages")
        return token

    def _stop(self, response: Response, what: str) -> MalformedAnswer:
        return MalformedAnswer(
            f"X answered {self._name} with {what}; stopped reading on.",
            request=self._name,
            status=response.status,
            detail=what,
        )
