"""Make `operations.json` out of X's OpenAPI document and the table of limits and prices.

    python -m botkit.protocol.api._generate_operations OPENAPI TSV OUT [--read-on YYYY-MM-DD]

The document decides what it knows: id, method, path, credential kinds, scopes, streaming. The
table adds what the document does not say: rate limits, prices, notes, and the operations that the
document has dropped. Where the two disagree, the document wins and the difference is printed.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["generate", "main"]

_METHODS = ("get", "post", "put", "patch", "delete")
_SPANS_S = {"sec": 1, "min": 60, "h": 3600}
_LIMIT = re.compile(r"(?P<limit>\d+)/(?P<count>\d*)(?P<unit>sec|min|h)", re.ASCII)
_PRICE = re.compile(r"\d+\.\d+", re.ASCII)
_NO_CLASS = re.compile(r"\(.*|, see .*", re.ASCII)
"""Remarks that the table writes into the column of price classes."""
_OPERATION_ID = "operationId"

Row = dict[str, Any]


def generate(openapi: Mapping[str, Any], table: Sequence[Mapping[str, str]]) -> list[Row]:
    """Return a row for each operation: the document's in its order, then the table's others."""
    additions = {(row["method"], row["path"]): row for row in table}
    rows: list[Row] = []
    for method, path, wire in _operations(openapi):
        added = additions.pop((method, path), {})
        rows.append(_row_of_document(method, path, wire) | _additions(added))
    taken: set[str] = {row["id"] for row in rows}
    for added in additions.values():
        row = _row_of_table(added, taken)
        taken.add(row["id"])
        rows.append(row | _additions(added))
    return rows


def differences(rows: Sequence[Row], table: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Yield one sentence for each difference of the table from the document."""
    said = {(row["method"], row["path"]): row for row in table}
    for row in rows:
        name = f"{row['method']} {row['path']}"
        old = said.get((row["method"], row["path"]))
        if old is None:
            yield f"{name}: not in the table, so without limits and prices"
            continue
        for key, column in (("kinds", "auth"), ("scopes", "oauth2_scopes")):
            theirs = _words(old[column])
            if set(row.get(key, ())) != set(theirs):
                yield f"{name}: {key} {row.get(key, [])} in the document, {theirs} in the table"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read both sources, write the data, print where they disagree."""
    parser = argparse.ArgumentParser(description="Make operations.json of X's documents.")
    parser.add_argument("openapi", type=Path, help="X's OpenAPI document, JSON")
    parser.add_argument("table", type=Path, help="limits and prices, tab-separated")
    parser.add_argument("out", type=Path, help="where to write operations.json")
    parser.add_argument(
        "--read-on", help="date of the sources, YYYY-MM-DD; else that of the document's file"
    )
    given = parser.parse_args(arguments)
    openapi = json.loads(given.openapi.read_text("utf-8"))
    with given.table.open(encoding="utf-8", newline="") as lines:
        table = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    rows = generate(openapi, table)
    for difference in differences(rows, table):
        sys.stderr.write(f"{difference}\n")
    read_on = given.read_on or _written_on(given.openapi)
    given.out.write_text(_render(rows, openapi["info"]["version"], read_on), "utf-8")
    return 0


def _written_on(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()


def _operations(openapi: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in openapi["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield method.upper(), path, methods[method]


def _row_of_document(method: str, path: str, wire: Mapping[str, Any]) -> Row:
    kinds: dict[str, list[str]] = {}
    for requirement in wire.get("security", ()):
        kinds.update(requirement)
    scopes = {scope for named in kinds.values() for scope in named}
    return {
        "id": wire[_OPERATION_ID],
        "method": method,
        "path": path,
        "kinds": sorted(kinds),
        "scopes": sorted(scopes),
        "streaming": bool(wire.get("x-twitter-streaming")),
    }


def _row_of_table(added: Mapping[str, str], taken: set[str]) -> Row:
    name = f"{added['method']} {added['path']}"
    old_id = added["operationId_2166"]
    return {
        "id": name if old_id == "-" or old_id in taken else old_id,
        "method": added["method"],
        "path": added["path"],
        "kinds": sorted(_words(added["auth"])),
        "scopes": sorted(_words(added["oauth2_scopes"])),
        "streaming": added["streaming"] == "yes",
    }


def _additions(added: Mapping[str, str]) -> Row:
    row: Row = {
        "user_windows": _limits(added.get("rate_per_user", "-")),
        "app_windows": _limits(added.get("rate_per_app", "-")),
        "price_class": _NO_CLASS.sub("", _cell(added.get("price_class", "-"))),
        "price_per": _cell(added.get("price_per", "-")),
        "price_basis": _cell(added.get("price_basis", "-")),
        "tag": _cell(added.get("tag", "-")),
        "note": _cell(added.get("notes", "-")),
    }
    for key in ("price_usd", "owned_read_usd"):
        # What follows the figure in the same cell are the prices of variants: see pricing.py.
        if price := _PRICE.match(added.get(key, "-")):
            row[key] = price[0]
    return row


def _limits(cell: str) -> list[dict[str, int]]:
    return [
        {
            "limit": int(found["limit"]),
            "seconds": int(found["count"] or 1) * _SPANS_S[found["unit"]],
        }
        for found in _LIMIT.finditer(cell)
    ]


def _words(cell: str) -> list[str]:
    return [word for word in re.split(r"[| ]", cell) if word not in {"", "-", "none"}]


def _cell(cell: str) -> str:
    return "" if cell == "-" else cell


def _render(rows: Sequence[Row], version: str, read_on: str) -> str:
    """Return the file: one operation a line, so that a change of X is a readable diff."""
    lines = ",\n".join(
        json.dumps({key: value for key, value in row.items() if value not in ("", [], False)})
        for row in rows
    )
    head = f'{{"read_on": {json.dumps(read_on)}, "openapi_version": {json.dumps(version)}'
    return f'{head}, "operations": [\n{lines}\n]}}\n'


if __name__ == "__main__":
    sys.exit(main())
