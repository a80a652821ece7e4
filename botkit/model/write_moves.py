"""The table of allowed changes of a write's state. Every store driver reads it.

Source: docs/explanation/requirements.md, "Writes".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from botkit.model.records import WriteState

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ALLOWED_MOVES", "MAY_HAVE_HAPPENED", "stays"]

_ANY: Final = frozenset(WriteState)
_NOT_CONFIRMED: Final = _ANY - {WriteState.CONFIRMED}

ALLOWED_MOVES: Final[Mapping[WriteState, frozenset[WriteState]]] = {
    WriteState.CONFIRMED: _ANY,
    WriteState.REJECTED: _NOT_CONFIRMED,
    WriteState.QUEUED: _NOT_CONFIRMED - {WriteState.REJECTED, WriteState.EXPIRED},
    WriteState.UNCERTAIN: frozenset({WriteState.SENDING, WriteState.UNCERTAIN}),
    WriteState.ABSENT: _NOT_CONFIRMED,
    WriteState.UNRESOLVED: _NOT_CONFIRMED,
    WriteState.EXPIRED: _NOT_CONFIRMED,
}
"""Maps each state to the states from which a write may reach it. Only `begin` sets SENDING."""

MAY_HAVE_HAPPENED: Final = (
    WriteState.CONFIRMED,
    WriteState.SENDING,
    WriteState.UNCERTAIN,
    WriteState.UNRESOLVED,
)
"""The states of a write that X may have carried out."""


def stays(found: WriteState, to: WriteState) -> bool:
    """Return True if the write is in that state already and its row must not change.

    UNCERTAIN is the exception: it is written again, with the new time of the next reading.
    """
    return found is to and to is not WriteState.UNCERTAIN
