"""Make the start of `botkit run` cheaper, before anything else is imported.

The garbage collector is off until the bot runs: nothing that a start allocates is ever freed.
structlog is imported without rich, which it uses only for tracebacks that botkit never prints.
"""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["started", "starting"]

_HIDDEN = "rich"


@contextmanager
def starting() -> Generator[None]:
    """Switch the garbage collector off until `started` is called, or until the block ends."""
    gc.disable()
    try:
        _import_structlog()
        yield
    finally:
        gc.enable()


def started() -> None:
    """Switch the garbage collector on, for all objects but those that exist already.

    Those live as long as the process. Looking through them again and again would be most of the
    collector's work in a process that runs for weeks.
    """
    gc.freeze()
    gc.enable()


def _import_structlog() -> None:
    """Import structlog while rich cannot be imported, which saves a third of the time of a start.

    structlog uses rich for tracebacks that show the values of local names. Those can be secrets,
    so botkit's logs never have such tracebacks.
    """
    if _HIDDEN in sys.modules:
        return
    sys.modules[_HIDDEN] = None  # type: ignore[assignment] # imports of it fail, as documented
    try:
        import_module("structlog")
    finally:
        del sys.modules[_HIDDEN]
