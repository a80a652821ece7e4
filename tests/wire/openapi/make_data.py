"""Make the sandbox's tables and the tests' schemas out of X's OpenAPI documents.

    python -m tests.wire.openapi.make_data 2.166.json 2.167.json

Writes two things:

- `botkit/sandbox/x/parameters.json`: the parameters that each operation takes, with their values.
  Both documents' spellings are in it, and the values that X takes beside them.
- `tests/wire/openapi/<version>.json`: the schemas of the answers, for the operations that the
  sandbox plays.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from botkit.protocol.api.operations import Operation, all_operations
from botkit.sandbox.x.server import played_operations

HERE = Path(__file__).parent
PARAMETERS = HERE.parents[2] / "botkit" / "sandbox" / "x" / "parameters.json"

# X takes these, though the document names them only as expansions or not at all.
# Source: a program that asked X on 2026-08-23, and wrote down the lists of its refusals
# (github.com/usadamasa/twigpui, .claude/skills/x-api-endpoints/reference/endpoints.md).
OBSERVED = {
    "tweet.fields": ["rest_id", "username"],
    "post.fields": [
        "author_id",
        "edit_history_post_ids",
        "in_reply_to_user_id",
        "referenced_posts",
        "rest_id",
        "username",
    ],
}
_NOTES = frozenset({"description", "example", "title"})

Json = dict[str, Any]
Named = tuple[str, str, str]


def main(paths: list[str]) -> None:
    """Read the documents, oldest first, and write the data."""
    documents: list[Json] = [json.loads(Path(path).read_text()) for path in paths]
    for document in documents:
        version: str = document["info"]["version"]
        write(HERE / f"{version}.json", schemas_of(document, named(played_operations())))
    write(PARAMETERS, parameters_of(documents, named(all_operations())))


def named(operations: Iterable[Operation]) -> list[Named]:
    """Return id, method and path of operations, in the order of their ids."""
    return sorted((one.id, one.method, one.path) for one in operations)


def write(path: Path, value: Json) -> None:
    """Write one entry a line, so that a newer document is a readable difference."""
    lines: list[str] = []
    for name, entries in value.items():
        if not isinstance(entries, dict):
            lines.append(f"{json.dumps(name)}: {json.dumps(entries)}")
            continue
        inner = [f"  {json.dumps(key)}: {json.dumps(one)}" for key, one in entries.items()]
        lines.append(f"{json.dumps(name)}: {{\n" + ",\n".join(inner) + "\n}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def operation_of(document: Json, method: str, path: str) -> Json | None:
    """Return an operation's part of the document."""
    return document["paths"].get(path, {}).get(method.lower())


def schemas_of(document: Json, wanted: list[Named]) -> Json:
    """Return the answers' schemas by operation and status, and all that they refer to."""
    known: Json = document["components"]["schemas"]
    answers: Json = {}
    for name, method, path in wanted:
        operation = operation_of(document, method, path)
        if operation is None:
            continue
        answers[name] = {
            status: next(iter(answer["content"].values()))["schema"]
            for status, answer in operation["responses"].items()
            if answer.get("content")
        }
    needed: set[str] = set()
    queue = list(referred(answers))
    while queue:
        name = queue.pop()
        if name not in needed:
            needed.add(name)
            queue += referred(known[name])
    return {
        "version": document["info"]["version"],
        "answers": {name: bare(answer) for name, answer in answers.items()},
        "schemas": {name: bare(known[name]) for name in sorted(needed)},
    }


def referred(value: Any) -> Iterator[str]:
    """Yield the names of the schemas that a value refers to."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner.rpartition("/")[2]
            elif key == "mapping":
                yield from (one.rpartition("/")[2] for one in inner.values())
            else:
                yield from referred(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from referred(inner)


def bare(value: Any) -> Any:
    """Return a schema without its words for people."""
    if isinstance(value, dict):
        return {
            key: {name: bare(inner) for name, inner in part.items()}
            if key == "properties"
            else bare(part)
            for key, part in value.items()
            if key not in _NOTES
        }
    return [bare(inner) for inner in value] if isinstance(value, list) else value


def parameters_of(documents: list[Json], wanted: list[Named]) -> Json:
    """Return each operation's parameters: "" for any text, else the name of a rule."""
    rules: Json = {}
    operations: Json = {}
    for name, method, path in wanted:
        merged: dict[str, Json] = {}
        for document in documents:
            for parameter in parameters_in(document, method, path):
                merge(merged.setdefault(parameter["name"], {}), parameter["schema"], document)
        operations[name] = {
            parameter: rule_name(rules, parameter, rule) for parameter, rule in merged.items()
        }
    versions = ", ".join(document["info"]["version"] for document in documents)
    return {"versions": versions, "operations": operations, "rules": rules}


def parameters_in(document: Json, method: str, path: str) -> Iterator[Json]:
    """Yield an operation's parameters, resolved."""
    for parameter in (operation_of(document, method, path) or {}).get("parameters", ()):
        if "$ref" in parameter:
            name = parameter["$ref"].rpartition("/")[2]
            yield document["components"]["parameters"][name]
        else:
            yield parameter


def merge(rule: Json, schema: Json, document: Json) -> None:
    """Add what one document says of a parameter."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = document["components"]["schemas"][name]
    if schema["type"] == "array":
        rule["list"] = [schema.get("minItems", 0), schema.get("maxItems", 10_000)]
        merge(rule, schema["items"], document)
        return
    if "enum" in schema:
        rule["values"] = sorted({*rule.get("values", ()), *schema["enum"]})
    if "pattern" in schema:
        rule.setdefault("pattern", schema["pattern"])
    if "minimum" in schema:
        rule["range"] = [schema["minimum"], schema["maximum"]]
    if schema.get("format") == "date-time":
        rule["time"] = True


def rule_name(rules: Json, parameter: str, rule: Json) -> str:
    """Return the name under which a rule is kept; equal rules are kept once."""
    if not rule:
        return ""
    if "values" in rule:
        rule["values"] = sorted({*rule["values"], *OBSERVED.get(parameter, ())})
    name = parameter
    for number in range(2, 20):
        if rules.setdefault(name, rule) == rule:
            return name
        name = f"{parameter} {number}"
    raise AssertionError(parameter)


if __name__ == "__main__":
    main(sys.argv[1:])
