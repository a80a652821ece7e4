"""Whatever becomes of a write and of the process: one reply, and it is known which."""

from __future__ import annotations

from datetime import timedelta

import pytest

from botkit import Actions, Bot, Mention
from botkit.errors import AlreadyReplied, Forbidden, LinkNotAllowed
from botkit.filters import contains
from botkit.model.records import WriteState
from botkit.sandbox import Sandbox
from botkit.text import keep_from_linking

CREATE = "POST /2/tweets"
DUPLICATE = {
    "detail": "You are not allowed to create a Tweet with duplicate content.",
    "type": "about:blank",
    "title": "Forbidden",
    "status": 403,
}


async def test_greets_once_even_if_the_answer_is_lost_and_the_process_dies(
    sandbox: Sandbox, bot: Bot
) -> None:
    ada = sandbox.user("ada")
    sandbox.faults.lose_answer("POST /2/tweets")  # X takes the post, we never hear of it

    async with sandbox.running(bot) as process:
        await ada.posts("@greeter hello")
        await process.crash()
    async with sandbox.running(bot):
        await (
            sandbox.settle()
        )  # no event due, every write final; moves virtual time as far as that needs

    assert sandbox.replies_to(ada) == ["Hello @ada!"]


@pytest.mark.parametrize("verb", ["lose_answer", "cut_answer", "stall"])
async def test_a_post_whose_answer_is_lost_is_found_on_the_timeline_and_not_sent_again(
    sandbox, bot, verb
):
    ada = sandbox.user("ada")
    fault = getattr(sandbox.faults, verb)(CREATE, times=None)

    async with sandbox.running(bot) as process:
        await ada.posts("@greeter hello")
        await sandbox.settle()
        (write,) = await process.store.writes.listing()

    (reply,) = sandbox.world.posts_by(sandbox.user("greeter").id)
    assert fault.hits == 1
    assert write.state is WriteState.CONFIRMED
    assert write.result_id == reply.id


@pytest.mark.parametrize(
    "text",
    [
        "\u8a73\u3057\u304f\u306f https://example.com\u3092\u3054\u89a7\u304f\u3060\u3055\u3044",
        "Neues: https://tagesschau.berlin/a und https://b.hamburg, 1 < 2 & 3",
        "http://server.local:8080/x and https://example.com:80?a=b",
        "https://m\u00fcller.de?x https://de.wikipedia.org/wiki/A_(b_(c))",
    ],
)
async def test_a_lost_answer_is_found_whatever_links_the_text_has(sandbox, text):
    bot = Bot("greeter", may={"reply"})

    @bot.on(Mention)
    async def answer(mention: Mention, act: Actions) -> None:
        await act.reply(mention, text)

    sandbox.faults.lose_answer(CREATE, times=None)

    async with sandbox.running(bot) as process:
        await sandbox.user("ada").posts("@greeter links?")
        await sandbox.settle()
        (write,) = await process.store.writes.listing()

    assert write.state is WriteState.CONFIRMED


async def test_a_post_that_x_would_bill_for_a_link_nobody_meant_is_refused(sandbox):
    bot = Bot("greeter", may={"reply"})

    @bot.on(Mention)
    async def answer(mention: Mention, act: Actions) -> None:
        with pytest.raises(LinkNotAllowed, match=r"asyncio\.run"):
            await act.reply(mention, "Use asyncio.run and see e.g. node.js")
        await act.reply(mention, keep_from_linking("Use asyncio.run"))

    async with sandbox.running(bot):
        await sandbox.user("ada").posts("@greeter how?")
        await sandbox.settle()

    assert sandbox.replies_to(sandbox.user("ada")) == ["Use asyncio.\u200brun"]


async def test_a_handler_hears_what_people_wrote_and_not_what_x_escapes(sandbox):
    bot = Bot("greeter", may={"reply"})

    @bot.on(Mention, contains("<3") & contains("rock & roll"))
    async def answer(mention: Mention, act: Actions) -> None:
        await act.reply(mention, f"You said {mention.post.text[9:]}")

    async with sandbox.running(bot):
        await sandbox.user("ada").posts("@greeter I <3 rock & roll")
        await sandbox.settle()

    assert sandbox.replies_to(sandbox.user("ada")) == ["You said I <3 rock & roll"]


async def test_what_two_readings_do_not_show_is_sent_again_minutes_later(sandbox, bot):
    ada = sandbox.user("ada")
    sandbox.faults.reset(CREATE)  # X never sees it; to us that looks like a lost answer

    async with sandbox.running(bot) as process:
        sent = sandbox.clock.now()
        await ada.posts("@greeter hello")
        (write,) = await process.store.writes.listing()
        assert write.state is WriteState.UNCERTAIN
        await sandbox.settle()
        (write,) = await process.store.writes.listing()

    (reply,) = sandbox.world.posts_by(sandbox.user("greeter").id)
    assert reply.written == "Hello @ada!"
    assert reply.created_at - sent >= timedelta(minutes=2)
    assert write.state is WriteState.CONFIRMED
    assert [attempt.n for attempt in write.attempts] == [1, 2]


async def test_the_count_of_readings_goes_on_over_restarts(sandbox, bot):
    ada = sandbox.user("ada")
    sandbox.faults.reset(CREATE)
    async with sandbox.running(bot) as process:
        await ada.posts("@greeter hello")
        await process.crash()

    for _ in range(12):
        async with sandbox.running(bot) as process:
            await sandbox.advance(20)
            await process.crash()

    assert sandbox.replies_to(ada) == ["Hello @ada!"]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_after_a_5xx_there_is_one_reply(sandbox, bot, status):
    ada = sandbox.user("ada")
    sandbox.faults.unavailable(CREATE, status=status)

    async with sandbox.running(bot):
        await ada.posts("@greeter hello")
        await sandbox.settle()

    assert sandbox.replies_to(ada) == ["Hello @ada!"]


async def test_a_5xx_for_a_post_that_x_took_all_the_same_is_no_second_reply(sandbox, bot):
    ada = sandbox.user("ada")
    me = sandbox.user("greeter")
    sandbox.faults.unavailable(CREATE)

    async with sandbox.running(bot):
        mention = await ada.posts("@greeter hello")
        sandbox.world.add_post(me.id, "Hello @ada!", reply_to=mention.id)
        await sandbox.settle()

    assert sandbox.replies_to(ada) == ["Hello @ada!"]


async def test_a_duplicate_that_is_our_own_post_is_the_answer(sandbox, bot):
    ada = sandbox.user("ada")
    sandbox.faults.repeat(CREATE)  # sent twice on the way: the second answer, a 403, comes back

    async with sandbox.running(bot) as process:
        await ada.posts("@greeter hello")
        await sandbox.settle()
        (write,) = await process.store.writes.listing()

    (reply,) = sandbox.world.posts_by(sandbox.user("greeter").id)
    assert write.state is WriteState.CONFIRMED
    assert write.result_id == reply.id


async def test_a_duplicate_that_is_nowhere_ends_in_a_dead_letter_and_not_in_a_loop(sandbox, bot):
    ada = sandbox.user("ada")
    fault = sandbox.faults.answer(CREATE, status=403, body=DUPLICATE, times=None)

    async with sandbox.running(bot) as process:
        await ada.posts("@greeter hello")
        await sandbox.settle(may_fail=True)
        (write,) = await process.store.writes.listing()
        (letter,) = await process.store.events.dead()

    assert fault.hits == 1
    assert write.state is WriteState.REJECTED
    assert letter.reason == "refused"
    assert "uplicate" in letter.error
    assert sandbox.replies_to(ada) == []


async def test_a_final_no_of_x_is_raised_in_the_handler_and_not_asked_for_again(sandbox):
    seen: list[str] = []
    bot = Bot("greeter")

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions) -> None:
        try:
            await act.reply(mention, "Hello")
        except Forbidden as no:
            seen.append(no.detail)

    ada = sandbox.user("ada")
    body = {"title": "Forbidden", "type": "about:blank", "status": 403, "detail": "Not you."}
    fault = sandbox.faults.answer(CREATE, status=403, body=body)
    async with sandbox.running(bot) as process:
        await ada.posts("@greeter hello")
        await sandbox.settle()
        assert await process.store.events.dead() == []

    assert seen == ["Not you."]
    assert fault.hits == 1


async def test_one_interaction_gets_one_reply_however_often_the_handler_tries(sandbox):
    refused: list[str] = []
    bot = Bot("greeter")

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions) -> None:
        await act.reply(mention, "One")
        try:
            await act.reply(mention, "Two")
        except AlreadyReplied as no:
            refused.append(no.message)

    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        await ada.posts("@greeter hello")
        await sandbox.settle()

    assert sandbox.replies_to(ada) == ["One"]
    assert len(refused) == 1


async def test_of_two_handlers_the_first_that_matches_has_the_event(sandbox):
    bot = Bot("greeter")

    @bot.on(Mention, contains("hello"))
    async def greet(mention: Mention, act: Actions) -> None:
        await act.reply(mention, "Hello")

    @bot.on(Mention)
    async def shrug(mention: Mention, act: Actions) -> None:
        await act.reply(mention, "Pardon?")

    ada, bob = sandbox.user("ada"), sandbox.user("bob")
    async with sandbox.running(bot):
        await ada.posts("@greeter hello")
        await bob.posts("@greeter bonjour")
        await sandbox.settle()

    assert sandbox.replies_to(ada) == ["Hello"]
    assert sandbox.replies_to(bob) == ["Pardon?"]


async def test_killed_at_any_point_of_its_work_the_bot_greets_once(tmp_path, bot, killer):
    points = 0
    for at in range(1, 100):
        sandbox = Sandbox(tmp_path / str(at))
        ada = sandbox.user("ada")
        async with sandbox.running(bot) as process:
            killer.aim(process, at=at)
            await ada.posts("@greeter hello")
            struck = killer.struck
            await process.crash()
        killer.rest()
        async with sandbox.running(bot):
            await sandbox.settle()
        assert sandbox.replies_to(ada) == ["Hello @ada!"], f"killed at point {at}"
        if not struck:
            points = at - 1
            break
    assert points >= 10


async def test_killed_at_any_point_of_a_conversation_each_step_happens_once(tmp_path, killer):
    bot = Bot("greeter")

    @bot.on(Mention)
    async def thread(mention: Mention, act: Actions) -> None:
        first = await act.reply(mention, "First")
        await act.reply(first, "Second")
        await act.post("All are served.")

    points = 0
    for at in range(1, 200):
        sandbox = Sandbox(tmp_path / str(at))
        ada = sandbox.user("ada")
        async with sandbox.running(bot) as process:
            killer.aim(process, at=at)
            await ada.posts("@greeter hello")
            struck = killer.struck
            await process.crash()
        killer.rest()
        async with sandbox.running(bot):
            await sandbox.settle()
        assert sandbox.posts_by("greeter") == ["First", "Second", "All are served."], at
        if not struck:
            points = at - 1
            break
    assert points >= 20
