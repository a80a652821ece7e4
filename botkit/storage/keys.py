"""Where the vault key comes from: settings, or a file outside the store.

A key is made by setup or dev on a terminal only, never by `run`: a bot that cannot find its key
must say so, not start anew. Source: docs/explanation/requirements.md, S4.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
import stat
from typing import TYPE_CHECKING, Protocol

from botkit.errors import VaultKeyError
from botkit.storage.sqlite.files import NO_LINKS, make_folders, sync_folder
from botkit.storage.vault import KEY_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr

__all__ = [
    "find_key",
    "find_previous_key",
    "key_path",
    "make_key",
    "parse_key",
    "read_key",
    "retire_previous",
    "rotate_key",
]

_OTHERS = 0o077
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
"""Opening a pipe that lies there must not hang."""
_STORE_ID = re.compile(r"[0-9a-f]{32}")
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_MAX_FILE_BYTES = 1024


class _StoreSettings(Protocol):
    @property
    def key(self) -> SecretStr | None: ...
    @property
    def previous_key(self) -> SecretStr | None: ...


class _Settings(Protocol):
    @property
    def store(self) -> _StoreSettings: ...


def key_path(store_id: str) -> Path:
    """Where the key of that store lies: `<user config dir>/botkit/keys/<store id>.key`."""
    if not _STORE_ID.fullmatch(store_id):
        raise VaultKeyError("The store's id is not one that botkit made.")
    from platformdirs import user_config_path

    return user_config_path("botkit", appauthor=False) / "keys" / f"{store_id}.key"


def find_key(settings: _Settings, *, store_id: str = "") -> bytes | None:
    """The key from the settings (`BOTKIT_STORE__KEY` or its `_FILE`), else from the key file.

    None when there is neither; nothing is made.

    Raises:
        VaultKeyError: The text is no key, or others may read the key file.
    """
    if settings.store.key is not None:
        return parse_key(settings.store.key.get_secret_value(), origin="BOTKIT_STORE__KEY")
    return read_key(key_path(store_id)) if store_id else None


def find_previous_key(settings: _Settings, *, store_id: str = "") -> bytes | None:
    """The key before the last rotation.

    From the settings (`BOTKIT_STORE__PREVIOUS_KEY` or its `_FILE`); else the second line of the
    key file, if the key comes from there too.
    """
    if settings.store.previous_key is not None:
        return parse_key(
            settings.store.previous_key.get_secret_value(), origin="BOTKIT_STORE__PREVIOUS_KEY"
        )
    if settings.store.key is not None or not store_id:
        return None
    path = key_path(store_id)
    lines = _read_lines(path) or []
    return parse_key(lines[1], origin=f"The key file {path}") if len(lines) > 1 else None


def parse_key(text: str, *, origin: str) -> bytes:
    """A key from its text: 32 bytes as 64 hex digits or as base64 (either alphabet).

    A byte order mark, line ends, spaces and a pair of quotes around it are taken off.

    Raises:
        VaultKeyError: It is something else; names where it came from, never what it was.
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


def read_key(path: Path) -> bytes | None:
    """The key in that file, the newest if there are two; None when there is no such file.

    Raises:
        VaultKeyError: Others may read or replace it, it is no regular file of ours, or no key.
    """
    lines = _read_lines(path)
    if lines is None:
        return None
    return parse_key(lines[0] if lines else "", origin=f"The key file {path}")


def rotate_key(path: Path) -> bool:
    """Put a new key before the one in that file; False when there are two already.

    The file is replaced whole. Processes that run know the old key, which stays until
    `retire_previous`.

    Raises:
        VaultKeyError: There is no key to rotate, or it cannot be written.
    """
    lines = _read_lines(path)
    if not lines:
        raise VaultKeyError(f"There is no key at {path} to rotate.")
    parse_key(lines[0], origin=f"The key file {path}")
    if len(lines) > 1:
        return False
    _replace(path, [base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode(), lines[0]])
    return True


def retire_previous(path: Path) -> None:
    """Leave only the newest key: nothing is sealed with the one before any more."""
    lines = _read_lines(path)
    if lines and len(lines) > 1:
        _replace(path, lines[:1])


def _replace(path: Path, lines: list[str]) -> None:
    building = path.with_name(f"{path.name}.new")
    try:
        # Two rotations at a time would each drop the other's key: the second finds the name taken.
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
            hint="It must be a file of this user, not a link or a folder.",
        ) from fault
    try:
        _refuse_rights(path, os.fstat(descriptor))
        content = os.read(descriptor, _MAX_FILE_BYTES)
    finally:
        os.close(descriptor)
    return [
        line for line in content.decode("utf-8", errors="replace").splitlines() if line.strip()
    ]


def make_key(path: Path) -> bytes:
    """Make a new key there, mode 0600 in a folder 0700, synced; the caller prints the path.

    Raises:
        VaultKeyError: There is a key already, or it cannot be written.
    """
    key = secrets.token_bytes(KEY_BYTES)
    text = base64.urlsafe_b64encode(key) + b"\n"
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
            path.chmod(0o600)  # a umask may have taken rights from ourselves
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        sync_folder(path.parent)
    except OSError as fault:
        path.unlink(missing_ok=True)  # half a key is none
        raise _unwritable(path, fault) from fault
    return key


def _unwritable(path: Path, fault: OSError) -> VaultKeyError:
    return VaultKeyError(
        f"The key file {path} cannot be written: {fault.strerror}.",
        hint="Make its folder writable, or give the key by BOTKIT_STORE__KEY_FILE.",
    )


def _refuse_rights(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise VaultKeyError(f"The key file {path} is not a regular file.")
    if os.name == "nt":  # pragma: no cover - access lists there, and authors only
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
