"""Every mention is heard, and each once, by whatever way it comes."""

from __future__ import annotations

from datetime import timedelta

from botkit import Actions, Bot, Mention, Reply
from botkit.sandbox import Sandbox
from botkit.sandbox.wire.exchange import Answer, Call


def counting() -> tuple[Bot, list[str]]:
    """A bot that answers every mention, and what its handler was called with."""
    seen: list[str] = []
    bot = Bot("greeter")

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions) -> None:
        seen.append(mention.post.id)
        await act.reply(mention, f"Hello {mention.post.id[-6:]}")

    return bot, seen


class SecondPageFails:
    """The first call for a later page of the mentions gets a 503."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.hits = 0
        self._handle = sandbox.server.handle
        sandbox.server.handle = self.handle  # type: ignore[method-assign]

    async def handle(self, call: Call) -> Answer:
        if call.param("pagination_token") and not self.hits:
            self.hits += 1
            return Answer.json(503, {"title": "Service Unavailable", "status": 503})
        return await self._handle(call)


async def test_fault_41_what_comes_by_stream_and_by_poll_is_handled_once(sandbox):
    bot, seen = counting()
    ada = sandbox.user("ada")

    async with sandbox.running(bot):
        post = await ada.posts("@greeter hello")
        await sandbox.advance(timedelta(minutes=12))  # two polls read it again

    assert seen == [post.id]
    assert len(sandbox.replies_to(ada)) == 1


async def test_while_the_stream_is_down_the_poll_brings_each_mention_once(sandbox):
    bot, seen = counting()
    ada = sandbox.user("ada")

    async with sandbox.running(bot):
        first = await ada.posts("@greeter one")
        sandbox.faults.unavailable("GET /2/activity/stream", times=None)
        sandbox.faults.cut_streams()
        posts = [first, *[await ada.posts(f"@greeter number {n}") for n in range(5)]]
        assert seen == [first.id]
        await sandbox.settle()

    assert seen == [post.id for post in posts]
    assert len(sandbox.replies_to(ada)) == 6


async def test_when_the_stream_is_back_the_poll_reads_at_once_what_was_missed(sandbox):
    bot, seen = counting()
    ada = sandbox.user("ada")

    async with sandbox.running(bot) as process:
        sandbox.faults.unavailable("GET /2/activity/stream", times=1)
        before = sandbox.clock.now()
        sandbox.faults.cut_streams()
        missed = await ada.posts("@greeter hello")
        await sandbox.advance(15)  # far less than the five minutes of the slow poll
        assert seen == [missed.id]
        heard = await ada.posts("@greeter again")
        assert seen == [missed.id, heard.id]
        gaps = await process.store.progress.gaps()

    assert sandbox.clock.now() - before < timedelta(minutes=1)
    assert {gap.state for gap in gaps} == {"closed"}


async def test_a_silent_stream_is_given_up_and_nothing_is_missed(sandbox):
    bot, seen = counting()
    ada = sandbox.user("ada")

    async with sandbox.running(bot):
        sandbox.faults.silence_streams()
        post = await ada.posts("@greeter hello")
        assert seen == []
        await sandbox.advance(31)
        sandbox.faults.silence_streams(on=False)
        await sandbox.advance(60)

    assert seen == [post.id]


async def test_fault_42_events_that_come_twice_and_in_another_order_are_handled_once_each(sandbox):
    bot, seen = counting()
    ada, bob = sandbox.user("ada"), sandbox.user("bob")
    sandbox.faults.reorder_events(2)
    sandbox.faults.duplicate_events(3)

    async with sandbox.running(bot):
        posts = [
            await ada.posts("@greeter one"),
            await bob.posts("@greeter two"),
            await ada.posts("@greeter three"),
        ]
        await sandbox.settle()

    assert sorted(seen) == sorted(post.id for post in posts)
    assert len(sandbox.posts_by("greeter")) == 3


async def test_what_came_while_no_process_ran_is_answered_once_at_the_next_start(sandbox):
    bot, seen = counting()
    ada = sandbox.user("ada")
    async with sandbox.running(bot) as process:
        await process.crash()
    posts = [await ada.posts(f"@greeter number {n}") for n in range(150)]  # two pages

    async with sandbox.running(bot):
        await sandbox.settle()  # a hundred replies in 15 minutes are all that X takes

    assert set(seen) == {post.id for post in posts}
    assert len(sandbox.replies_to(ada)) == 150


async def test_fault_4_a_poll_that_fails_half_way_through_its_pages_loses_nothing(sandbox):
    bot, seen = counting()
    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        pass
    posts = [await ada.posts(f"@greeter number {n}") for n in range(150)]
    fails = SecondPageFails(sandbox)
    async with sandbox.running(bot):
        await sandbox.settle()

    assert fails.hits == 1
    assert set(seen) == {post.id for post in posts}
    assert len(sandbox.replies_to(ada)) == 150


async def test_an_author_that_the_delivery_lacked_is_looked_up_before_the_handler_runs(sandbox):
    names: list[tuple[str, str]] = []
    bot = Bot("greeter")

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions) -> None:
        await act.reply(mention, "Hello")

    @bot.on(Reply)
    async def thank(reply: Reply) -> None:
        names.append((reply.author.username, reply.author.name))

    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        await ada.posts("@greeter hello")
        (greeting,) = sandbox.world.posts_by(sandbox.user("greeter").id)
        sandbox.faults.unavailable("GET /2/users", times=2)
        await ada.replies(greeting, "nice")
        assert names == []
        await sandbox.settle()

    assert names == [("ada", "Ada")]
