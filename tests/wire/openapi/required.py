"""The fields that X's answers to writes have for sure: X's documents require hardly any.

Two sources: the answers of X that were recorded (`tests/wire/recorded`), and the fields that the
document 2.167 requires of the same answer. Of a list, each item must have the fields of an item.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botkit.protocol.api.operations import match

Json = dict[str, Any]

_RECORDED = Path(__file__).parents[1] / "recorded"
_DOCUMENT = Path(__file__).with_name("2.167.json")
_BY_PAGES = {
    "createActivitySubscription": {"data.subscription", "meta.total_subscriptions"},
    "updateActivitySubscription": {"data.subscription"},
    "deleteActivitySubscription": {"meta.total_subscriptions"},
    "deleteActivitySubscriptionsByIds": {"data[].deleted", "data[].subscription_id"},
    "updateRules": {"meta.sent", "meta.summary"},
}
"""What X's pages show. Source: X API docs, "X Activity API" and "Filtered stream", read 2026-08-22."""


def missing(operation: str, body: Json) -> list[str]:
    """Return the fields that the answer to a write lacks, as paths such as `data.id`."""
    have = set(_paths(body))
    return sorted(
        path for path in required_of(operation) if path not in have and _is_due(path, body)
    )


def _is_due(path: str, body: Json) -> bool:
    """Return False for a field of the items of a list that is empty, or not there."""
    above, is_list, _ = path.partition("[]")
    return not is_list or bool(_at(above, body))


def _at(path: str, body: Json) -> Any:
    found: Any = body
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _paths(value: Any, above: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            path = f"{above}.{name}" if above else name
            yield path
            yield from _paths(inner, path)
    elif isinstance(value, list):
        common = [set(_paths(item, f"{above}[]")) for item in value]
        yield from set.intersection(*common) if common else ()


@cache
def required_of(operation: str) -> frozenset[str]:
    """Return the fields that the answer to a write has, by all sources."""
    return frozenset(
        _recorded().get(operation, set())
        | _documented(operation)
        | _BY_PAGES.get(operation, set())
    )


@cache
def _recorded() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for file in sorted(_RECORDED.glob("*.json")):
        for exchange in json.loads(file.read_text(encoding="utf-8")):
            request, answer = exchange["request"], exchange["response"]
            operation = match(request["method"], urlsplit(request["url"]).path)
            if operation is not None and request["method"] != "GET" and answer["status"] < 300:
                paths = set(_paths(answer["body"]))
                found[operation.id] = found.get(operation.id, paths) & paths
    return found


@cache
def _source() -> Json:
    source: Json = json.loads(_DOCUMENT.read_text(encoding="utf-8"))
    return source


def _documented(operation: str) -> set[str]:
    answers = _source()["answers"].get(operation, {})
    good = [schema for status, schema in answers.items() if status.startswith("2")]
    return {path for schema in good for path in _of_schema(schema, "")}


def _of_schema(schema: Json, above: str) -> Iterator[str]:
    if "$ref" in schema:
        schema = _source()["schemas"][schema["$ref"].rpartition("/")[2]]
    for part in schema.get("allOf", ()):
        yield from _of_schema(part, above)
    if "items" in schema:
        yield from _of_schema(schema["items"], f"{above}[]")
    for name, inner in schema.get("properties", {}).items():
        path = f"{above}.{name}" if above else name
        if name in schema.get("required", ()):
            yield path
        if path == "data" or path.startswith("data"):
            yield from _of_schema(inner, path)
