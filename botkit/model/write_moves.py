"""Which state of a write may follow which. The only table of it: every store driver reads it.

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
"""For each state the states from which a move leads there. Only `begin` leads to SENDING."""

MAY_HAVE_HAPPENED: Final = (
    WriteState.CONFIRMED,
    WriteState.SENDING,
    WriteState.UNCERTAIN,
    WriteState.UNRESOLVED,
)
"""The states of a write that X may show."""


def stays(found: WriteState, to: WriteState) -> bool:
    """Return True if the move is made already and the row must stay as it is.

    UNCERTAIN is written again: the newest doubt says when to read next.
    """
    return found is to and to is not WriteState.UNCERTAIN
