"""What `botkit run` does before it imports anything: a start costs less then.

Nothing of a start is garbage, so nothing looks for any until the bot runs; and structlog is
imported without rich, which it would bring along for tracebacks that botkit never prints.
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
    """The start of a bot, and all that follows: the collector rests until `started`."""
    gc.disable()
    try:
        _import_structlog()
        yield
    finally:
        gc.enable()


def started() -> None:
    """The collector works as ever from here, but for what is there already.

    It never looks through that again: it would be most of what it does in a process that runs
    for weeks.
    """
    gc.freeze()
    gc.enable()


def _import_structlog() -> None:
    """Without rich, which it imports where it can: a third of what a start costs.

    rich would serve structlog's tracebacks that show the values of local names, secrets among
    them: botkit's logs never do.
    """
    if _HIDDEN in sys.modules:
        return
    sys.modules[_HIDDEN] = None  # type: ignore[assignment] # imports of it fail, as documented
    try:
        import_module("structlog")
    finally:
        del sys.modules[_HIDDEN]
