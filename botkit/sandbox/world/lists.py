"""Lists of the simulated X: their members and followers, and who pinned them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from botkit.ports.io import Clock

__all__ = ["ListRecord", "Lists"]


@dataclass(slots=True, eq=False)
class ListRecord:
    """A list of users. A `private` one is there for its owner only.

    The ids of its members and followers, and of those who pinned it, are in the order in which
    they were added.
    """

    id: str
    owner_id: str
    name: str
    created_at: datetime
    description: str = ""
    private: bool = False
    members: dict[str, None] = field(default_factory=dict[str, None])
    followers: dict[str, None] = field(default_factory=dict[str, None])
    pinned_by: dict[str, None] = field(default_factory=dict[str, None])


class Lists:
    """All lists, by id."""

    def __init__(self, clock: Clock, next_id: Callable[[], str]) -> None:
        self._clock = clock
        self._next_id = next_id
        self._lists: dict[str, ListRecord] = {}

    def add(
        self, owner_id: str, name: str, *, description: str = "", private: bool = False
    ) -> ListRecord:
        """Create and return a list."""
        made = ListRecord(
            id=self._next_id(),
            owner_id=owner_id,
            name=name,
            created_at=self._clock.now(),
            description=description,
            private=private,
        )
        self._lists[made.id] = made
        return made

    def get(self, list_id: str) -> ListRecord | None:
        """Return the list of this id, or None."""
        return self._lists.get(list_id)

    def remove(self, list_id: str) -> None:
        """Delete a list; do nothing if there is none."""
        self._lists.pop(list_id, None)

    def all(self) -> list[ListRecord]:
        """Return all lists, oldest first."""
        return list(self._lists.values())
