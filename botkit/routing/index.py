"""Finds the handlers that may match an event by what their filters pin.

A filter that pins something (a command word, an author, a piece of text) declares it by `Pin`s,
each a condition that every passing event fulfils. The index files an entry under one of its pins;
entries without pins are always candidates. The cost of an event does not grow with the number of
pinned handlers, and the index leaves out only handlers whose filters would refuse the event.
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
        """The entry's place in the order of registration."""
        ...

    @property
    def pins(self) -> tuple[Pin, ...]:
        """The pins of its filters."""
        ...


T = TypeVar("T", bound=Pinned)


class Index(Generic[T]):
    """The entries for one class of events."""

    def __init__(self, entries: Sequence[T]) -> None:
        """File the entries, which must be in the order of their positions."""
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
        """Return the entries that may match, in the order of their positions."""
        found: Sequence[T] = ()
        for keys, get in self._fields:
            for key in keys(event):
                entries = get(key)
                if entries is not None:
                    found = [*found, *entries] if found else entries
        if not self._residual:
            # The entries of one key are in order; those of several may contain one twice.
            return found if len(found) < _SEVERAL else _in_order(found)
        return _in_order([*found, *self._residual]) if found else self._residual


def _in_order(entries: Iterable[T]) -> list[T]:
    by_position = {entry.position: entry for entry in entries}
    return [by_position[position] for position in sorted(by_position)]


def _filed(entries: Iterable[Pinned]) -> dict[int, Pin]:
    """Choose a pin for each entry: a cheap kind first, then the pin that the fewest share."""
    pinned = [entry for entry in entries if entry.pins]
    shared = Counter(
        (pin.keys, value) for entry in pinned for pin in entry.pins for value in pin.values
    )

    def cost(pin: Pin) -> tuple[int, int]:
        return pin.worth, sum(shared[pin.keys, value] for value in pin.values)

    chosen = {entry.position: min(entry.pins, key=cost) for entry in pinned}
    users = Counter(pin.keys for pin in chosen.values())
    return {position: pin for position, pin in chosen.items() if users[pin.keys] >= pin.worth}
