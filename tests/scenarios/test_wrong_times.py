"""A machine whose clock is wrong, or whose store is older than what X shows, does nothing twice."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from botkit import Actions, Bot, DirectMessage, Mention, Signal, Tick
from botkit.errors import LeaseLost
from botkit.model.records import EventState
from botkit.sandbox.harness.process import Home, run_bot
from botkit.sandbox.wire.exchange import Answer, Call

if TYPE_CHECKING:
    from pathlib import Path

    from botkit.sandbox import Sandbox
    from botkit.sandbox.harness.clock import VirtualClock

DAY = timedelta(days=1)


def talking() -> tuple[Bot, list[str]]:
    """A bot whose text is another one each time, as a model's is; and what it answered."""
    answered: list[str] = []
    bot = Bot("greeter")

    @bot.on(Mention)
    async def talk(mention: Mention, act: Actions) -> None:
        answered.append(mention.post.id)
        await act.reply(mention, f"Thought number {len(answered)}")

    return bot, answered


class Ahead:
    """A clock of the machine that is ahead of X's by so much."""

    def __init__(self, clock: VirtualClock, by: timedelta) -> None:
        self._clock = clock
        self._by = by

    def now(self) -> datetime:
        return self._clock.now() + self._by

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)


def machine_of(sandbox: Sandbox) -> Any:
    return sandbox._homes["greeter"]


async def test_a_start_with_the_clock_months_ahead_answers_and_forgets_nothing(
    sandbox: Sandbox,
) -> None:
    bot, _ = talking()
    ada = sandbox.user("ada")
    async with sandbox.running(bot) as process:
        for n in range(10):
            await ada.posts(f"@greeter number {n}")
        await sandbox.settle()
        before = dict(await process.store.events.counts())

    machine_of(sandbox).clock = Ahead(sandbox.clock, 100 * DAY)
    async with sandbox.running(bot) as process:
        await sandbox.advance(2 * 3600)
        after = dict(await process.store.events.counts())

    assert len(sandbox.replies_to(ada)) == 10
    assert after == before


def copy_of(home: Path, folder: Path) -> None:
    """Copy a store by SQLite's own backup, as the page on the store says."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "botkit.db"
    for name in ("botkit.db", "botkit.db-wal", "botkit.db-shm"):
        (folder / name).unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(home / "botkit.db")) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)
    target.chmod(0o600)


async def test_a_restored_backup_answers_nothing_twice(sandbox: Sandbox, tmp_path: Path) -> None:
    bot, _ = talking()
    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        for n in range(3):
            await ada.posts(f"@greeter before {n}")
        await sandbox.settle()
    home = machine_of(sandbox)
    copy_of(home.folder, tmp_path / "backup")
    async with sandbox.running(bot):
        for n in range(5):
            await ada.posts(f"@greeter after {n}")
        await sandbox.settle()
    before = [post.written for post in sandbox.world.posts_by(home.user.id)]

    copy_of(tmp_path / "backup", home.folder)
    home.heard_from = None  # botkit setup
    missed = await ada.posts("@greeter while it was down")
    async with sandbox.running(bot) as process:
        await sandbox.settle()
        await sandbox.advance(3600)
        reports = {report.part: report for report in await process.store.progress.reports()}

    assert len(before) == 8
    assert [post.written for post in sandbox.world.posts_by(home.user.id)[:8]] == before
    assert len(sandbox.posts_by("greeter")) == 9
    assert len(sandbox.replies_to(missed)) == 1
    assert reports["store_copy/greeter"].state == "behind"
    assert reports["store_copy/greeter"].detail.startswith("X shows 5 newer posts of the account")


async def test_a_restored_backup_answers_no_message_twice(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    bot, answered = Bot("greeter", may={"message"}), list[str]()

    @bot.on(DirectMessage)
    async def talk(message: DirectMessage, act: Actions) -> None:
        answered.append(message.id)
        await act.message(message, f"Thought number {len(answered)}")

    ada, bob = sandbox.user("ada"), sandbox.user("bob")
    async with sandbox.running(bot):
        await ada.messages("greeter", "before")
        await sandbox.settle()
    home = machine_of(sandbox)
    copy_of(home.folder, tmp_path / "backup")
    async with sandbox.running(bot):
        for user in (ada, bob, ada):
            await user.messages("greeter", "after")
        await sandbox.settle()

    copy_of(tmp_path / "backup", home.folder)
    home.heard_from = None  # botkit setup
    await ada.messages("greeter", "while it was down")
    async with sandbox.running(bot):
        await sandbox.settle()
        await ada.messages("greeter", "when it ran again")
        await sandbox.settle()

    assert len(sandbox.messages_to(ada)) == 5
    assert len(sandbox.messages_to(bob)) == 1
    assert len(answered) == 4 + 3 + 2  # the handler ran for them, and got what was there


async def test_a_backup_from_before_the_first_answer_answers_nothing_twice(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    bot, _ = talking()
    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        pass
    home = machine_of(sandbox)
    copy_of(home.folder, tmp_path / "backup")
    async with sandbox.running(bot):
        for n in range(5):
            await ada.posts(f"@greeter after {n}")
        await sandbox.settle()

    copy_of(tmp_path / "backup", home.folder)
    home.heard_from = None
    async with sandbox.running(bot):
        await sandbox.settle()
        await sandbox.advance(3600)

    assert len(sandbox.posts_by("greeter")) == 5


@pytest.mark.parametrize("others", [150, 3300])
async def test_a_backup_that_lacks_more_posts_than_a_page_or_than_x_shows_answers_nothing_twice(
    sandbox: Sandbox, tmp_path: Path, others: int
) -> None:
    bot, _ = talking()
    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        await sandbox.advance(60)
    home = machine_of(sandbox)
    copy_of(home.folder, tmp_path / "backup")
    async with sandbox.running(bot):
        await ada.posts("@greeter after")
        await sandbox.settle()
        await sandbox.advance(60)
    for n in range(others):
        sandbox.world.add_post(home.user.id, f"By hand {n}")

    copy_of(tmp_path / "backup", home.folder)
    home.heard_from = None
    async with sandbox.running(bot) as process:
        await sandbox.settle(may_fail=True)
        await sandbox.advance(3600)
        dead = await process.store.events.dead()
        missed = await ada.posts("@greeter and now")
        await sandbox.settle()

    assert len(sandbox.replies_to(ada)) == 2
    assert len(sandbox.replies_to(missed)) == 1
    assert ["AlreadyReplied" in letter.error for letter in dead] == [True] * (others > 3200)


async def test_an_ordinary_start_asks_for_newer_posts_once_and_gets_none_to_pay_for(
    sandbox: Sandbox,
) -> None:
    bot, _ = talking()
    ada = sandbox.user("ada")
    async with sandbox.running(bot) as process:
        await ada.posts("@greeter hello")
        await sandbox.settle()
    own = f"/2/users/{process.account_id}/tweets"
    answers: list[Answer] = []
    handle = sandbox.server.handle

    async def watched(call: Call) -> Answer:
        answer = await handle(call)
        if call.path == own:
            answers.append(answer)
        return answer

    sandbox.server.handle = watched  # type: ignore[method-assign]
    async with sandbox.running(bot):
        await sandbox.settle()
    (answer,) = answers
    assert answer.status == 200
    assert b'"data"' not in answer.body


async def test_what_a_person_answered_by_hand_while_the_bot_was_down_is_not_answered_again(
    sandbox: Sandbox,
) -> None:
    bot, answered = talking()
    ada, me = sandbox.user("ada"), sandbox.user("greeter")
    async with sandbox.running(bot):
        await ada.posts("@greeter hello")
        await sandbox.settle()
    asked = await ada.posts("@greeter are you there")
    await me.replies(asked, "I am, in person")
    await me.posts("And a post of my own")
    async with sandbox.running(bot) as process:
        await sandbox.settle()
        kept = await process.store.own_posts.count(process.account_id)
    assert answered[-1] == asked.id  # the handler ran, and its reply is the one that is there
    assert sandbox.replies_to(asked) == ["I am, in person"]
    assert kept == 1


async def test_a_copy_beside_the_original_stops_and_the_original_goes_on(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    bot, _ = talking()
    ada = sandbox.user("ada")
    async with sandbox.running(bot) as original:
        await ada.posts("@greeter one")
        await sandbox.settle()
        await sandbox.advance(60)
        home = machine_of(sandbox)
        copied = Home(sandbox.server, tmp_path / "copied", username="greeter")
        copied.app, copied._key, copied.heard_from = home.app, home._key, "copied"
        copy_of(home.folder, copied.folder)
        await sandbox.advance(600)  # the original's lease in the copy runs out

        async def run_the_copy() -> None:
            async with run_bot(copied, talking()[0]) as copy:
                for n in range(5):
                    await ada.posts(f"@greeter both {n}")
                    await sandbox.advance(120)
                    copy.check()

        with pytest.raises(LeaseLost, match="A copy of this store runs elsewhere"):
            await run_the_copy()
        await ada.posts("@greeter three")
        await sandbox.settle()
        assert original.is_running
    doubled = len(sandbox.posts_by("greeter")) - len(sandbox.world.posts_by(ada.id))
    assert doubled <= 2


async def test_a_run_from_now_skips_what_happened_before_and_records_it(sandbox: Sandbox) -> None:
    handled: list[str] = []
    bot = Bot("greeter")

    class Later(Signal, frozen=True, kw_only=True):
        what: str

    @bot.on(Mention)
    async def plan(mention: Mention, act: Actions) -> None:
        handled.append(mention.post.text)
        await act.emit(Later(what="soon"), at=mention.at + timedelta(hours=1))
        await act.emit(Later(what="in two days"), at=mention.at + timedelta(days=2))

    @bot.on(Later)
    async def ring(later: Later) -> None:
        handled.append(later.what)

    @bot.every(timedelta(hours=1), catch_up="all")
    async def tick(tick: Tick) -> None:
        handled.append("tick")

    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        await ada.posts("@greeter one")
    assert handled == ["@greeter one"]
    await sandbox.advance(DAY)
    missed = await ada.posts("@greeter two")
    await sandbox.advance(60)

    async with sandbox.running(bot, from_now=True) as process:
        await sandbox.advance(120)
        await ada.posts("@greeter three")
        assert handled == ["@greeter one", "@greeter three"]
        (skipped,) = await process.store.events.get(f"post/{missed.id}/0")
        assert (skipped.state, skipped.note) == (EventState.DROPPED, "before run --from-now")
        await sandbox.advance(DAY + timedelta(hours=1))
        assert handled.count("in two days") == 1
        assert "tick" in handled


async def test_a_user_who_asked_to_stop_in_what_is_skipped_has_opted_out(
    sandbox: Sandbox,
) -> None:
    bot, answered = talking()
    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        pass
    await ada.posts("@greeter stop")
    await sandbox.advance(60)
    async with sandbox.running(bot, from_now=True) as process:
        await sandbox.settle()
        assert await process.store.accounts.opted_out(process.account_id, ada.id)
    assert answered == []


async def test_with_the_clock_months_ahead_what_is_heard_is_answered(sandbox: Sandbox) -> None:
    bot, _ = talking()
    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        pass
    missed = await ada.posts("@greeter while it was down")
    machine_of(sandbox).clock = Ahead(sandbox.clock, 100 * DAY)
    async with sandbox.running(bot):
        await sandbox.advance(600)
        heard = await ada.posts("@greeter now")
        await sandbox.advance(600)
    assert len(sandbox.replies_to(missed)) == len(sandbox.replies_to(heard)) == 1
