"""The logins that a process holds follow those of the store."""

from __future__ import annotations

import pytest

from botkit.errors import InvalidGrant
from botkit.model.tokens import LoginState
from tests.unit.client.fakes import World
from tests.unit.client.keeping import keeper_in


async def test_a_login_that_is_gone_from_the_store_is_told_and_used_no_more(world: World) -> None:
    row = await world.log_in()
    kept = keeper_in(world)
    await kept.keeper.reload()
    assert await kept.access() == "at-1"
    await world.real_store.credentials.remove(row.account_id, row.app, row.kind)
    await kept.keeper.reload()
    last = kept.changes[-1]
    assert (last.status, last.is_gone) == (LoginState.DEAD, True)
    with pytest.raises(InvalidGrant):
        await kept.access()
