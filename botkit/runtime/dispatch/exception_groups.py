"""Groups of errors, as task groups raise them, taken apart."""

from __future__ import annotations

from typing import cast

__all__ = ["leaves_of"]


def leaves_of(error: BaseException) -> list[BaseException]:
    """The errors in a group, those of the groups in it too; the error itself when it is none."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    group = cast("BaseExceptionGroup[BaseException]", error)
    return [leaf for part in group.exceptions for leaf in leaves_of(part)]
