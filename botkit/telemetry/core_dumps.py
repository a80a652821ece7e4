"""No core file and no debugger while secrets are in memory.

Linux: the limit of core files is 0, and the process is not dumpable, so that a crash handler that
takes cores through a pipe gets none and another process of the same user cannot attach. Elsewhere
the limit alone. What a process starts has its own memory and can be debugged as before.
Source: prctl(2), PR_SET_DUMPABLE; core(5); docs/explanation/requirements.md, G6.
"""

from __future__ import annotations

import sys

__all__ = ["forbid_dumps"]

_PR_SET_DUMPABLE = 4
"""Source: linux/prctl.h."""


def forbid_dumps() -> None:
    """For the rest of this process. Nothing happens on a system that has no such limit."""
    if sys.platform == "win32":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    if sys.platform == "linux":
        import ctypes

        # The standard library has no call for it.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
