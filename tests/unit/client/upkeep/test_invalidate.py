"""An app's bearer token is ended at X first, whichever place it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from botkit.client.logins.app_tokens import is_bearer_kept, keep_bearer
from botkit.client.upkeep.invalidate import invalidate_bearer
from botkit.errors import ConfigError, OutcomeUnknown, ServerError
from botkit.model.tokens import Secret
from tests.unit.client.fakes import APPS, json_answer
from tests.unit.client.signin.test_oauth2_attempt import context

if TYPE_CHECKING:
    from tests.unit.client.fakes import World

END = "POST /oauth2/invalidate_token"
ENDED = json_answer(200, {"access_token": "B"})
SETTINGS = {"default": msgspec.structs.replace(APPS["default"], bearer_token=Secret("B-set"))}


@pytest.mark.parametrize("is_kept", [False, True])
async def test_the_token_of_the_settings_is_the_one_that_ends_and_the_kept_one_goes_with_it(
    world: World, *, is_kept: bool
) -> None:
    if is_kept:
        await keep_bearer(world.rows, "default", Secret("B-kept"), now=world.clock.now())
    world.peer.plan[END] = [ENDED]
    assert await invalidate_bearer(context(world, apps=SETTINGS), "default")
    [call] = world.peer.named(END)
    assert (call.body, call.method, call.writes) == (b"access_token=B-set", "POST", True)
    assert call.url == "https://api.x.com/oauth2/invalidate_token"
    assert await world.real_store.credentials.listing("") == []


@pytest.mark.parametrize(
    ("answer", "error"), [(json_answer(503, {}), ServerError), ("lost", OutcomeUnknown)]
)
async def test_what_x_did_not_confirm_is_kept(
    world: World, answer: Any, error: type[Exception]
) -> None:
    await keep_bearer(world.rows, "default", Secret("B-kept"), now=world.clock.now())
    world.peer.plan[END] = [answer]
    with pytest.raises(error):
        await invalidate_bearer(context(world), "default")
    assert await is_bearer_kept(world.rows, "default")


async def test_an_app_that_cannot_prove_itself_is_sent_to_xs_console(world: World) -> None:
    apps = {"default": msgspec.structs.replace(SETTINGS["default"], api_key="")}
    with pytest.raises(ConfigError, match="X takes no other proof") as refused:
        await invalidate_bearer(context(world, apps=apps), "default")
    assert "regenerate the bearer token in X's console" in refused.value.hint
    assert world.peer.calls == []
