"""Keep the vault key in the system's keyring, through the package `keyring` (an extra).

The service `botkit` has one entry for each store, and a second one for the previous key while a
rotation is under way. Some keyrings replace an entry by removing it first. So the old key is
copied to the second entry before the first is replaced, and is read from there if the first is
gone.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Protocol, cast

from botkit.errors import ConfigError, VaultKeyError
from botkit.storage.files import NO_LINKS, make_folders
from botkit.storage.vault.key_files import building_path, new_key_text, parse_key

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["KeyringPlace"]

_SERVICE = "botkit"
_CURE = (
    "Unlock it (log in to the desktop, or run the bot in a session that has it), or give the key "
    'by BOTKIT_STORE__KEY_FILE, or set key_from = "file" under [store].'
)


class _Backend(Protocol):
    """The functions of the package `keyring` that are used here."""

    def get_password(self, service_name: str, username: str) -> str | None: ...
    def set_password(self, service_name: str, username: str, password: str) -> None: ...
    def delete_password(self, service_name: str, username: str) -> None: ...


class KeyringPlace:
    """The entries of one store. `turn` names the lock file of changes: one at a time."""

    def __init__(self, store_id: str, *, turn: Path) -> None:
        self._entry = store_id
        self._previous = f"{store_id}/previous"
        self._turn = turn
        self._ring = _load()

    @property
    def name(self) -> str:
        """The keyring's class, and the name of the entry in it."""
        import keyring

        kind = type(keyring.get_keyring())
        return f"the keyring ({kind.__module__}.{kind.__qualname__}), {_SERVICE}/{self._entry}"

    def read(self) -> list[bytes]:
        """See `KeyPlace`."""
        texts = [text for text in (self._get(self._entry), self._get(self._previous)) if text]
        # Both entries are equal if a rotation was cut off before it stored the new key.
        return [parse_key(text, origin="The keyring") for text in dict.fromkeys(texts)]

    def make(self) -> None:
        """See `KeyPlace`."""
        with self._alone():
            if self.read():
                raise VaultKeyError("There is a key in the keyring already; it was not touched.")
            self._set(self._entry, new_key_text())

    def rotate(self) -> bool:
        """See `KeyPlace`."""
        with self._alone():
            keys = self.read()
            if not keys:
                raise VaultKeyError("There is no key in the keyring to rotate.")
            if len(keys) > 1:
                return False
            present = self._get(self._entry) or self._get(self._previous) or ""
            self._set(self._previous, present)
            self._set(self._entry, new_key_text())
            return True

    def retire_previous(self) -> None:
        """See `KeyPlace`."""
        if len(self.read()) > 1:
            with _explained():
                self._ring.delete_password(_SERVICE, self._previous)

    def _get(self, entry: str) -> str | None:
        with _explained():
            return self._ring.get_password(_SERVICE, entry)

    def _set(self, entry: str, text: str) -> None:
        with _explained():
            self._ring.set_password(_SERVICE, entry, text)
        if self._get(entry) != text:
            raise VaultKeyError(f"{self.name}: it did not keep the key.", hint=_CURE)

    @contextlib.contextmanager
    def _alone(self) -> Generator[None]:
        """Hold the lock file inside the block: two changes at a time would lose a key."""
        building = building_path(self._turn)
        try:
            make_folders(building.parent)
            os.close(os.open(building, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINKS, 0o600))
        except FileExistsError as fault:
            raise VaultKeyError(
                "Another change of the key in the keyring is under way, or was cut off.",
                hint=f"If none runs, remove {building} and start again.",
            ) from fault
        except OSError as fault:
            raise VaultKeyError(f"{building} cannot be written: {fault.strerror}.") from fault
        try:
            yield
        finally:
            building.unlink(missing_ok=True)


def _load() -> _Backend:
    try:
        import keyring
    except ImportError as fault:
        raise ConfigError(
            'The vault key is kept in the keyring ([store] key_from = "keyring"), and the package '
            "for it is not installed.",
            hint='Install "botkit[keyring]".',
        ) from fault
    return cast("_Backend", keyring)


@contextlib.contextmanager
def _explained() -> Generator[None]:
    """Turn an error of a keyring, each of which has its own kinds, into a VaultKeyError."""
    from keyring.errors import KeyringLocked, NoKeyringError

    try:
        yield
    except NoKeyringError:
        raise VaultKeyError("There is no keyring on this system.", hint=_CURE) from None
    except KeyringLocked:
        raise VaultKeyError("The keyring is locked.", hint=_CURE) from None
    except Exception as fault:  # noqa: BLE001 - each keyring has errors of its own
        raise VaultKeyError(
            f"The keyring cannot be used: {type(fault).__name__}: {fault}.", hint=_CURE
        ) from None
