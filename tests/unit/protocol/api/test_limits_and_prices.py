"""Each limit and each price, against what X's pages said on 2026-08-22 (tests/wire/prices)."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import pytest

from botkit.protocol.api.operations import Operation, RateLimit, all_operations

TABLE = Path(__file__).parents[3] / "wire" / "prices" / "operations.tsv"
SAID = {
    (row["method"], row["path"]): row
    for row in csv.DictReader(TABLE.read_text().splitlines(), delimiter="\t")
}
SPANS_S = {"15min": 900, "24h": 86_400, "sec": 1}


def windows(said: str) -> tuple[RateLimit, ...]:
    if said == "-":
        return ()
    parts = (part.strip().split("/") for part in said.split(";"))
    return tuple(RateLimit(limit=int(limit), seconds=SPANS_S[span]) for limit, span in parts)


def price(said: str) -> Decimal | None:
    return Decimal(said.split(maxsplit=1)[0]) if said[0].isdigit() else None


@pytest.mark.parametrize("operation", all_operations(), ids=lambda one: one.name)
def test_an_operation_has_the_limits_and_the_price_of_xs_pages(operation: Operation) -> None:
    said = SAID.get((operation.method, operation.path))
    if said is None:
        said = dict.fromkeys(next(iter(SAID.values())), "-")
    assert set(operation.user_windows) == set(windows(said["rate_per_user"]))
    assert set(operation.app_windows) == set(windows(said["rate_per_app"]))
    assert operation.price_usd == price(said["price_usd"])
    assert operation.owned_read_usd == price(said["owned_read_usd"])
    if operation.price_usd is not None:
        assert operation.price_per == said["price_per"]


def test_every_row_of_the_table_is_an_operation() -> None:
    assert SAID.keys() <= {(one.method, one.path) for one in all_operations()}
