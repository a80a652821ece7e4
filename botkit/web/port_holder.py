"""Name the process that listens on a port, if the system shows it (Linux, own processes).

Source: proc(5), `/proc/net/tcp` and `/proc/PID/fd`.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["holder_of"]

_PROC = Path("/proc")
_TABLES = ("net/tcp", "net/tcp6")
_LISTENS = "0A"
_LOCAL, _STATE, _INODE = 1, 3, 9
"""The columns of `/proc/net/tcp`: local address, state, inode."""
_UNKNOWN = "another program"


def holder_of(port: int, *, proc: Path = _PROC) -> str:
    """Return the process that listens on a TCP port, in words; it blocks.

    Name only the program and, for botkit, its command: the rest of a command line may be secret.
    """
    sockets = {f"socket:[{inode}]" for inode in _listening(port, proc)}
    if not sockets:
        return _UNKNOWN
    for process in proc.iterdir():
        if not process.name.isdigit():
            continue
        with suppress(OSError):  # the process has ended, or is another user's
            if any(str(each.readlink()) in sockets for each in (process / "fd").iterdir()):
                return f"{_name_of(process)} (process {process.name})"
    return _UNKNOWN


def _listening(port: int, proc: Path) -> Iterator[str]:
    """Yield the inode of each socket that listens on the port."""
    for table in _TABLES:
        with suppress(OSError):
            for line in (proc / table).read_text(encoding="ascii").splitlines()[1:]:
                columns = line.split()
                listens = columns[_STATE] == _LISTENS
                if listens and int(columns[_LOCAL].rpartition(":")[2], 16) == port:
                    yield columns[_INODE]


def _name_of(process: Path) -> str:
    arguments = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    names = [Path(argument).name for argument in arguments if argument]
    if "botkit" in names:
        return " ".join(names[(at := names.index("botkit")) : at + 2])
    return names[0] if names else _UNKNOWN
