"""X's OpenAPI document as closed JSON schemas: what it does not name is wrong."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match

Json = dict[str, Any]

_FORMATS = FormatChecker(())


@_FORMATS.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return datetime.fromisoformat(str(value)).tzinfo is not None


class Document:
    """One version of X's document."""

    def __init__(self, version: str) -> None:
        path = Path(__file__).with_name(f"{version}.json")
        source = json.loads(path.read_text())
        self._answers: Json = source["answers"]
        self._schemas: Json = source["schemas"]
        self._closed = {name: self._close(one) for name, one in self._schemas.items()}

    def has(self, operation: str) -> bool:
        """Return True if the document has the operation."""
        return operation in self._answers

    def faults(self, operation: str, status: int, body: Any) -> list[str]:
        """Return what is wrong with a body, by the document, and where."""
        schema = self._answers[operation].get(str(status)) or {"$ref": "Problem"}
        validator = Draft202012Validator(
            {**self._close(schema), "$defs": self._closed},
            format_checker=_FORMATS,
        )
        found = (best_match([one]) or one for one in validator.iter_errors(body))
        return [f"{error.json_path}: {error.message[:200]}" for error in found]

    def _close(self, schema: Json) -> Json:
        """Return a schema that refuses the names it does not know, here and below."""
        if "$ref" in schema:
            return {"$ref": f"#/$defs/{_name(schema['$ref'])}"}
        if "discriminator" in schema:
            kinds = sorted({_name(one) for one in schema["discriminator"]["mapping"].values()})
            return {"anyOf": [{"$ref": f"#/$defs/{kind}"} for kind in kinds]}
        closed = self._with_parts(schema)
        if "properties" in schema or "allOf" in schema:
            closed.setdefault("unevaluatedProperties", False)
        return {"anyOf": [closed, {"type": "null"}]} if schema.get("nullable") else closed

    def _with_parts(self, schema: Json) -> Json:
        parts = {key: self._part(key, value) for key, value in schema.items()}
        return {
            key: value for key, value in parts.items() if key not in {"nullable", "discriminator"}
        }

    def _part(self, key: str, value: Any) -> Any:
        if key == "properties":
            return {name: self._close(one) for name, one in value.items()}
        if key in {"anyOf", "oneOf"}:
            return [self._close(one) for one in value]
        if key == "allOf":
            # A member does not know what the others name: only what is below it is closed.
            return [self._with_parts(self._resolved(one)) for one in value]
        return self._close(value) if key == "items" else value

    def _resolved(self, schema: Json) -> Json:
        while "$ref" in schema:
            schema = self._schemas[_name(schema["$ref"])]
        return schema


@cache
def document(version: str) -> Document:
    """Return X's document of a version."""
    return Document(version)


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]
