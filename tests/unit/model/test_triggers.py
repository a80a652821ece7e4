"""Triggers: one key for one delivery, and data as the class that the author names."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec import Struct

from botkit.errors import UndecodableEvent
from botkit.model.triggers import Trigger

NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)


class Order(Struct, frozen=True):
    number: int
    express: bool = False


def trigger(data: object) -> Trigger:
    return Trigger(account_id="1", at=NOW, name="order-shipped", delivery="d-1", data=data)


def test_a_delivery_has_one_key_and_is_its_own_lane() -> None:
    assert trigger(None).key == trigger(None).lane == "trigger/order-shipped/d-1"


@pytest.mark.parametrize(
    "data", [{"number": 7, "express": True}, {"number": "7", "express": "true", "other": "x"}]
)
def test_the_data_of_json_and_of_a_form_is_read_as_the_same_value(data: object) -> None:
    assert trigger(data).read(Order) == Order(number=7, express=True)


def test_data_that_does_not_fit_is_told_with_its_place() -> None:
    with pytest.raises(UndecodableEvent, match=r"no Order: .*number") as lost:
        trigger({"number": "seven"}).read(Order)
    assert "events retry" in lost.value.hint
