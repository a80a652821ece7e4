"""Loops end, and a flood of one user keeps no other from being answered."""

from __future__ import annotations

from datetime import timedelta

import pytest

from botkit import Actions, Bot, Mention, Reply
from botkit.sandbox import Sandbox
from botkit.sandbox.world.world import Happening


def answering() -> Bot:
    bot = Bot("greeter")

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions) -> None:
        await act.reply(mention, f"Hello {mention.id}")

    @bot.on(Reply)
    async def go_on(reply: Reply, act: Actions) -> None:
        await act.reply(reply, f"Hello again {reply.id}")

    return bot


@pytest.mark.parametrize(("automated", "answers"), [(True, 3), (False, 30)])
async def test_two_bots_that_answer_each_other_end(
    sandbox: Sandbox, *, automated: bool, answers: int
) -> None:
    peer = sandbox.user("peer")
    sandbox.world.user("peer").automated = automated

    def answer(happening: Happening) -> None:
        post = happening.post
        if post is not None and post.reply_to_user_id == peer.id != post.author_id:
            text = f"@greeter and you? {post.id}"
            sandbox.world.add_post(peer.id, text, reply_to=post.id)

    sandbox.world.listeners.append(answer)
    async with sandbox.running(answering()) as process:
        await peer.posts("@greeter hello")
        await sandbox.settle(may_fail=True)
        await sandbox.advance(timedelta(minutes=30))
        assert len(sandbox.replies_to(peer)) == answers
        (dead,) = await process.store.events.dead()
        assert "TooManyAnswers" in dead.error


@pytest.mark.parametrize(("automated", "answers"), [(True, 3), (False, 30)])
async def test_a_kill_in_the_middle_of_a_loop_gives_no_fresh_allowance(
    sandbox: Sandbox, *, automated: bool, answers: int
) -> None:
    peer = sandbox.user("peer")
    sandbox.world.user("peer").automated = automated
    pauses = {2}

    def answer(happening: Happening) -> None:
        post = happening.post
        if post is None or len(sandbox.replies_to(peer)) in pauses:
            return
        if post.reply_to_user_id == peer.id != post.author_id:
            text = f"@greeter and you? {post.id}"
            sandbox.world.add_post(peer.id, text, reply_to=post.id)

    sandbox.world.listeners.append(answer)
    async with sandbox.running(answering()) as process:
        await peer.posts("@greeter hello")
        await sandbox.settle()
        await process.crash()
    assert len(sandbox.replies_to(peer)) == 2
    async with sandbox.running(answering()):
        await peer.answers("@greeter and now?")
        await sandbox.settle(may_fail=True)
        await sandbox.advance(timedelta(minutes=30))
        assert len(sandbox.replies_to(peer)) == answers


async def test_a_flood_of_one_user_keeps_no_other_user_waiting(sandbox: Sandbox) -> None:
    eve, bob = sandbox.user("eve"), sandbox.user("bob")
    async with sandbox.running(answering()) as process:
        await process.crash()
    for n in range(300):
        await eve.posts(f"@greeter number {n}")
    await bob.posts("@greeter and me?")

    async with sandbox.running(answering()):
        await sandbox.advance(60)  # X takes a hundred replies in 15 minutes
        assert len(sandbox.replies_to(bob)) == 1
        assert len(sandbox.replies_to(eve)) < 100
        await sandbox.settle()
        assert len(sandbox.replies_to(eve)) == 300
