"""Explain, with the cure, why the operating system refuses a file or a folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from botkit.errors import ConfigError

__all__ = ["as_config_error", "current_folder_is_gone", "unreadable"]

_GONE = "The current folder is not there any more."
_GONE_CURE = "Change to a folder that is there, and start again."
_CURES = {
    errno.EACCES: "Give this user the right to it and to the folders above, or name another one.",
    errno.EPERM: "Give this user the right to it, or name another one.",
    errno.ENOENT: "Make it, or name another one.",
    errno.EEXIST: "Name another one.",
    errno.ENOTDIR: "A part of its path is no folder: name another one.",
    errno.EISDIR: "It is a folder: name a file.",
    errno.ENAMETOOLONG: "Name a shorter one.",
    errno.ELOOP: "Its links go in a circle: name the file itself.",
    errno.EROFS: "The volume is read-only: make it writable, or name another place.",
    errno.ENOSPC: "The disk is full: free some space.",
    errno.EDQUOT: "The quota is used up: free some space.",
    errno.EMFILE: "Raise the limit of open files (ulimit -n).",
    errno.ENFILE: "The system has too many open files: close some.",
    errno.EIO: "The disk has a fault: look at the log of the system.",
}


def unreadable(fault: OSError) -> str:
    """Return the text on a file that cannot be read, with the cure if permissions are wrong."""
    cure = ""
    if fault.errno == errno.EACCES and hasattr(os, "geteuid"):
        cure = f"; let uid {os.geteuid()} read it and enter the folders above"
    return f"cannot be read ({fault.strerror}){cure}"


def as_config_error(fault: OSError) -> ConfigError | None:
    """Return the error for a fault of files that no caller has explained; None for any other.

    No person can correct, for instance, a fault of the network.
    """
    if fault.errno not in _CURES:
        return None
    if fault.errno == errno.ENOENT and not fault.filename and current_folder_is_gone():
        return ConfigError(_GONE, hint=_GONE_CURE)
    about = f"{fault.filename}: " if fault.filename else ""
    return ConfigError(f"{about}{fault.strerror or fault}.", hint=_CURES[fault.errno])


def current_folder_is_gone() -> bool:
    """Return True if the working folder was removed under this process."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False
