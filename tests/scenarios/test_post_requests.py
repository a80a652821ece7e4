"""A post that was asked for beside a running bot: once, in order, by the same guard."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from botkit import Bot, Event
from botkit.bot.posting import outcome_of, record_request
from botkit.errors import ConfigError
from botkit.model.triggers import PostRequest
from botkit.sandbox import Sandbox

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from botkit.sandbox import Process
    from tests.scenarios.conftest import Killer


def asked(process: Process, text: str, *, reply_to: str = "", name: str = "") -> PostRequest:
    return PostRequest(
        account_id=process.account_id,
        at=process.home.clock.now(),
        source="post",
        id=name or text,
        text=text,
        reply_to=reply_to,
    )


async def ask(process: Process, request: PostRequest, *, at: datetime | None = None) -> None:
    assert await record_request(process.store, request, at=at)


async def test_a_running_bot_sends_what_is_asked_for_in_order_and_no_handler_sees_it(
    sandbox: Sandbox,
) -> None:
    bot = Bot("greeter")
    seen: list[Event] = []

    @bot.on(Event)
    async def everything(event: Event) -> None:
        seen.append(event)

    async with sandbox.running(bot) as process:
        for text in ("First.", "Second.", "Third."):
            await ask(process, asked(process, text))
        await sandbox.settle()
        outcome = await outcome_of(process.store, asked(process, "Third."))
    assert sandbox.posts_by("greeter") == ["First.", "Second.", "Third."]
    assert outcome.state == "sent"
    assert sandbox.world.posts[outcome.post_id].written == "Third."
    assert [event for event in seen if isinstance(event, PostRequest)] == []


async def test_a_post_for_later_waits_until_then(sandbox: Sandbox) -> None:
    async with sandbox.running(Bot("greeter")) as process:
        at = sandbox.clock.now() + timedelta(hours=2)
        await ask(process, asked(process, "Later."), at=at)
        await sandbox.advance(timedelta(minutes=119))
        assert sandbox.posts_by("greeter") == []
        await sandbox.advance(timedelta(minutes=2))
        await sandbox.settle()
    assert sandbox.posts_by("greeter") == ["Later."]


async def test_an_answer_finds_the_summons_that_is_on_record_and_one_post_has_one(
    sandbox: Sandbox,
) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(Bot("greeter")) as process:
        post = await ada.posts("@greeter open on Sunday?")
        await sandbox.settle()
        await ask(process, asked(process, "From ten.", reply_to=post.id))
        await ask(process, asked(process, "Until six.", reply_to=post.id))
        await sandbox.settle(may_fail=True)
        outcome = await outcome_of(process.store, asked(process, "Until six.", reply_to=post.id))
    assert sandbox.replies_to(post) == ["From ten."]
    assert (outcome.state, outcome.code) == ("refused", 3)
    assert "AlreadyReplied" in outcome.why


async def test_an_id_stands_for_one_request(sandbox: Sandbox) -> None:
    async with sandbox.running(Bot("greeter")) as process:
        await ask(process, asked(process, "One.", name="a"))
        assert not await record_request(process.store, asked(process, "One.", name="a"), at=None)
        with pytest.raises(ConfigError, match="by the id 'a'"):
            await record_request(process.store, asked(process, "Two.", name="a"), at=None)
        await sandbox.settle()
    assert sandbox.posts_by("greeter") == ["One."]


async def test_killed_at_any_point_it_is_posted_once(tmp_path: Path, killer: Killer) -> None:
    bot = Bot("greeter")
    points = 0
    for at in range(1, 100):
        sandbox = Sandbox(tmp_path / str(at))
        async with sandbox.running(bot) as process:
            await ask(process, asked(process, "Good news."))
            killer.aim(process, at=at)
            process._runtime.dispatcher.inbox_reader.rescan()
            await sandbox.clock.at_rest()
            struck = killer.struck
            await process.crash()
        killer.rest()
        async with sandbox.running(bot):
            await sandbox.settle()
        assert sandbox.posts_by("greeter") == ["Good news."], f"killed at point {at}"
        if not struck:
            points = at - 1
            break
    assert points >= 6
