"""A small volume of its own, for what a full or a read-only disk does."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["fill", "remount", "small_volume"]


@contextmanager
def small_volume(place: Path) -> Iterator[Path]:
    """Three megabytes, mounted there; skips the test where nobody may mount.

    It is unmounted whatever still has a file of it open: a test that fails leaves no mount.
    """
    place.mkdir(mode=0o700)
    try:
        _run("mount", "-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs", str(place))
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets nobody mount a volume")
    try:
        yield place
    finally:
        _run("umount", "--lazy", str(place))


def remount(volume: Path, how: str) -> None:
    """Mount it `ro` or `rw`.

    With the type and the source named, mount does not add the options of before, among them the
    user's id, which a namespace of the user's own does not know.
    """
    _run("mount", "-t", "tmpfs", "-o", f"remount,{how}", "tmpfs", str(volume))


def fill(volume: Path) -> Path:
    """Leave not one free block; gives the file that takes them."""
    ballast = volume / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 4096, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    return ballast


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
