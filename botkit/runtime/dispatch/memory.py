"""Loads the author's state before a handler runs; it is committed with the event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botkit.routing.stored_state import check_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from botkit.model.events import Event
    from botkit.model.records import StateChange
    from botkit.ports.store import States
    from botkit.routing.state import StateParam, StateReading
    from botkit.runtime.dispatch.turns import Place

__all__ = ["NOTHING", "Memory", "held_places", "recall"]

_ORDER: Final = ("conversation", "user", "bot")
"""The order in which handlers take what they hold: no two of them wait for each other."""


class Memory:
    """The pieces of state that one run of a handler holds, by what it asked for."""

    __slots__ = ("values",)

    def __init__(self, values: Mapping[Any, StateReading[Any]]) -> None:
        self.values: Mapping[Any, StateReading[Any]] = values

    def changes(self, *, most_kib: int) -> tuple[StateChange, ...]:
        """Return the changes that the handler made.

        Raises:
            StateError: A value takes more than `most_kib`.
        """
        changes: list[StateChange] = []
        for handle in self.values.values():
            change = handle.change()
            if change is not None:
                check_size(handle.shown, change.value or b"", most_kib)
                changes.append(change)
        return tuple(changes)


NOTHING: Final = Memory({})


def held_places(params: Sequence[StateParam], *, subject: Event, account_id: str) -> list[Place]:
    """Return the pieces of state that a handler may change, in the order to take them.

    Raises:
        LookupError: The event belongs to no conversation or user.
    """
    found = {
        (
            _ORDER.index(param.handle.kind),
            param.scope,
            param.row_key(subject, account_id=account_id),
        )
        for param in params
        if param.is_held
    }
    return [(scope, key) for _, scope, key in sorted(found)]


async def recall(
    states: States, params: Sequence[StateParam], *, subject: Event, account_id: str
) -> Memory:
    """Load what a handler asks for; `subject` says whose it is.

    Raises:
        LookupError: The event belongs to no conversation or user.
        Corrupt: What is stored does not fit its class.
    """
    values: dict[Any, StateReading[Any]] = {}
    for param in params:
        key = param.row_key(subject, account_id=account_id)
        row = await states.read(param.scope, key)
        values[param.wanted] = param.open(subject, row, account_id=account_id)
    return Memory(values)
