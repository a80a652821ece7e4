"""What an author says of a bot, and what follows from it."""

from __future__ import annotations

import pytest

from botkit import (
    Bot,
    DirectMessage,
    Event,
    Follow,
    Like,
    ListPosts,
    Mention,
    News,
    PostEvent,
    PostSeen,
    Repost,
    Router,
)
from botkit.errors import WiringError
from botkit.protocol.rules import access

POSTING = {"tweet.read", "tweet.write", "users.read", "offline.access"}


def test_a_bot_may_post_and_reply_unless_it_says_more():
    assert Bot("greeter").may == {"post", "reply"}
    assert Bot("greeter", may={"message"}).may == {"post", "reply", "message"}


def test_a_word_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(WiringError, match="may not fly, sing: there is no such word") as caught:
        Bot("greeter", may={"sing", "message", "fly"})

    assert "message" in caught.value.hint


@pytest.mark.parametrize("word", sorted(access.WITHOUT_ACTION))
def test_a_word_without_an_action_is_refused_with_those_that_have_one(word):
    with pytest.raises(WiringError, match="has no action for that yet") as caught:
        Bot("greeter", may={word, "message"})

    assert caught.value.hint == "Known: message, post, reply, and X's operation ids for `call`."


def test_all_words_that_are_refused_are_in_one_error():
    with pytest.raises(WiringError) as caught:
        Bot("greeter", may={"sing", "media", "mute"})

    assert caught.value.problems == (
        "Bot('greeter') may not sing: there is no such word, and X has no such operation.",
        "Bot('greeter') may not media, mute: botkit has no action for that yet.",
    )


def test_a_word_alone_is_not_taken_for_its_letters():
    with pytest.raises(WiringError, match=r'takes a set of words, as may=\{"message"\}'):
        Bot("greeter", may="message")


@pytest.mark.parametrize("name", [3, None, "", "a/b"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(WiringError, match="is called by a short name without slashes"):
        Bot(name)


def test_it_asks_for_the_fewest_scopes():
    assert set(Bot("greeter").scopes) == POSTING


@pytest.mark.parametrize("way", ["may", "handler"])
def test_a_bot_that_has_to_do_with_messages_asks_for_them_and_hears_them(way):
    bot = Bot("desk", may={"message"} if way == "may" else ())
    if way == "handler":

        @bot.on(DirectMessage)
        async def answer(message: DirectMessage) -> None: ...

    assert "dm.read" in bot.scopes
    assert "dm.received" in bot.plan.stream_kinds
    assert ("dm.write" in bot.scopes) == (way == "may")


def test_a_bot_that_has_nothing_to_do_with_messages_does_not_hear_them():
    bot = Bot("greeter")

    @bot.on(Mention)
    async def greet(mention: Mention) -> None: ...

    assert bot.plan.stream_kinds == (
        "post.mention.create",
        "post.reply.create",
        "post.quote.create",
    )
    assert not {scope for scope in bot.scopes if scope.startswith("dm.")}


def test_its_plan_is_made_once_and_again_after_something_was_registered():
    bot, part = Bot("greeter"), Router("part")
    bot.include(part)
    first = bot.plan
    assert bot.plan is first
    assert bot.wiring is first.wiring

    @part.on(Mention)
    async def greet(mention: Mention) -> None: ...

    assert bot.plan is not first
    assert bot.plan is bot.plan
    assert list(bot.wiring.event_types) == [Mention]


def test_a_handler_that_cannot_be_wired_is_refused_also_after_a_good_plan():
    bot = Bot("greeter")
    assert list(bot.wiring.event_types) == []

    @bot.on(Mention)
    async def odd(mention: Mention, what: int) -> None: ...

    with pytest.raises(WiringError, match="odd"):
        _ = bot.wiring


def test_it_subscribes_to_the_activity_that_it_handles_and_asks_for_its_scopes():
    bot = Bot("greeter")
    bot.on(Like)(on_anything)
    bot.on(Follow, name="follows")(on_anything)
    bot.on(Event, name="all")(on_anything)
    bot.on(News, name="news")(on_anything)  # X offers it by keyword, to Enterprise apps

    assert bot.plan.stream_kinds[-2:] == ("follow.follow", "like.create")
    assert bot.plan.stream_only == ("Follow", "Like")
    assert "like.read" in bot.scopes


def test_it_subscribes_to_reposts_only_if_a_handler_names_them():
    bot = Bot("greeter")
    bot.on(PostEvent)(on_anything)
    assert "post.repost.create" not in bot.plan.stream_kinds

    bot.on(Repost, name="thanks")(on_anything)
    assert "post.repost.create" in bot.plan.stream_kinds
    assert bot.plan.stream_only == ("reposts",)


def test_declared_sources_ask_for_the_scopes_of_their_reads():
    bot = Bot("greeter")
    bot.on(PostSeen)(on_anything)
    bot.hear(ListPosts(list_id="5"))

    assert "list.read" in bot.scopes


async def on_anything(event: Event) -> None:
    """Take any event."""
