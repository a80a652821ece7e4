"""Takes apart the groups of errors that task groups raise."""

from __future__ import annotations

from typing import cast

__all__ = ["leaves_of"]


def leaves_of(error: BaseException) -> list[BaseException]:
    """Return all errors of a group and of the groups in it; for another error, only itself."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    group = cast("BaseExceptionGroup[BaseException]", error)
    return [leaf for part in group.exceptions for leaf in leaves_of(part)]
