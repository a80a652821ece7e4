"""How a source reports its state, for `botkit status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["StatusReporter"]


class StatusReporter(Protocol):
    """Takes a source's state; logs and stores it if it has changed."""

    def __call__(
        self, part: str, state: str, detail: str = "", data: Mapping[str, str] | None = None
    ) -> None:
        """Report `state`, one word: `starting`, `live`, `waiting`, `off` or `wrong`."""
        ...
