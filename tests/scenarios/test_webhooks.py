"""A bot behind a webhook, from X's challenge to the answered mention."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from botkit import Actions, Bot, Follow, Mention
from botkit.filters import contains
from botkit.model.records import EventState
from botkit.sandbox.x.pricing import StreamLine
from botkit.sources.push.webhooks import Webhooks

if TYPE_CHECKING:
    from botkit.sandbox import Process, Sandbox

HOUR = timedelta(hours=1)


@pytest.fixture
def bot() -> Bot:
    bot = Bot("greeter")

    @bot.on(Mention, contains("hello"))
    async def greet(mention: Mention, act: Actions) -> None:
        await act.reply(mention, f"Hello @{mention.author.username}!")

    return bot


async def test_a_mention_that_x_delivers_is_answered(sandbox: Sandbox, bot: Bot) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(bot, webhook=True):
        await ada.posts("@greeter hello")
        assert sandbox.replies_to(ada) == ["Hello @ada!"]
        assert sandbox.server.deliveries.counts == {"attempts": 1, "delivered": 1}


async def test_an_event_that_comes_twice_is_answered_once(sandbox: Sandbox, bot: Bot) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(bot, webhook=True):
        sandbox.faults.duplicate_events(3)
        for text in ("one", "two", "three"):
            await ada.posts(f"@greeter hello {text}")
        await sandbox.settle()
    assert len(sandbox.replies_to(ada)) == 3
    assert sandbox.server.deliveries.counts["delivered"] == 6


async def test_at_a_start_x_challenges_the_address_and_has_one_webhook(
    sandbox: Sandbox, bot: Bot
) -> None:
    for _ in range(2):
        async with sandbox.running(bot, webhook=True) as process:
            (webhook,) = sandbox.world.webhooks.of_app(process.home.app.id)
            assert webhook.valid
            assert webhook.url == process.home.webhook_url
    wanted = {sub.webhook_id for sub in sandbox.server.activity.subscriptions.values()}
    assert wanted == {webhook.id}


def _said(process: Process) -> str:
    """What the status says of the webhook."""
    (said,) = (
        f"{each.state} {each.detail}"
        for name, each in process._runtime.reports.current.items()
        if name.startswith("webhook/")
    )
    return said


async def test_a_secret_that_was_changed_at_x_is_said_and_a_restart_with_the_new_one_cures_it(
    sandbox: Sandbox, bot: Bot
) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(bot, webhook=True) as process:
        assert _said(process).startswith("live")
        process.home.app.api_secret = "made-anew-in-the-console"
        await sandbox.advance(1.2 * HOUR)
        assert "CrcValidationFailed" in _said(process)
        await ada.posts("@greeter hello")
    async with sandbox.running(bot) as process:
        assert _said(process).startswith("live")
        await sandbox.settle()
    assert sandbox.replies_to(ada) == ["Hello @ada!"]


async def test_a_bot_that_is_away_for_a_moment_gets_the_event_by_a_retry(
    sandbox: Sandbox, bot: Bot
) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(bot, webhook=True):
        pass
    await ada.posts("@greeter hello")
    await sandbox.advance(5)
    assert sandbox.server.deliveries.counts == {"attempts": 2}
    async with sandbox.running(bot):
        await sandbox.advance(60)
        await sandbox.settle()
    assert sandbox.server.deliveries.counts == {"attempts": 3, "delivered": 1}
    assert sandbox.replies_to(ada) == ["Hello @ada!"]


async def test_a_kill_between_the_commit_and_the_answer_to_x_costs_no_second_reply(
    sandbox: Sandbox, bot: Bot
) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(bot, webhook=True) as process:
        await ada.posts("@greeter hello")
        await process.crash()
    sandbox.faults.duplicate_events()
    async with sandbox.running(bot):
        await ada.posts("@greeter hello again")
        await sandbox.settle()
    assert len(sandbox.replies_to(ada)) == 2


async def _replay(process: Process, sandbox: Sandbox, span: timedelta) -> None:
    """Ask X as `botkit webhooks replay` does."""
    now = sandbox.clock.now()
    x = process._runtime.x
    desk = Webhooks(x.sender, account_id=process.account_id)
    (webhook,) = await desk.listing()
    await desk.replay(webhook.id, since=now - span, until=now - timedelta(minutes=10))


async def test_after_a_long_outage_a_replay_brings_what_no_poll_reads_and_nothing_twice(
    sandbox: Sandbox, bot: Bot
) -> None:
    followed: list[str] = []

    @bot.on(Follow)
    async def note(follow: Follow) -> None:
        followed.append(follow.follower.username)

    ada = sandbox.user("ada")
    async with sandbox.running(bot, webhook=True):
        await ada.posts("@greeter hello")
        await sandbox.settle()
    await ada.posts("@greeter hello, are you there?")
    await ada.follows("greeter")
    await sandbox.advance(HOUR)
    assert sandbox.server.deliveries.counts["lost"] == 2
    async with sandbox.running(bot) as process:
        await sandbox.settle()
        assert followed == []
        await _replay(process, sandbox, 2 * HOUR)
        await sandbox.settle()
        assert followed == ["ada"]
        await _replay(process, sandbox, 2 * HOUR)
        await sandbox.settle()
    assert followed == ["ada"]
    assert sandbox.replies_to(ada) == ["Hello @ada!"] * 2


async def test_a_webhook_that_became_invalid_is_validated_again_and_the_gap_is_read_back(
    sandbox: Sandbox, bot: Bot
) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(bot, webhook=True) as process:
        (webhook,) = sandbox.world.webhooks.of_app(process.home.app.id)
        webhook.valid = False  # as after a challenge that a proxy answered
        await ada.posts("@greeter hello")
        assert sandbox.replies_to(ada) == []
        await sandbox.advance(timedelta(minutes=11))
        await sandbox.settle()
        assert webhook.valid
        assert sandbox.replies_to(ada) == ["Hello @ada!"]


async def test_w4_a_delivery_that_was_captured_long_ago_is_recorded_and_not_answered(
    sandbox: Sandbox, bot: Bot
) -> None:
    ada = sandbox.user("ada")
    captured: list[StreamLine] = []
    async with sandbox.running(bot, webhook=True) as process:
        deliveries = sandbox.server.deliveries
        (webhook,) = sandbox.world.webhooks.of_app(process.home.app.id)
        await ada.posts("@greeter hello")
        captured += [each.line for each in deliveries._happened[webhook.id]]
        await process.crash()
    old = sandbox.world.next_id()
    sandbox.clock.set(sandbox.clock.now() + timedelta(days=8))
    body = captured[0].content.replace(
        sandbox.world.posts_naming(process.account_id)[0].id.encode(), old.encode()
    )
    async with sandbox.running(bot) as process:
        deliveries.send(webhook, StreamLine(body))
        await sandbox.settle()
        stored = await process.store.events.get(f"post/{old}/0", account_id=process.account_id)
    assert [each.state for each in stored] == [EventState.LATE]
    assert len(sandbox.replies_to(ada)) == 1


async def test_x_asks_for_a_challenge_each_hour_and_the_bot_stays_valid(
    sandbox: Sandbox, bot: Bot
) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(bot, webhook=True) as process:
        await sandbox.advance(2.5 * HOUR)
        (webhook,) = sandbox.world.webhooks.of_app(process.home.app.id)
        assert sandbox.clock.now() - webhook.passed_at <= HOUR
        await ada.posts("@greeter hello")
        await sandbox.settle()
    assert sandbox.replies_to(ada) == ["Hello @ada!"]
