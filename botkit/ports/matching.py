"""The properties that a filter can declare, for the checks of the wiring and for the index.

A plain function from an event to a bool is a filter too: it declares none. The filters of
`botkit.filters` declare theirs.
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
    """Declare a necessary condition: an event that passes has at least one of these keys.

    Attributes:
        keys: Returns an event's keys. Filters that pin the same property share the function.
        values: The keys; a passing event has at least one of them.
        worth: The number of handlers from which a look-up costs less than calling the filters.
        decides: True if having one of the keys is also sufficient: then the filter is not called.
    """

    keys: Callable[[Any], Iterable[Hashable]]
    values: frozenset[Hashable]
    worth: int = 1
    decides: bool = False


@runtime_checkable
class Selective(Protocol):
    """A filter that declares its pins, the values it provides and the events it accepts."""

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
