"""Read and write the stored form of state: JSON that keeps fields unknown to the class.

A field that a version of the bot dropped or renamed stays stored, even when the value is changed,
so that a newer version, or the older one after a roll-back, finds it again. A class whose fields
have changed their meaning has a `state_version: ClassVar[int]`, which is stored with each value,
and a class method `upgrade(fields, version)` that returns an older value's fields in today's form.
"""

from __future__ import annotations

from typing import Any, Final, Protocol, TypeVar, cast

import msgspec
from msgspec import Struct

from botkit.errors import StateError, WiringError

__all__ = [
    "NewerState",
    "check_size",
    "check_version",
    "read_value",
    "unknown_fields",
    "write_value",
]

T = TypeVar("T", bound=Struct)

_VERSION: Final = "$version"
"""The key of the version in a stored value; no field can have this name."""
_VERSION_BYTES: Final = _VERSION.encode()


class NewerState(ValueError):
    """The value was stored by a newer version of its class."""


class _Upgrades(Protocol):
    @classmethod
    def upgrade(cls, fields: dict[str, Any], version: int) -> dict[str, Any]: ...


def check_version(struct: type[Struct]) -> None:
    """Check `state_version` and `upgrade` of a class.

    Raises:
        WiringError: One of them has the wrong type or signature, or is missing.
    """
    version: object = getattr(struct, "state_version", 0)
    if type(version) is not int or version < 0:
        raise WiringError(
            f"{struct.__qualname__} has state_version = {version!r}: "
            "it is a whole number from 1 on"
        )
    upgrade = getattr(struct, "upgrade", None)
    if upgrade is not None and not version:
        raise WiringError(
            f"{struct.__qualname__} has upgrade(), so it needs a version: "
            "state_version: ClassVar[int] = 1"
        )
    if upgrade is not None and getattr(upgrade, "__self__", None) is not struct:
        raise WiringError(
            f"{struct.__qualname__}.upgrade must be a class method: "
            "@classmethod def upgrade(cls, fields, version)"
        )


def read_value(struct: type[T], stored: bytes) -> tuple[T, bytes]:
    """Return the value, and its stored form as the class's `upgrade` leaves it.

    Raises:
        NewerState: A newer version of the class stored the value.
        msgspec.DecodeError: The value does not fit the class.
    """
    version = _version_of(struct)
    if version or _VERSION_BYTES in stored:
        stored = _upgraded(struct, stored, version)
    return msgspec.json.decode(stored, type=struct), stored


def write_value(value: Struct, *, loaded: Struct, stored: bytes | None) -> bytes:
    """Return the stored form of a new value.

    `loaded` and `stored` are the results of `read_value`; `stored` is None if there was no value.
    """
    plain = msgspec.json.encode(value)
    known = msgspec.json.encode(loaded)
    version = _version_of(type(value))
    if not version and stored in {None, known}:
        return plain
    fields = _merged(
        None if stored is None else msgspec.json.decode(stored),
        msgspec.json.decode(known),
        msgspec.json.decode(plain),
    )
    return msgspec.json.encode({**fields, _VERSION: version} if version else fields)


def unknown_fields(struct: type[Struct], stored: bytes) -> set[str]:
    """Return the names of stored fields that the class, at its present version, does not know.

    Raises:
        NewerState: A newer version of the class stored it.
    """
    try:
        fields = msgspec.json.decode(stored)
    except msgspec.DecodeError:
        return set()  # the handler that loads it reports the fault
    if not isinstance(fields, dict):
        return set()
    found = cast("dict[str, Any]", fields)
    version = _version_of(struct)
    stored_version = _refuse_newer(struct, found.pop(_VERSION, 0), version)
    if stored_version < version:
        return set()  # `upgrade` decides about them
    known = {field.encode_name for field in msgspec.structs.fields(struct)}
    return set(found) - known - {struct.__struct_config__.tag_field}


def _version_of(struct: type[Struct]) -> int:
    return int(getattr(struct, "state_version", 0))


def _upgraded(struct: type[Struct], stored: bytes, version: int) -> bytes:
    fields = msgspec.json.decode(stored, type=dict[str, Any])
    found = _refuse_newer(struct, fields.pop(_VERSION, 0), version)
    if found < version and hasattr(struct, "upgrade"):
        fields = cast("type[_Upgrades]", struct).upgrade(fields, found)
    return msgspec.json.encode(fields)


def _refuse_newer(struct: type[Struct], found: object, version: int) -> int:
    if not isinstance(found, int) or found > version:
        raise NewerState(
            f"it has version {found}, and {struct.__qualname__} has state_version = {version}"
        )
    return found


def _merged(old: Any, known: Any, new: Any) -> Any:
    """Return the new value, with those parts of the old one that the class does not know."""
    if old == known:
        return new
    if _are(dict, old, known, new):
        kept = {name: old[name] for name in old if name not in known}
        return kept | {name: _merged(old.get(name), known.get(name), new[name]) for name in new}
    if _are(list, old, known, new):
        pairs = list(zip(old, known, strict=False))
        return [_element(pairs, each) for each in new]
    return new


def _are(kind: type, *values: object) -> bool:
    return all(isinstance(value, kind) for value in values)


def _element(pairs: list[tuple[Any, Any]], new: Any) -> Any:
    """Return the stored form of a list's element if it is unchanged, else the new element."""
    for old, known in pairs:
        if known == new and _are(dict, old, new) and {**old, **new} == old:
            return old
    return new


def check_size(what: str, stored: bytes, most_kib: int) -> None:
    """Check the size of a stored value.

    Raises:
        StateError: The value takes more than `most_kib`.
    """
    kib = -(-len(stored) // 1024)
    if kib > most_kib:
        raise StateError(
            f"{what} takes {kib} KiB; it may take {most_kib} KiB.",
            hint="Keep less in it: an id instead of a text, the last ten instead of all. "
            "Or raise [run] state_kib.",
        )
