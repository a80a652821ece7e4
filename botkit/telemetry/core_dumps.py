"""Forbids core files and debuggers while secrets are in memory.

On Linux the limit for core files is 0 and the process is not dumpable: a crash handler that reads
cores from a pipe gets none, and another process of the same user cannot attach. Elsewhere only the
limit is set. Child processes have memory of their own and can be debugged as usual.
Source: prctl(2), PR_SET_DUMPABLE; core(5); docs/explanation/requirements.md, G6.
"""

from __future__ import annotations

import sys

__all__ = ["forbid_dumps"]

_PR_SET_DUMPABLE = 4
"""Source: linux/prctl.h."""


def forbid_dumps() -> None:
    """Forbid core dumps until this process ends; do nothing on a system without the limit."""
    if sys.platform == "win32":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    if sys.platform == "linux":
        import ctypes

        # The standard library has no wrapper of prctl.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
