"""A login leaves for another machine whole, or not at all."""

from __future__ import annotations

import pytest

from botkit.client.logins.app_tokens import keep_bearer
from botkit.client.upkeep.login_transfer import hand_over
from botkit.errors import ConfigError
from botkit.model.tokens import Secret
from tests.unit.client.fakes import GREETER, World
from tests.unit.client.keeping import keeper_in


async def test_an_account_without_a_login_of_its_own_has_none_that_could_leave(
    world: World,
) -> None:
    await keep_bearer(world.rows, "default", Secret("B-1"), now=world.clock.now())
    async with keeper_in(world).keeper as keeper:
        with pytest.raises(ConfigError, match="has no login that could leave"):
            await hand_over(keeper, GREETER)
