"""What a filter can declare about itself, for the checks of the wiring and for the index.

A plain function from an event to a bool is a filter, too: it declares nothing. The filters of
`botkit.filters` declare more.
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
    """A necessary condition of a filter: an event that passes has at least one of these keys.

    Attributes:
        keys: Returns an event's keys. Filters that pin the same property share the function.
        values: The keys of which the event must have one.
        worth: The number of handlers from which a look-up costs less than calling the filters.
        decides: Whether one of the keys is sufficient, too: then the filter is not called.
    """

    keys: Callable[[Any], Iterable[Hashable]]
    values: frozenset[Hashable]
    worth: int = 1
    decides: bool = False


@runtime_checkable
class Selective(Protocol):
    """A filter that declares what it pins, what it provides and which events it takes."""

    @property
    def pins(self) -> tuple[Pin, ...]:
        """Conditions that every passing event fulfils; empty if there are none."""
        ...

    @property
    def provides(self) -> tuple[type, ...]:
        """The types of the values that a passing event yields, one value each."""
        ...

    @property
    def conflicts(self) -> tuple[type, ...]:
        """The types that two parts of the filter provide at once: wiring refuses them."""
        ...

    def takes(self, event_type: type[Event], /) -> bool:
        """Return True if events of this class have the attributes that the filter reads."""
        ...

    def find(self, event: Any, /) -> Mapping[Any, Any] | None:
        """Return the provided values by type, or None if the event does not pass."""
        ...
