"""The order in which files are written, synced and renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock  # only to put functions of os back at the end of the block

__all__ = ["recorded_syncs"]


@contextmanager
def recorded_syncs() -> Iterator[list[tuple[str, str]]]:
    """Record each `sync` of a file or folder and each `rename`, by the name of what it is of.

    The name that a file is built under is shown as `~`.
    """
    steps: list[tuple[str, str]] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        steps.append(("sync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        fsync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        # A later name of the file is its name from the start.
        steps[:] = [(step, "~" if name == str(path) else name) for step, name in steps]
        steps.append(("rename", str(target)))
        return replace(path, target)

    with mock.patch.object(os, "fsync", synced), mock.patch.object(Path, "replace", renamed):
        yield steps
