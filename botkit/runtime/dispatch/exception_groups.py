"""Takes apart the groups of errors that task groups raise."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["deciding", "leaves_of"]


def leaves_of(error: BaseException) -> list[BaseException]:
    """Return all errors of a group and of the groups in it; for another error, only itself."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    group = cast("BaseExceptionGroup[BaseException]", error)
    return [leaf for part in group.exceptions for leaf in leaves_of(part)]


def deciding(
    error: BaseException, kinds: Iterable[tuple[type[BaseException], ...]]
) -> BaseException:
    """Return a group's member of the kind that comes first in `kinds`, else the group itself."""
    leaves = leaves_of(error)
    for wanted in kinds:
        for leaf in leaves:
            if isinstance(leaf, wanted):
                return leaf
    return error
