"""A check of logins is booked when X may have charged for it."""

from __future__ import annotations

import pytest

from botkit.client.upkeep.check import check_logins
from tests.unit.client.fakes import GREETER, World, json_answer
from tests.unit.client.keeping import keeper_in


@pytest.mark.parametrize("kind", ["oauth2", "oauth1"])
@pytest.mark.parametrize(("fault", "asked"), [("connect", 0), ("lost", 1), (None, 1)])
async def test_a_check_whose_answer_was_lost_may_have_cost_as_much_as_one_with_an_answer(
    world: World, kind: str, fault: str | None, asked: int
) -> None:
    if kind == "oauth2":
        await world.log_in()
    else:
        await world.log_in_1a(level="read-write")
    me = json_answer(200, {"data": world.peer.user})
    world.peer.plan["GET /2/users/me"] = [fault or me]
    times: list[None] = []
    async with keeper_in(world).keeper as keeper:
        await check_logins(keeper, GREETER, on_asked=lambda: times.append(None))
    assert len(times) == asked
