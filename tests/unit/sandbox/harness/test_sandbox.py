"""`Sandbox` as an author's test holds it, with real bots."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from botkit import Actions, Bot, DirectMessage, Drop, Mention, Reply, Signal, Tick, Trigger
from botkit.errors import ConfigError, MissingScope, WiringError
from botkit.filters import contains
from botkit.model.records import WriteState
from botkit.sandbox import HandlerFailed, Sandbox, Stuck


class Later(Signal, frozen=True, kw_only=True):
    asked: Mention


@pytest.fixture
def bot():
    bot = Bot("greeter", may={"post", "reply", "message"})

    @bot.on(Mention, contains("hello"))
    async def greet(mention: Mention, act: Actions) -> None:
        await act.reply(mention, f"Hello @{mention.author.username}!")

    @bot.on(Mention, contains("later"))
    async def note(mention: Mention, act: Actions) -> None:
        await act.emit(Later(asked=mention), at=mention.at + timedelta(minutes=30))

    @bot.on(Later)
    async def ring(later: Later, act: Actions) -> None:
        await act.reply(later.asked, "It is time.")

    @bot.on(Mention, contains("break"))
    async def fail(mention: Mention, act: Actions) -> None:
        raise ValueError("broken")

    @bot.on(Reply)
    async def thank(reply: Reply, act: Actions) -> None:
        await act.reply(reply, "Thanks!")

    @bot.on(DirectMessage)
    async def answer(message: DirectMessage, act: Actions) -> None:
        if message.sent_by_me:
            raise Drop("my own")
        await act.message(message, f"You said: {message.text}")

    return bot


async def test_greets_once_even_if_the_answer_is_lost_and_the_process_dies(
    sandbox: Sandbox, bot: Bot
) -> None:
    ada = sandbox.user("ada")
    sandbox.faults.lose_answer("POST /2/tweets")  # X takes the post, we never hear of it

    async with sandbox.running(bot) as process:
        await ada.posts("@greeter hello")
        await process.crash()
    async with sandbox.running(bot):
        await sandbox.settle()  # no event due, every write final

    assert sandbox.replies_to(ada) == ["Hello @ada!"]


async def test_a_mention_is_answered_before_the_actors_verb_returns(sandbox, bot):
    ada = sandbox.user("ada")

    async with sandbox.running(bot):
        before = sandbox.clock.now()
        post = await ada.posts("@greeter hello")

        assert sandbox.replies_to(post) == ["Hello @ada!"]
        assert sandbox.clock.now() == before


async def test_what_was_said_while_nobody_ran_is_heard_at_the_next_start(sandbox, bot):
    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        pass
    await ada.posts("@greeter hello")

    async with sandbox.running(bot):
        await sandbox.settle()

    assert sandbox.replies_to(ada) == ["Hello @ada!"]


async def test_what_was_said_before_the_first_start_is_not_answered(sandbox, bot):
    ada = sandbox.user("ada")
    sandbox.user("greeter")
    await ada.posts("@greeter hello")

    async with sandbox.running(bot):
        await sandbox.settle()

    assert sandbox.replies_to(ada) == []


@pytest.mark.parametrize("verb", ["lose_answer", "cut_answer", "stall", "reset"])
async def test_one_reply_whatever_becomes_of_the_answer(sandbox, bot, verb):
    ada = sandbox.user("ada")
    getattr(sandbox.faults, verb)("POST /2/tweets")

    async with sandbox.running(bot) as process:
        await ada.posts("@greeter hello")
        await sandbox.settle()
        (write,) = await process.store.writes.listing()

    assert sandbox.replies_to(ada) == ["Hello @ada!"]
    assert write.state is WriteState.CONFIRMED


async def test_a_post_that_comes_twice_is_answered_once(sandbox, bot):
    ada = sandbox.user("ada")
    sandbox.faults.duplicate_events()

    async with sandbox.running(bot):
        await ada.posts("@greeter hello")
        await sandbox.settle()

    assert sandbox.replies_to(ada) == ["Hello @ada!"]


async def test_a_post_that_the_stream_loses_is_found_by_the_poll(sandbox, bot):
    ada = sandbox.user("ada")
    sandbox.faults.drop_events()

    async with sandbox.running(bot):
        await ada.posts("@greeter hello")
        assert sandbox.replies_to(ada) == []
        await sandbox.settle()

    assert sandbox.replies_to(ada) == ["Hello @ada!"]


async def test_settling_does_not_go_where_an_author_put_something_but_advancing_does(sandbox, bot):
    ada = sandbox.user("ada")

    async with sandbox.running(bot):
        await ada.posts("@greeter later")
        await sandbox.settle()
        assert sandbox.replies_to(ada) == []
        await sandbox.advance(timedelta(minutes=31))

    assert sandbox.replies_to(ada) == ["It is time."]


async def test_a_rate_limit_is_waited_out(sandbox, bot):
    ada = sandbox.user("ada")
    sandbox.faults.rate_limit("POST /2/tweets", reset_in_s=300)

    async with sandbox.running(bot):
        await ada.posts("@greeter hello")
        assert sandbox.replies_to(ada) == []
        await sandbox.settle()

    assert sandbox.replies_to(ada) == ["Hello @ada!"]


async def test_a_handler_that_always_fails_ends_in_a_dead_letter(sandbox, bot):
    ada = sandbox.user("ada")

    async with sandbox.running(bot) as process:
        await ada.posts("@greeter break")
        await sandbox.settle(may_fail=True)
        (letter,) = await process.store.events.dead()

    assert "broken" in letter.error
    assert letter.attempts == 3


async def test_a_bot_is_authorized_for_what_it_needs_and_no_more(sandbox, bot):
    async with sandbox.running(bot) as process:
        (grant,) = sandbox.world.grants.of_user(process.account_id)

    assert set(grant.scopes) == {
        "tweet.read",
        "tweet.write",
        "users.read",
        "dm.read",
        "dm.write",
        "offline.access",
    }


async def test_a_bot_does_not_start_without_the_scopes_it_needs(sandbox, bot):
    with pytest.raises(MissingScope, match=r"dm\.write"):
        async with sandbox.running(bot, scopes=("tweet.read", "tweet.write", "users.read")):
            pass


async def test_a_bot_does_not_start_without_a_login(sandbox, bot):
    with pytest.raises(ConfigError, match="not authorized"):
        async with sandbox.running(bot, scopes=()):
            pass


async def test_a_message_is_answered(sandbox, bot):
    ada = sandbox.user("ada")

    async with sandbox.running(bot):
        await ada.messages("greeter", "hi")
        await sandbox.settle()

    assert sandbox.messages_to(ada) == ["You said: hi"]


async def test_a_conversation_goes_on(sandbox, bot):
    ada = sandbox.user("ada")

    async with sandbox.running(bot):
        await ada.posts("@greeter hello")
        (greeting,) = sandbox.world.posts_by(sandbox.user("greeter").id)
        await ada.replies(greeting, "nice")
        await sandbox.settle()

    assert sandbox.replies_to(ada) == ["Hello @ada!", "Thanks!"]
    assert sandbox.posts_by("greeter") == ["Hello @ada!", "Thanks!"]
    assert sandbox.spent_usd >= Decimal("0.020")


async def test_the_login_is_kept_alive_for_a_day(sandbox, bot):
    ada = sandbox.user("ada")

    async with sandbox.running(bot):
        await sandbox.advance(timedelta(hours=7))
        await ada.posts("@greeter hello")
        await sandbox.settle()

    assert sandbox.replies_to(ada) == ["Hello @ada!"]
    uses = [use for use in sandbox.world.grants.log if use.grant_type == "refresh_token"]
    assert len(uses) >= 3
    assert {use.outcome for use in uses} == {"taken"}


async def test_two_bots_run_side_by_side(sandbox, bot):
    ada = sandbox.user("ada")

    async with sandbox.running(bot), sandbox.running(bot, account="other"):
        await ada.posts("@greeter and @other, hello")
        await sandbox.settle()

    replies = [post.author_id for post in sandbox.world.posts.values() if post.reply_to_id]
    assert sorted(replies) == sorted([sandbox.user("greeter").id, sandbox.user("other").id])


async def test_what_never_settles_is_said(sandbox, bot):
    ada = sandbox.user("ada")
    sandbox.faults.unavailable("POST /2/tweets", times=None)

    async with sandbox.running(bot):
        await ada.posts("@greeter hello")
        with pytest.raises(Stuck, match=r"write .* is"):
            await sandbox.settle(within=timedelta(seconds=30))


async def test_two_worlds_are_the_same(tmp_path, bot):
    seen = []
    for name in ("one", "two"):
        sandbox = Sandbox(tmp_path / name)
        ada = sandbox.user("ada")
        sandbox.faults.lose_answer("POST /2/tweets")
        async with sandbox.running(bot):
            await ada.posts("@greeter hello")
            await sandbox.settle()
        seen.append((sandbox.clock.now(), list(sandbox.world.posts)))

    assert seen[0] == seen[1]


async def test_a_test_that_fails_ends_its_bot_at_once(sandbox, bot):
    with pytest.raises(ZeroDivisionError):
        async with sandbox.running(bot) as process:
            _ = 1 // 0

    assert not process.is_running


async def test_a_killed_process_writes_nothing_more(sandbox, bot):
    ada = sandbox.user("ada")

    async with sandbox.running(bot) as process:
        await process.crash()
        await process.crash()
        await ada.posts("@greeter hello")
        await sandbox.settle()

    assert sandbox.replies_to(ada) == []
    assert not process.is_running


async def test_what_ends_a_bot_is_raised_in_the_test(sandbox):
    broken = Bot("broken")

    @broken.on(Mention)
    async def odd(mention: Mention, model: Decimal) -> None:
        raise AssertionError

    with pytest.raises(WiringError):
        async with sandbox.running(broken):
            pass


async def test_a_handler_may_wait_for_a_thread(sandbox):
    slow = Bot("slow")

    @slow.on(Mention)
    async def think(mention: Mention, act: Actions) -> None:
        await act.reply(mention, str(await asyncio.to_thread(sum, range(1000))))

    ada = sandbox.user("ada")
    async with sandbox.running(slow):
        await ada.posts("@slow think")
        await sandbox.settle()

    assert sandbox.replies_to(ada) == ["499500"]


async def test_authors_schedules_tick_in_virtual_time(sandbox):
    daily = Bot("daily")

    @daily.every(timedelta(hours=6))
    async def news(tick: Tick, act: Actions) -> None:
        await act.post(f"News of {tick.at:%d %H:%M}")

    async with sandbox.running(daily):
        await sandbox.advance(timedelta(hours=25))

    assert len(sandbox.posts_by("daily")) == 4


async def test_a_handler_that_fails_fails_the_test_once_with_its_trace(sandbox, bot):
    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        await ada.posts("@greeter break")
        with pytest.raises(HandlerFailed) as caught:
            await sandbox.settle()
        await sandbox.settle()
    (letter,) = caught.value.letters
    assert letter.reason == "failed"
    assert "fail failed for post/" in str(caught.value)
    assert "ValueError: broken" in str(caught.value)
    assert "test_sandbox.py" in str(caught.value)
    assert "settle(may_fail=True)" in str(caught.value)


async def test_a_dead_letter_that_a_test_allowed_is_not_told_after_a_restart(sandbox, bot):
    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        await ada.posts("@greeter break")
        await sandbox.settle(may_fail=True)
    async with sandbox.running(bot):
        await sandbox.settle()


class Model:
    def answer(self) -> str:
        return "for real money"


class FakeModel(Model):
    def answer(self) -> str:
        return "made up"


def modelled():
    modelled = Bot("modelled")

    @modelled.provide
    def model() -> Model:
        pytest.fail("the real model was made")

    @modelled.on(Mention)
    async def ask(mention: Mention, act: Actions, model: Model) -> None:
        await act.reply(mention, model.answer())

    return modelled


async def test_a_test_gives_handlers_a_fake_instead_of_what_the_bot_provides(sandbox):
    ada = sandbox.user("ada")
    async with sandbox.running(modelled(), provide={Model: FakeModel()}):
        await ada.posts("@modelled hello")
        await sandbox.settle()
    assert sandbox.replies_to(ada) == ["made up"]


async def test_a_fake_of_what_the_bot_does_not_provide_is_refused(sandbox):
    with pytest.raises(WiringError, match="provides no int; it provides: Model"):
        async with sandbox.running(modelled(), provide={int: 3}):
            pytest.fail("it started")


async def test_a_user_goes_on_with_a_thread_without_ids(sandbox, bot):
    ada, bob = sandbox.user("ada"), sandbox.user("bob")
    with pytest.raises(LookupError, match="Nobody has replied yet"):
        sandbox.last_reply_to(ada)
    with pytest.raises(LookupError, match="Nobody has replied to @ada yet"):
        await ada.answers("hm")
    async with sandbox.running(bot):
        post = await ada.posts("@greeter hello")
        await sandbox.settle()
        answer = sandbox.last_reply_to(post)
        more = await ada.answers("@greeter hello again")
        await sandbox.settle()
        await bob.quotes(sandbox.last_reply_to(ada), "look")
    assert more.reply_to_id == answer.id
    assert sandbox.last_reply_to(more).author_id == answer.author_id


async def test_a_trigger_is_told_once_for_one_delivery_and_arrives_as_json(
    sandbox: Sandbox,
) -> None:
    bot = Bot("shop")
    seen: list[tuple[str, object]] = []

    @bot.on(Trigger)
    async def told(trigger: Trigger) -> None:
        seen.append((trigger.name, trigger.data))

    async with sandbox.running(bot) as process:
        assert await process.trigger("shipped", {"at": sandbox.clock.now()}, delivery="7")
        assert not await process.trigger("shipped", delivery="7")
        assert await process.trigger("shipped")
        assert await process.trigger("shipped")

    moment = sandbox.clock.now().isoformat().replace("+00:00", "Z")
    assert seen == [("shipped", {"at": moment}), ("shipped", None), ("shipped", None)]
