"""Which handlers can be for an event: by what their filters pin, in order of registration.

A filter that pins something (a command word, an author, a piece of text) says so with `Pin`s,
each a condition that whatever passes fulfils. An entry is filed under one of its pins; entries
without are residual and are always asked. So the cost of an event does not grow with the number
of handlers that are pinned, and what the index leaves out would have been refused anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from botkit.ports.matching import Pin

__all__ = ["Index", "Pinned"]

_SEVERAL = 2

Keys: TypeAlias = Callable[[Any], Iterable[Hashable]]


class Pinned(Protocol):
    """An entry of the index."""

    @property
    def position(self) -> int:
        """Its place in the order of registration."""
        ...

    @property
    def pins(self) -> tuple[Pin, ...]:
        """What its filters pin."""
        ...


T = TypeVar("T", bound=Pinned)


class Index(Generic[T]):
    """Entries for one class of events."""

    def __init__(self, entries: Sequence[T]) -> None:
        """Entries are given in order of their position."""
        filed = _filed(entries)
        self._residual = tuple(entry for entry in entries if entry.position not in filed)
        fields: dict[Keys, dict[Hashable, list[T]]] = {}
        for entry in entries:
            pin = filed.get(entry.position)
            if pin is not None:
                field = fields.setdefault(pin.keys, {})
                for value in pin.values:
                    field.setdefault(value, []).append(entry)
        self._fields = tuple((keys, field.get) for keys, field in fields.items())

    def lookup(self, event: Any) -> Sequence[T]:
        """The entries that can match, in order of their position."""
        found: Sequence[T] = ()
        for keys, get in self._fields:
            for key in keys(event):
                entries = get(key)
                if entries is not None:
                    found = [*found, *entries] if found else entries
        if not self._residual:
            # One hit is in order already; several may name an entry twice.
            return found if len(found) < _SEVERAL else _in_order(found)
        return _in_order([*found, *self._residual]) if found else self._residual


def _in_order(entries: Iterable[T]) -> list[T]:
    by_position = {entry.position: entry for entry in entries}
    return [by_position[position] for position in sorted(by_position)]


def _filed(entries: Iterable[Pinned]) -> dict[int, Pin]:
    """Choose a pin for each entry: a cheap kind first, then the one that fewest others share."""
    pinned = [entry for entry in entries if entry.pins]
    shared = Counter(
        (pin.keys, value) for entry in pinned for pin in entry.pins for value in pin.values
    )

    def cost(pin: Pin) -> tuple[int, int]:
        return pin.worth, sum(shared[pin.keys, value] for value in pin.values)

    chosen = {entry.position: min(entry.pins, key=cost) for entry in pinned}
    users = Counter(pin.keys for pin in chosen.values())
    return {position: pin for position, pin in chosen.items() if users[pin.keys] >= pin.worth}
