"""Unique process names for leases, and a check whether the named process is alive.

A killed bot leaves its lease behind. If the check shows that its process is gone (it works on the
same machine only), the next process need not wait until the lease runs out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from botkit.ports import Entropy

    Lives = Callable[[str], Awaitable[bool | None]]

__all__ = ["in_words", "is_alive", "lives", "this_process"]

_PARTS = 5
_START_TIME = 19
"""The index of the start time among the fields after the name in /proc/PID/stat.

Source: proc(5).
"""

_ENDED = "ended"
_ENDED_STATES = frozenset("ZX")


def this_process(entropy: Entropy) -> str:
    """Return a unique name for this process: host, boot, process id, start time, random part."""
    pid = os.getpid()
    parts = (platform.node(), _boot(), str(pid), _started(pid), entropy.token_bytes(4).hex())
    return "/".join(part.replace("/", "_") for part in parts)


def in_words(name: str) -> str:
    """Return the process name in words that help a person find the process."""
    host, *parts = name.split("/")
    return f"process {parts[1]} on {host}" if len(parts) > 1 else name


def is_alive(name: str) -> bool | None:
    """Return whether the process of that name is alive, None if that cannot be known from here.

    Return None for this process itself too: it may hold a role under several names.
    """
    parts = name.split("/")
    if len(parts) != _PARTS or parts[0] != platform.node().replace("/", "_"):
        return None
    _, boot, pid, started, _ = parts
    if not pid.isdigit() or boot != _boot():
        # The name is of another boot, or of another container with the same host name.
        return None
    if int(pid) == os.getpid():
        # A container's only process has the same id after each start: compare the start times.
        return None if started == _started(int(pid)) else False
    if not _exists(int(pid)):
        return False
    return started == _started(int(pid))


async def lives(name: str) -> bool | None:
    """Return the result of `is_alive`, without blocking the event loop."""
    return await asyncio.to_thread(is_alive, name)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _started(pid: int) -> str:
    """Return the process's start time in kernel ticks, "" where there is no /proc.

    Return `_ENDED` for a zombie: a process that has ended, but is still listed because its
    parent has not waited for it.
    """
    with contextlib.suppress(OSError, IndexError):
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        fields = stat.rpartition(")")[2].split()
        return _ENDED if fields[0] in _ENDED_STATES else fields[_START_TIME]
    return ""


def _boot() -> str:
    """Return the ids of the boot and the process namespace in which a process id is valid."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        space = Path("/proc/self/ns/pid").readlink()
        return f"{boot}.{space}"
    return ""
