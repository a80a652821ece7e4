"""A read is recorded before it is sent, and closed with what it cost if that can be known."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from botkit.client.api.limiter import Limiter
from botkit.client.api.x_api import XApi
from botkit.errors import BotkitError
from botkit.model.bookings import OpenRead
from botkit.protocol.api import requests
from botkit.protocol.rules.pricing import Charge
from tests.unit.client.fakes import GREETER, World, json_answer
from tests.unit.client.keeping import keeper_in

if TYPE_CHECKING:
    from botkit.protocol.api.requests import Request

USERS = "GET /2/users"
ADA = json_answer(200, {"data": [{"id": "7", "username": "ada", "name": "Ada"}]})
CHARGE = Charge(each_usd=Decimal("0.010"), resources=("User: Read/7",))


class FakeReads:
    """A `ports.ReadRecord` that tells what it was told."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, str, str]] = []
        self.ended: list[Charge | None] = []

    async def begin(self, request: Request, *, account_id: str, app: str) -> OpenRead | None:
        self.begun.append((request.path, account_id, app))
        if request.operation == "getUsage":
            return None
        return OpenRead(
            account_id=account_id,
            app=app,
            at=datetime(2026, 11, 23, tzinfo=UTC),
            request=request.path,
            most_usd=Decimal(1),
        )

    def end(self, read: OpenRead, charge: Charge | None) -> None:
        assert read.request == self.begun[-1][0]
        self.ended.append(charge)


async def read(world: World, request: Request, *answers: Any) -> FakeReads:
    """Send the request to an X that gives these answers; return what was recorded."""
    await world.log_in()
    world.peer.plan[request.name] = list(answers)
    kept, reads = keeper_in(world), FakeReads()
    limiter = Limiter(clock=world.clock, entropy=world.entropy)
    x = XApi(kept.keeper, limiter=limiter, reads=reads)
    try:
        await x.send(request, account_id=GREETER.id)
    except BotkitError:
        assert answers[-1] is not ADA
    return reads


async def test_a_read_is_closed_with_what_its_answer_cost(world: World) -> None:
    reads = await read(world, requests.get_users(["7"]), ADA)
    assert reads.begun == [("/2/users", GREETER.id, "default")]
    assert reads.ended == [CHARGE]


@pytest.mark.parametrize(
    ("answer", "charge"),
    [
        ("connect", Charge()),
        ("lost", None),
        (json_answer(503, {}), Charge()),
        (json_answer(200, []), None),
    ],
)
async def test_a_read_without_an_answer_stays_open_unless_x_has_surely_not_charged_for_it(
    world: World, answer: Any, charge: Charge | None
) -> None:
    reads = await read(world, requests.get_users(["7"]), answer)
    assert reads.ended == [charge]


async def test_a_read_that_is_spelled_otherwise_keeps_its_record(world: World) -> None:
    refused = json_answer(400, {"errors": [{"parameters": {"user.fields": ["x"]}}]})
    reads = await read(world, requests.get_users(["7"]), refused, refused, ADA)
    assert len(set(reads.begun)) == 1
    assert reads.ended == [Charge(), Charge(), CHARGE]


async def test_a_read_that_costs_nothing_is_not_recorded(world: World) -> None:
    reads = await read(world, requests.get_usage(), json_answer(200, {"data": {}}))
    assert reads.ended == []


async def test_a_write_is_not_recorded_as_a_read(world: World) -> None:
    posted = json_answer(201, {"data": {"id": "1", "text": "hi"}})
    reads = await read(world, requests.create_post("hi"), posted)
    assert reads.begun == []
