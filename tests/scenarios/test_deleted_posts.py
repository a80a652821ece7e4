"""A post of the account that is deleted: nothing waits for it, and nothing is kept of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from botkit import Actions, Bot, OwnPosts, PostDelete, PostSeen
from botkit.model.posts import Post
from botkit.model.users import User
from botkit.runtime.intake.inbox import row_of
from botkit.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scenarios.conftest import Killer

MINUTE = timedelta(minutes=1)
SAID = "hunter2 says"


def threading() -> tuple[Bot, list[str]]:
    """A bot that goes on with its account's posts, and notes what was deleted."""
    bot, deleted = Bot("writer"), list[str]()
    bot.hear(OwnPosts(every=5 * MINUTE))

    @bot.on(PostSeen)
    async def go_on(post: PostSeen, act: Actions) -> None:
        if post.text == SAID:
            await act.reply(post, "And so on.")

    @bot.on(PostDelete)
    async def note(event: PostDelete) -> None:
        deleted.append(event.post_id)

    return bot, deleted


async def _deleted_while_it_waits(sandbox: Sandbox, bot: Bot, killer: Killer, at: int) -> bool:
    """Delete a post whose answer waits for X; die at that point meanwhile, if there is one."""
    writer = sandbox.user("writer")
    async with sandbox.running(bot) as process:
        sandbox.faults.rate_limit("POST /2/tweets", reset_in_s=600, times=None)
        post = await writer.posts(SAID)
        await sandbox.advance(6 * MINUTE)
        (waits,) = await process.store.events.get(f"post/{post.id}/0")
        assert waits.waiting_for == "rate"
        killer.aim(process, at=at)
        await writer.deletes(post)
        struck = killer.struck
        await process.crash()
    killer.rest()
    sandbox.faults.clear()
    async with sandbox.running(bot) as process:
        await sandbox.advance(15 * MINUTE)
        await sandbox.settle(may_fail=True)
        (event,) = await process.store.events.get(f"post/{post.id}/0")
        (write,) = await process.store.writes.listing(event_key=event.key)
        heard = await process.store.events.get(f"post.delete/{post.id}/{writer.id}")
    assert sandbox.posts_by("writer") == []
    if not heard:  # X's stream does not tell it again; X refuses the answer
        assert (event.state, write.state) == ("dead", "REJECTED")
        return struck
    assert (event.state, event.note) == ("dropped", "its post was deleted")
    assert b"hunter2" not in event.body
    assert (write.state, write.reason) == ("EXPIRED", "the post that it answers was deleted")
    return struck


async def test_fault_49_killed_at_any_point_nothing_is_answered_or_kept_of_a_deleted_post(
    tmp_path: Path, killer: Killer
) -> None:
    told: list[int] = []
    for at in range(1, 100):
        bot, deleted = threading()
        struck = await _deleted_while_it_waits(Sandbox(tmp_path / str(at)), bot, killer, at)
        told.append(len(deleted))
        if not struck:
            break
    assert told[0] == 0  # killed before the deletion was on record
    assert len(told) >= 5
    assert set(told[1:]) <= {1, 2}


async def test_a_post_that_arrives_after_its_deletion_reaches_no_handler(sandbox: Sandbox) -> None:
    bot, deleted = threading()
    writer = sandbox.user("writer")
    async with sandbox.running(bot) as process:
        post = await writer.posts("said and gone")
        await writer.deletes(post)
        late = PostSeen(
            account_id=writer.id,
            at=sandbox.clock.now(),
            post=Post(id=post.id, text=SAID, author_id=writer.id),
            author=User(id=writer.id, username="writer", name="Writer"),
        )
        await process.store.events.append([row_of(late, writer.id, "test")])
        process._runtime.dispatcher.inbox_reader.rescan()
        await sandbox.settle()
        (event,) = await process.store.events.get(late.key)
    assert deleted == [post.id]
    assert (event.state, event.note) == ("dropped", "its post was deleted")
    assert b"hunter2" not in event.body
    assert sandbox.posts_by("writer") == []


async def test_without_a_handler_for_deletions_x_is_not_asked_for_them(sandbox: Sandbox) -> None:
    bot = Bot("writer")
    async with sandbox.running(bot):
        activity = sandbox.server.activity
        kinds = {one.event_type for one in activity.subscriptions.values()}
    assert "post.delete" not in kinds
