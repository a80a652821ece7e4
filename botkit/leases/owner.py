"""Names of processes, for leases: unique, and on the same machine asked whether they live.

A bot that was killed leaves its lease behind. Where it can be seen that its process is gone, the
next one need not wait until the lease runs out.
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
"""Where a process's start time stands in /proc/PID/stat after the name. Source: proc(5)."""

_ENDED = "ended"
_ENDED_STATES = frozenset("ZX")


def this_process(entropy: Entropy) -> str:
    """A name for this start of this process: host, boot, process id, its start, and chance."""
    pid = os.getpid()
    parts = (platform.node(), _boot(), str(pid), _started(pid), entropy.token_bytes(4).hex())
    return "/".join(part.replace("/", "_") for part in parts)


def in_words(name: str) -> str:
    """The process of that name for a person, who wants to find it."""
    host, *parts = name.split("/")
    return f"process {parts[1]} on {host}" if len(parts) > 1 else name


def is_alive(name: str) -> bool | None:
    """Whether the process of that name is alive; None when that cannot be known from here.

    Of this process itself nothing is said: it may hold a role under several names.
    """
    parts = name.split("/")
    if len(parts) != _PARTS or parts[0] != platform.node().replace("/", "_"):
        return None
    _, boot, pid, started, _ = parts
    if not pid.isdigit() or boot != _boot():
        # Another boot, or another container that happens to have the same host name.
        return None
    if int(pid) == os.getpid():
        # A container's only process has the same number after each start.
        return None if started == _started(int(pid)) else False
    if not _exists(int(pid)):
        return False
    return started == _started(int(pid))


async def lives(name: str) -> bool | None:
    """As `is_alive`, without keeping the event loop."""
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
    """When the process started, in the kernel's ticks; "" where there is no /proc.

    One that has ended and that its parent has not asked about is still listed, as a zombie.
    """
    with contextlib.suppress(OSError, IndexError):
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        fields = stat.rpartition(")")[2].split()
        return _ENDED if fields[0] in _ENDED_STATES else fields[_START_TIME]
    return ""


def _boot() -> str:
    """The boot and the process namespace: a process id means nothing outside of them."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        space = Path("/proc/self/ns/pid").readlink()
        return f"{boot}.{space}"
    return ""
