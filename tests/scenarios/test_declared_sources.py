"""A bot hears what it declares, each match once, and knows what it missed."""

from __future__ import annotations

from datetime import datetime, timedelta

from botkit import (
    Actions,
    Bot,
    DirectMessage,
    Follow,
    HomeTimeline,
    Like,
    ListPosts,
    Mention,
    OwnPosts,
    PostEvent,
    PostMatched,
    PostSeen,
    Repost,
    Search,
)

MINUTE = timedelta(minutes=1)


def matching(**more):
    """A bot that notes the matches of its rule."""
    bot, seen = Bot("catbot"), []

    @bot.on(PostMatched, rule="cats -is:retweet", tag="cats", **more)
    async def note(match: PostMatched) -> None:
        seen.append((match.tag, match.author.username, match.text))

    return bot, seen


async def test_a_post_that_matches_a_rule_is_heard_and_others_are_not(sandbox):
    bot, seen = matching()
    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        await ada.posts("two cats")
        await ada.posts("two dogs")
        await sandbox.settle()
    assert seen == [("cats", "ada", "two cats")]


async def test_a_rule_stays_at_x_and_goes_when_the_bot_declares_it_no_more(sandbox):
    first, _ = matching()
    async with sandbox.running(first):
        await sandbox.settle()
    bot, seen = Bot("catbot"), []

    @bot.on(PostMatched, rule="dogs", tag="dogs")
    async def note(match: PostMatched) -> None:
        seen.append(match.text)

    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        await ada.posts("two cats")
        await ada.posts("two dogs")
        await sandbox.settle()
    assert seen == ["two dogs"]


async def test_a_mention_that_matches_is_both_and_is_answered_once(sandbox):
    bot, seen = Bot("catbot"), []

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions) -> None:
        seen.append("mention")
        await act.reply(mention, "Hello")

    @bot.on(PostMatched, rule="cats", tag="cats")
    async def note(match: PostMatched, act: Actions) -> None:
        seen.append("match")
        await act.reply(match, "What cats!")

    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        await ada.posts("@catbot look, cats")
        await sandbox.settle(may_fail=True)
    assert sorted(seen) == ["match", "mention"]
    assert len(sandbox.replies_to(ada)) == 1


async def test_what_a_cut_of_the_stream_missed_is_read_by_search(sandbox):
    bot, seen = matching()
    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        await ada.posts("one cats")
        sandbox.faults.unavailable("GET /2/tweets/search/stream", times=None)
        sandbox.faults.cut_streams()
        await ada.posts("missed cats")
        await sandbox.advance(2 * MINUTE)
        assert [text for *_, text in seen] == ["one cats"]
        sandbox.faults.clear()
        await sandbox.advance(20 * MINUTE)
    assert [text for *_, text in seen] == ["one cats", "missed cats"]


async def test_what_matched_while_no_bot_ran_is_read_by_search(sandbox):
    bot, seen = matching()
    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        await ada.posts("one cats")
        await sandbox.settle()
    await ada.posts("missed cats")
    await sandbox.advance(30 * MINUTE)
    async with sandbox.running(bot):
        await sandbox.advance(20 * MINUTE)
    assert [text for *_, text in seen] == ["one cats", "missed cats"]


async def test_the_place_that_a_lost_connection_keeps_at_x_is_freed(sandbox):
    bot, seen = matching()
    ada = sandbox.user("ada")
    async with sandbox.running(bot) as process:
        await sandbox.advance(MINUTE)
        sandbox.faults.keep_places()
        sandbox.faults.silence_streams()
        await sandbox.advance(30)
        sandbox.faults.keep_places(on=False)
        sandbox.faults.silence_streams(on=False)
        await sandbox.advance(10)
        assert process._runtime.reports.current["filtered/default"].state == "live"
        await ada.posts("two cats")
        await sandbox.settle()
    assert seen == [("cats", "ada", "two cats")]


async def test_a_search_finds_new_posts_once(sandbox):
    bot, seen = Bot("dogbot"), []
    bot.hear(Search(query="dogs -is:retweet", tag="dogs", every=MINUTE))

    @bot.on(PostMatched, tag="dogs")
    async def note(match: PostMatched) -> None:
        seen.append(match.text)

    ada = sandbox.user("ada")
    await ada.posts("old dogs")
    async with sandbox.running(bot):
        await ada.posts("new dogs")
        await sandbox.advance(10 * MINUTE)
    assert seen == ["new dogs"]


async def test_timelines_and_lists_deliver_each_post_once_as_what_it_is(sandbox):
    bot, seen = Bot("reader"), []
    bot.hear(HomeTimeline(every=MINUTE))
    bot.hear(OwnPosts(every=MINUTE))

    @bot.on(Mention)
    async def mentioned(mention: Mention) -> None:
        seen.append(("mention", mention.text))

    @bot.on(PostEvent)
    async def other(event: PostEvent) -> None:
        seen.append((type(event).__name__, event.text))

    ada, reader = sandbox.user("ada"), sandbox.user("reader")
    await reader.follows(ada)
    async with sandbox.running(bot):
        await ada.posts("@reader hello")
        await ada.posts("a thought")
        await reader.posts("my own")
        await sandbox.advance(10 * MINUTE)
    assert sorted(seen) == [
        ("PostSeen", "a thought"),
        ("PostSeen", "my own"),
        ("mention", "@reader hello"),
    ]


async def test_a_repost_that_names_the_account_is_a_repost_and_no_mention(sandbox):
    bot, seen = Bot("reader"), []
    bot.hear(HomeTimeline(every=MINUTE))

    @bot.on((Repost, PostEvent))
    async def note(event: PostEvent) -> None:
        own = isinstance(event, Repost) and event.reposts_me
        seen.append((type(event).__name__, event.text, own))

    ada, bob, reader = (sandbox.user(name) for name in ("ada", "bob", "reader"))
    await reader.follows(ada)
    async with sandbox.running(bot):
        named, own = await bob.posts("@reader is there"), await reader.posts("my own")
        await ada.reposts(named)
        await ada.reposts(own)
        await sandbox.advance(5 * MINUTE)
    assert sorted(seen) == [
        ("Mention", "@reader is there", False),
        ("PostSeen", "my own", False),
        ("Repost", "RT @bob: @reader is there", False),
        ("Repost", "RT @reader: my own", True),
    ]


async def test_a_list_is_read_down_to_known_posts(sandbox):
    ada, owner = sandbox.user("ada"), sandbox.user("reader")
    made = sandbox.world.lists.add(owner.id, "friends")
    made.members[ada.id] = None
    bot, seen = Bot("reader"), []
    bot.hear(ListPosts(list_id=made.id, every=MINUTE))

    @bot.on(PostSeen)
    async def note(event: PostSeen) -> None:
        seen.append(event.text)

    await ada.posts("old")
    async with sandbox.running(bot):
        for number in range(3):
            await ada.posts(f"new {number}")
            await sandbox.advance(5 * MINUTE)
    assert seen == ["new 0", "new 1", "new 2"]


async def test_likes_and_follows_are_heard_by_a_bot_that_handles_them(sandbox):
    bot, seen = Bot("star"), []

    @bot.on(Follow)
    async def followed(event: Follow) -> None:
        seen.append(f"{event.follower.username} follows {event.followed.username}")

    @bot.on(Like)
    async def liked(event: Like) -> None:
        seen.append(f"liked {event.post_id}")

    ada, star = sandbox.user("ada"), sandbox.user("star")
    post = await star.posts("hello")
    async with sandbox.running(bot):
        await ada.follows("star")
        await ada.likes(post)
        await sandbox.settle()
    assert seen == ["ada follows star", f"liked {post.id}"]


async def test_each_source_says_how_far_it_has_read_also_while_nothing_comes(sandbox):
    bot, _ = matching()
    bot.hear(HomeTimeline(every=MINUTE))

    @bot.on(DirectMessage)
    async def read(message: DirectMessage) -> None: ...

    async with sandbox.running(bot) as process:
        await sandbox.advance(20 * MINUTE)
        now = sandbox.clock.now()
        told = {
            part: now - datetime.fromisoformat(report.data["heard_to"])
            for part, report in process._runtime.reports.current.items()
            if "heard_to" in report.data
        }
    streams = {"activity/default", "filtered/default"}
    polls = {"home/catbot", "mentions/catbot", "messages/catbot"}
    assert told.keys() == streams | polls
    assert max(told[part] for part in streams) < MINUTE
    assert max(told[part] for part in polls) < 6 * MINUTE
