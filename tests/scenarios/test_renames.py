"""An event that was begun goes on where it was, whatever became of its handler's name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from botkit import Actions, Bot, Mention, Router

if TYPE_CHECKING:
    from collections.abc import Callable

    from botkit.sandbox import Sandbox

Options = dict[str, Any]


class Work:
    """What a handler does, whatever it is called: pays, posts, and dies before it answers."""

    def __init__(self) -> None:
        self.paid = 0
        self.runs = 0
        self.dies = True
        self.stood = asyncio.Event()

    async def do(self, mention: Mention, act: Actions) -> None:
        self.runs += 1
        text = await act.once("model", self.pay)
        await act.post(f"{text}, run {self.runs}")
        await act.reply(mention, f"Answer of run {self.runs}")
        if self.dies:
            self.stood.set()
            await asyncio.Event().wait()

    async def pay(self) -> str:
        self.paid += 1
        return f"Thought {self.paid}"

    def bot(self, router: Router | None, named: str, module: str, **options: Any) -> Bot:
        async def handler(mention: Mention, act: Actions) -> None:
            await self.do(mention, act)

        handler.__name__ = handler.__qualname__ = named
        handler.__module__ = module
        bot = Bot("greeter")
        (router or bot).on(Mention, **options)(handler)
        if router is not None:
            bot.include(router)
        return bot


async def begun(sandbox: Sandbox, work: Work, bot: Bot) -> str:
    """A mention whose handler did everything and did not end, because it was killed."""
    async with sandbox.running(bot) as process:
        post = await sandbox.user("ada").posts("@greeter hello")
        assert work.stood.is_set()
        await process.crash()
    work.dies = False
    return f"post/{post.id}/0"


async def state_of(sandbox: Sandbox, bot: Bot, key: str) -> tuple[str, str]:
    async with sandbox.running(bot) as process:
        await sandbox.settle()
        (event,) = await process.store.events.get(key)
    return event.state.value, event.waiting_for


def once_each(sandbox: Sandbox, work: Work) -> bool:
    texts = sandbox.posts_by("greeter")
    return work.paid == 1 and texts == ["Thought 1, run 1", "Answer of run 1"]


AFTER: dict[str, Callable[[Work], Bot]] = {
    "the same": lambda work: work.bot(None, "greet", "mybot.bot"),
    "moved to another module": lambda work: work.bot(None, "greet", "mybot.greetings"),
    "moved into a router": lambda work: work.bot(Router("hellos"), "greet", "mybot.hellos"),
    "renamed with was": lambda work: work.bot(None, "welcome", "mybot.bot", was="greet"),
    "renamed with name": lambda work: work.bot(None, "welcome", "mybot.bot", name="greet"),
    "moved and renamed": lambda work: work.bot(
        Router("hellos"), "welcome", "mybot.hellos", was=("greet", "hello")
    ),
}


@pytest.mark.parametrize("after", sorted(AFTER))
async def test_after_a_kill_and_a_rename_the_event_ends_with_each_step_done_once(
    sandbox: Sandbox, after: str
) -> None:
    work = Work()
    key = await begun(sandbox, work, work.bot(Router("greetings"), "greet", "mybot.bot"))
    assert await state_of(sandbox, AFTER[after](work), key) == ("done", "")
    assert once_each(sandbox, work)
    assert work.runs == 2


async def test_an_event_of_a_handler_that_is_gone_is_named_held_and_goes_on_with_was(
    sandbox: Sandbox,
) -> None:
    work = Work()
    key = await begun(sandbox, work, work.bot(None, "greet", "mybot.bot"))
    with capture_logs() as lines:
        held = await state_of(sandbox, work.bot(None, "welcome", "mybot.bot"), key)
    assert held == ("waiting", "handler/greet")
    (gone,) = (line for line in lines if line["event"] == "handler.gone")
    assert (gone["handler"], gone["events"]) == ("greet", (key,))
    assert work.runs == 1

    goes_on = work.bot(None, "welcome", "mybot.bot", was="greet")
    assert await state_of(sandbox, goes_on, key) == ("done", "")
    assert once_each(sandbox, work)


async def test_an_event_of_a_store_before_names_lasted_follows_a_renamed_router_by_was(
    sandbox: Sandbox,
) -> None:
    work = Work()
    old = work.bot(Router("greetings"), "greet", "mybot.bot", name="greetings.greet")
    key = await begun(sandbox, work, old)
    renamed = work.bot(Router("hellos"), "greet", "mybot.bot")
    assert await state_of(sandbox, renamed, key) == ("waiting", "handler/greetings.greet")
    renamed = work.bot(Router("hellos"), "greet", "mybot.bot", was="greetings.greet")
    assert await state_of(sandbox, renamed, key) == ("done", "")
    assert once_each(sandbox, work)


async def test_a_dead_letter_of_a_handler_that_is_gone_does_nothing_again_when_retried(
    sandbox: Sandbox,
) -> None:
    work = Work()

    async def fails(mention: Mention, act: Actions) -> None:
        work.dies = False
        await work.do(mention, act)
        raise ValueError("no")

    bot = Bot("greeter")
    bot.on(Mention, name="greet")(fails)
    async with sandbox.running(bot) as process:
        post = await sandbox.user("ada").posts("@greeter hello")
        await sandbox.settle(may_fail=True)
        assert len(await process.store.events.dead()) == 1
    runs = work.runs
    async with sandbox.running(work.bot(None, "welcome", "mybot.bot")) as process:
        key = f"post/{post.id}/0"
        assert await process.store.events.revive(process.account_id, key)
        await sandbox.advance(120)
        (event,) = await process.store.events.get(key)
    assert event.waiting_for == "handler/greet"
    assert work.runs == runs
    assert once_each(sandbox, work)
