"""What a filter may say of itself, so that wiring can check it and the index can use it.

A plain function that takes an event and gives a bool is a filter, too: it pins nothing and
provides nothing. `botkit.filters` makes filters that say more.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botkit.model.events import Event

__all__ = ["Pin", "Selective"]


class Pin(Struct, frozen=True, kw_only=True):
    """A necessary condition: what passes the filter has at least one of these keys.

    Attributes:
        keys: Gives an event's keys. Filters that pin the same thing share the function.
        values: The keys, of which the event must have one.
        worth: From how many handlers on looking keys up costs less than asking the filters.
        decides: Whether the filter passes whatever has one of the keys: it need not be asked.
    """

    keys: Callable[[Any], Iterable[Hashable]]
    values: frozenset[Hashable]
    worth: int = 1
    decides: bool = False


@runtime_checkable
class Selective(Protocol):
    """A filter that says what it pins, what it provides and which events it can judge."""

    @property
    def pins(self) -> tuple[Pin, ...]:
        """Conditions that all hold for whatever passes; empty when there is none to look up."""
        ...

    @property
    def provides(self) -> tuple[type, ...]:
        """Types of the values that a passing event yields, each with one value."""
        ...

    @property
    def conflicts(self) -> tuple[type, ...]:
        """Types that two parts of the filter provide at once: wiring refuses them."""
        ...

    def takes(self, event_type: type[Event], /) -> bool:
        """Whether events of this class have what the filter looks at."""
        ...

    def find(self, event: Any, /) -> Mapping[Any, Any] | None:
        """The provided values by type when the event passes, None when it does not."""
        ...
