"""A whole bot calls operations of X for which botkit has no action."""

from __future__ import annotations

from typing import Any

import pytest

from botkit import Account, Actions, Bot, Mention, Reader
from botkit.errors import NotDeclared
from botkit.model.records import WriteState
from botkit.sandbox import Sandbox

BOOKMARKS = "POST /2/users/{id}/bookmarks"
# X API docs, "Create Bookmark": the answer to a bookmark that was set.
SET = {"data": {"bookmarked": True}}


def bookmarking(**options: Any) -> Bot:
    bot = Bot("keeper", **options)

    @bot.on(Mention)
    async def keep(mention: Mention, act: Actions, me: Account) -> None:
        data = await act.call(
            "createUsersBookmark", path={"id": me.id}, json={"tweet_id": mention.id}
        )
        await act.reply(mention, f"Kept: {data}")

    return bot


async def test_a_call_is_a_durable_step_with_the_scopes_of_its_operation(
    sandbox: Sandbox,
) -> None:
    ada = sandbox.user("ada")
    bot = bookmarking(may={"createUsersBookmark"})
    assert "bookmark.write" in bot.scopes
    sandbox.faults.answer(BOOKMARKS, status=200, body=SET)
    sandbox.faults.lose_answer("POST /2/tweets")
    async with sandbox.running(bot) as process:
        await ada.posts("@keeper this one")
        await process.crash()
    async with sandbox.running(bot) as process:
        await sandbox.settle()
        (first, *_) = [
            write
            for write in await process.store.writes.listing(limit=9)
            if write.operation == "createUsersBookmark"
        ]
    assert first.state is WriteState.CONFIRMED
    assert sandbox.replies_to(ada) == ["Kept: {'bookmarked': True}"]


async def test_a_call_that_the_bot_does_not_declare_is_refused(sandbox: Sandbox) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(bookmarking()) as process:
        await ada.posts("@keeper this one")
        await sandbox.settle(may_fail=True)
        (letter,) = await process.store.events.dead()
    assert letter.error.startswith(
        f"{NotDeclared.__name__}: keep wants to createUsersBookmark, the bot may post, reply."
    )


async def test_a_call_whose_answer_was_lost_is_left_to_a_person(sandbox: Sandbox) -> None:
    ada = sandbox.user("ada")
    sandbox.faults.reset(BOOKMARKS)
    async with sandbox.running(bookmarking(may={"createUsersBookmark"})) as process:
        await ada.posts("@keeper this one")
        await sandbox.advance(60)
        (write,) = await process.store.writes.listing(limit=9)
    assert write.state is WriteState.UNRESOLVED
    assert write.reason == "botkit cannot look up what this operation does"
    assert sandbox.replies_to(ada) == []


async def test_a_delete_whose_answer_was_lost_is_sent_again(sandbox: Sandbox) -> None:
    bot = Bot("keeper", may={"deletePosts"})

    @bot.on(Mention)
    async def tidy(mention: Mention, act: Actions) -> None:
        made = await act.reply(mention, "Soon gone.")
        await act.call("deletePosts", path={"id": made.id})

    ada = sandbox.user("ada")
    sandbox.faults.reset("DELETE /2/tweets/{id}")
    async with sandbox.running(bot):
        await ada.posts("@keeper hello")
        await sandbox.settle()
    assert sandbox.posts_by("keeper") == []


async def test_a_read_is_called_through_the_reader(sandbox: Sandbox) -> None:
    bot = Bot("keeper")
    seen: list[dict[str, Any]] = []

    @bot.on(Mention)
    async def look(mention: Mention, reader: Reader) -> None:
        query = {"user.fields": ["description"]}
        seen.append(await reader.call("getUsersById", path={"id": mention.author.id}, query=query))
        with pytest.raises(TypeError, match="changes something"):
            await reader.call("deletePosts", path={"id": "1"})
        with pytest.raises(TypeError, match="no such word"):
            await reader.call("getNothing")

    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        await ada.posts("@keeper hello")
        await sandbox.settle()
    assert seen[0]["data"]["username"] == "ada"


async def test_what_may_not_be_called_is_named(sandbox: Sandbox) -> None:
    bot = Bot("keeper")
    seen: list[str] = []

    @bot.on(Mention)
    async def wrong(mention: Mention, act: Actions) -> None:
        for operation in ("likePost", "createPosts", "getUsersMe", "nothing"):
            with pytest.raises(TypeError) as caught:
                await act.call(operation)
            seen.append(str(caught.value))

    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        await ada.posts("@keeper hello")
        await sandbox.settle()
    assert [text.partition(": ")[2].split(" ")[0] for text in seen] == [
        "X",
        "act.post,",
        "reader.call",
        "there",
    ]


async def test_what_x_does_not_implement_is_refused_for_good_and_looked_for_nowhere(
    sandbox: Sandbox,
) -> None:
    ada = sandbox.user("ada")
    sandbox.faults.answer(BOOKMARKS, status=501, body={"title": "Not Implemented"})
    async with sandbox.running(bookmarking(may={"createUsersBookmark"})) as process:
        await ada.posts("@keeper keep this")
        await sandbox.settle(may_fail=True)
        (write,) = await process.store.writes.listing()
    assert write.state is WriteState.REJECTED
