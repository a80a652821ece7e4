"""Where ports meet their implementations: which accounts, what is told, what a dry run does."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from botkit import Actions, Bot, Mention
from botkit.bot.accounts.account_choice import the_accounts
from botkit.bot.compose import RunOptions, open_runtime
from botkit.errors import ConfigError
from botkit.model.records import WriteState
from botkit.runtime.dispatch.run_ends import Ended
from botkit.runtime.writes.steps import Wrote
from botkit.system import SystemClock


def greeter() -> Bot:
    bot = Bot("greeter")

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions) -> str:
        post = await act.reply(mention, "Hello")
        return post.id

    return bot


async def test_without_an_account_the_two_ways_on_are_said(place):
    with pytest.raises(ConfigError, match="No account is authorized yet") as caught:
        await the_accounts(await place.settings(), place.store)

    assert "botkit setup" in caught.value.hint
    assert "botkit dev" in caught.value.hint


async def test_the_account_of_the_settings_must_be_authorized(place):
    await place.authorize()
    place.environ["BOTKIT_BOT__ACCOUNT"] = "somebody"

    with pytest.raises(ConfigError, match="'somebody' is not authorized") as caught:
        await the_accounts(await place.settings(), place.store)

    assert "botkit setup --account somebody" in caught.value.hint


@pytest.mark.parametrize("named", ["", "greeter", "@Greeter"])
async def test_it_acts_for_the_named_account_or_for_all(place, named):
    await place.authorize()
    if named:
        place.environ["BOTKIT_BOT__ACCOUNT"] = named

    (account,) = await the_accounts(await place.settings(), place.store)

    assert account.id == place.user.id


async def test_a_store_of_another_x_stops_the_start_before_anything_is_sent(place):
    await place.authorize()
    place.environ["BOTKIT_X__API_URL"] = "http://127.0.0.1:8123"
    starting = open_runtime(
        greeter().plan, await place.settings(), store=place.store, transport=NoTransport()
    )
    with pytest.raises(ConfigError, match=r"@greeter in this store is not used.*api\.x\.com"):
        async with starting:
            pytest.fail("it started")
    assert await place.store.leases.holder("runner") is None


class NoTransport:
    async def send(self, request: Any, **how: Any) -> Any:
        pytest.fail(f"{request.name} was sent")

    def stream(self, request: Any) -> Any:
        pytest.fail(f"{request.name} was opened")


@pytest.mark.timeout(20)
async def test_who_watches_is_told_of_each_end_and_each_write(place):
    ends: asyncio.Queue[Ended] = asyncio.Queue()
    writes: list[Wrote] = []
    await place.authorize()
    async with open_runtime(
        greeter().plan,
        await place.settings(),
        store=place.store,
        transport=place.transport,
        options=RunOptions(on_ended=ends.put_nowait, on_wrote=writes.append),
    ) as running:
        await _listening(place)
        ada = place.world.add_user("ada")
        place.world.add_post(ada.id, "@greeter hello")
        ended = await ends.get()
        await running.wait_idle()

    (post,) = place.world.posts_by(place.user.id)
    assert ended.returned == post.id
    assert [write.result_id for write in writes] == [post.id]
    assert running.stubborn == []
    assert set(running.sources) == {"mentions/greeter", "activity/default"}


@pytest.mark.timeout(20)
async def test_a_bot_says_when_all_its_sources_work(place):
    await place.authorize()
    with capture_logs() as logs:
        async with open_runtime(
            greeter().plan, await place.settings(), store=place.store, transport=place.transport
        ):
            await _listening(place)
            while not any(line["event"] == "bot.hears" for line in logs):
                await SystemClock().sleep(0.01)
    events = [line["event"] for line in logs]
    assert events.index("bot.started") < events.index("bot.hears")
    (said,) = [line for line in logs if line["event"] == "bot.hears"]
    assert set(said["sources"]) == {"mentions/greeter", "activity/default"}


@pytest.mark.timeout(20)
async def test_a_dry_run_sends_nothing_and_records_what_it_would_have_sent(place):
    ends: asyncio.Queue[Ended] = asyncio.Queue()
    await place.authorize()
    async with open_runtime(
        greeter().plan,
        await place.settings(),
        store=place.store,
        transport=place.transport,
        options=RunOptions(dry_run=True, on_ended=ends.put_nowait),
    ):
        await _listening(place)
        ada = place.world.add_user("ada")
        place.world.add_post(ada.id, "@greeter hello")
        ended = await ends.get()

    assert ended.returned
    assert place.world.posts_by(place.user.id) == []
    (write,) = await place.store.writes.listing()
    assert (write.state, write.text) == (WriteState.EXPIRED, "Hello")


async def test_a_bot_that_was_stopped_is_stopped_once(place):
    await place.authorize()
    async with open_runtime(
        greeter().plan, await place.settings(), store=place.store, transport=place.transport
    ) as running:
        await running.stop(0.0)
        taken = await place.store.leases.acquire("runner", "next", ttl=timedelta(seconds=9))
        await running.stop()

    assert taken is not None
    assert await place.store.leases.holder("runner") == "next"


async def _listening(place) -> None:
    async with asyncio.timeout(10):
        while not place.server.activity.open_streams(place.app.id):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)  # noqa: TID251 - threads of the store live in real time


async def test_a_running_bot_is_the_keeper_of_the_logins(place):
    await place.authorize()
    leases = place.store.leases
    async with open_runtime(
        greeter().plan, await place.settings(), store=place.store, transport=place.transport
    ) as running:
        await running.x.keeper.access_token(place.user.id)
        assert await leases.holder("keeper") == await leases.holder("runner")
        await running.stop(0.0)

    assert await leases.holder("keeper") is None
