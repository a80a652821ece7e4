"""The table of X's operations: who may call them, how often, and what they cost.

The data stands in `operations.json`, which `_generate_operations` makes of X's OpenAPI document
and the table of limits and prices; no row is typed by hand. It is read when this module is
imported, so that no look-up ever waits for a disk.

Source: X's OpenAPI document and X API docs, "Rate limits" and "Pricing"; date in `read_on()`.
"""

from __future__ import annotations

import pkgutil
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from botkit.model.tokens import CredentialKind

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Operation", "RateLimit", "all_operations", "match", "operation", "read_on"]


class RateLimit(Struct, frozen=True, kw_only=True, gc=False):
    """At most `limit` calls in `seconds`."""

    limit: int
    seconds: int


class Operation(Struct, frozen=True, kw_only=True, gc=False):
    """One operation of X's API.

    `id` is X's operation id. An operation that X's OpenAPI document has dropped keeps its old id,
    or has method and path instead. `kinds` is empty if no credential is needed, or X does not say
    which. All of `scopes` are needed together, in an OAuth 2.0 grant. `user_windows` count
    the calls of one user, `app_windows` those of one app. `price_usd` is for each of `price_per`:
    `request`, `resource` or `event`; None if X names no price. `pricing` knows the variants.
    `price_basis` says where its price class comes from: X's `page`, X's simulator (`sim`), or the
    kind of object that it returns (`inferred`).
    """

    id: str
    method: str
    path: str
    kinds: tuple[CredentialKind, ...] = ()
    scopes: tuple[str, ...] = ()
    streaming: bool = False
    user_windows: tuple[RateLimit, ...] = ()
    app_windows: tuple[RateLimit, ...] = ()
    price_class: str = ""
    price_usd: Decimal | None = None
    price_per: str = ""
    price_basis: str = ""
    owned_read_usd: Decimal | None = None
    tag: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        """Return method and path template, as in `POST /2/tweets`."""
        return f"{self.method} {self.path}"

    @property
    def writes(self) -> bool:
        """Return True if the operation changes something on X."""
        return self.method != "GET"


class _Data(Struct, frozen=True, kw_only=True):
    read_on: str
    openapi_version: str
    operations: tuple[Operation, ...]


def operation(operation_id: str) -> Operation:
    """Return the operation of that id.

    Raises:
        KeyError: X has no such operation, or the table is older than it.
    """
    return _BY_ID[operation_id]


def all_operations() -> tuple[Operation, ...]:
    """Return every operation, in the order of X's document."""
    return _DATA.operations


def match(method: str, path: str) -> Operation | None:
    """Return the operation of a call; None if there is none.

    `path` is without query. Where a fixed segment and a parameter both fit, the fixed one wins:
    `/2/users/me` is not a user of the id `me`.
    """
    segments = path.split("/")
    for template, found in _BY_SHAPE.get((method.upper(), len(segments)), ()):
        if all(map(_fits, template, segments)):
            return found
    return None


def read_on() -> str:
    """Return the date of the sources that the table was made of, as `YYYY-MM-DD`."""
    return _DATA.read_on


def _fits(template: str, segment: str) -> bool:
    return template == segment or (template.startswith("{") and bool(segment))


def _read() -> _Data:
    source = pkgutil.get_data("botkit.protocol.api", "operations.json")
    assert source is not None
    return msgspec.json.decode(source, type=_Data)


def _by_shape() -> Mapping[tuple[str, int], list[tuple[list[str], Operation]]]:
    """Index path templates by method and number of segments; fixed segments come first."""
    shapes: dict[tuple[str, int], list[tuple[list[str], Operation]]] = {}
    for found in _DATA.operations:
        template = found.path.split("/")
        shapes.setdefault((found.method, len(template)), []).append((template, found))
    for known in shapes.values():
        known.sort(key=lambda entry: [part.startswith("{") for part in entry[0]])
    return MappingProxyType(shapes)


_DATA = _read()
_BY_ID: Mapping[str, Operation] = MappingProxyType({found.id: found for found in _DATA.operations})
_BY_SHAPE = _by_shape()
