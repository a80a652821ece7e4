"""Read, make and rotate the vault key in a file that only its owner may read.

The first line is the key. A second line is the previous key; it is there while a rotation is under
way. Source: docs/explanation/requirements.md, S4.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import re
import secrets
import stat
from typing import TYPE_CHECKING

from botkit.errors import VaultKeyError
from botkit.storage.files import NO_LINKS, make_folders, sync_folder
from botkit.storage.vault.vault import KEY_BYTES

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "building_path",
    "key_path",
    "make_key",
    "new_key_text",
    "parse_key",
    "read_keys",
    "retire_previous",
    "rotate_key",
]

_OTHERS = 0o077
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
"""Keeps an open from blocking if the path is a pipe."""
_STORE_ID = re.compile(r"[0-9a-f]{32}")
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_MAX_FILE_BYTES = 1024


def key_path(store_id: str) -> Path:
    """Return the path of a store's key: `<user config dir>/botkit/keys/<store id>.key`.

    Raises:
        VaultKeyError: This user has no home folder.
    """
    if not _STORE_ID.fullmatch(store_id):
        raise VaultKeyError("The store's id is not one that botkit made.")
    from platformdirs import user_config_path

    folder = None
    with contextlib.suppress(RuntimeError):
        folder = user_config_path("botkit", appauthor=False)
    if folder is None or not folder.is_absolute():  # platformdirs may keep the ~ as it is
        raise VaultKeyError(
            "There is no home folder in which the vault key could lie.",
            hint="Set HOME, or give the key by BOTKIT_STORE__KEY_FILE.",
        )
    return folder / "keys" / f"{store_id}.key"


def parse_key(text: str, *, origin: str) -> bytes:
    """Return the key that a text holds: 32 bytes as 64 hex digits or as base64 (either alphabet).

    A byte order mark, line ends, spaces and a pair of quotes around it are ignored.

    Raises:
        VaultKeyError: The text is no key. The error names its origin, never the text.
    """
    trimmed = text.strip("\ufeff \t\r\n")
    if len(trimmed) > 1 and trimmed[0] == trimmed[-1] and trimmed[0] in "'\"":
        trimmed = trimmed[1:-1].strip()
    if _HEX.fullmatch(trimmed):
        return bytes.fromhex(trimmed)
    alphabet = trimmed.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        key = base64.b64decode(
            alphabet + "=" * (-len(alphabet) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise VaultKeyError(
            f"{origin} does not hold a vault key.",
            hint="It takes 32 bytes as 64 hex digits or as base64, for instance from: "
            "openssl rand -base64 32",
        )
    return key


def new_key_text() -> str:
    """Return a new random key, as text for `parse_key`."""
    return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def read_keys(path: Path) -> list[bytes]:
    """Return the key in the file, then the previous one if there is one; [] without a file.

    Raises:
        VaultKeyError: Other users may read the file, it belongs to another user, it is no regular
            file, or it holds no key.
    """
    lines = _read_lines(path)
    if lines is None:
        return []
    return [parse_key(line, origin=f"The key file {path}") for line in lines[:2] or [""]]


def rotate_key(path: Path) -> bool:
    """Put a new key before the one in the file. Return False if the file has two keys already.

    The file is replaced atomically. The old key stays until `retire_previous`, because running
    processes seal with it.

    Raises:
        VaultKeyError: There is no key to rotate, or the file cannot be written.
    """
    lines = _read_lines(path)
    if not lines:
        raise VaultKeyError(f"There is no key at {path} to rotate.")
    parse_key(lines[0], origin=f"The key file {path}")
    if len(lines) > 1:
        return False
    _replace(path, [new_key_text(), lines[0]])
    return True


def retire_previous(path: Path) -> None:
    """Remove the previous key from the file. Call it once nothing is sealed with that key."""
    lines = _read_lines(path)
    if lines and len(lines) > 1:
        _replace(path, lines[:1])


def building_path(path: Path) -> Path:
    """Return the path of the file that exists while the key at `path` is replaced."""
    return path.with_name(f"{path.name}.new")


def _replace(path: Path, lines: list[str]) -> None:
    building = building_path(path)
    try:
        # Two rotations at a time would each drop the other's key; O_EXCL makes the second fail.
        descriptor = os.open(building, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINKS, 0o600)
    except FileExistsError as fault:
        raise VaultKeyError(
            f"Another rotation of {path} is under way, or was cut off.",
            hint=f"If none runs, remove {building} and start again.",
        ) from fault
    except OSError as fault:
        raise _unwritable(path, fault) from fault
    try:
        with os.fdopen(descriptor, "wb") as file:
            building.chmod(0o600)
            file.write("".join(f"{line}\n" for line in lines).encode())
            file.flush()
            os.fsync(descriptor)
        building.replace(path)
        sync_folder(path.parent)
    except OSError as fault:
        building.unlink(missing_ok=True)
        raise _unwritable(path, fault) from fault


def _read_lines(path: Path) -> list[str] | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | NO_LINKS | _NO_WAIT)
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise VaultKeyError(
            f"The key file {path} cannot be read: {fault.strerror}.",
            hint="It must be a file of this user in folders that it may enter, not a link or a"
            " folder.",
        ) from fault
    try:
        _refuse_rights(path, os.fstat(descriptor))
        content = os.read(descriptor, _MAX_FILE_BYTES)
    finally:
        os.close(descriptor)
    return [
        line for line in content.decode("utf-8", errors="replace").splitlines() if line.strip()
    ]


def make_key(path: Path) -> None:
    """Write a new key to the path, with mode 0600 in a folder of mode 0700, and sync it.

    Raises:
        VaultKeyError: There is a key already, or the file cannot be written.
    """
    text = f"{new_key_text()}\n".encode()
    try:
        make_folders(path.parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINKS
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError as fault:
        raise VaultKeyError(
            f"There is a key at {path} already; it was not touched.",
            hint="Use it, or move it away if nothing was sealed with it.",
        ) from fault
    except OSError as fault:
        raise _unwritable(path, fault) from fault
    try:
        with os.fdopen(descriptor, "wb") as file:
            path.chmod(0o600)  # the umask may have removed rights of the owner
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        sync_folder(path.parent)
    except OSError as fault:
        path.unlink(missing_ok=True)  # leave no partial key
        raise _unwritable(path, fault) from fault


def _unwritable(path: Path, fault: OSError) -> VaultKeyError:
    return VaultKeyError(
        f"The key file {path} cannot be written: {fault.strerror}.",
        hint="Make its folder writable, or give the key by BOTKIT_STORE__KEY_FILE.",
    )


def _refuse_rights(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise VaultKeyError(f"The key file {path} is not a regular file.")
    if os.name == "nt":  # pragma: no cover - Windows has access lists, and runs no bots
        return
    if found.st_uid != os.geteuid():
        raise VaultKeyError(
            f"The key file {path} belongs to another user (uid {found.st_uid}).",
            hint=f"If it is yours: chown {os.geteuid()} {path}",
        )
    if stat.S_IMODE(found.st_mode) & _OTHERS:
        raise VaultKeyError(
            f"The key file {path} can be read by other users "
            f"(mode {stat.S_IMODE(found.st_mode):04o}).",
            hint=f"Close it: chmod 600 {path}",
        )
