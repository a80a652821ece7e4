"""Two bots that answer each other end, and an author does not get answers without end."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from botkit.errors import TooManyAnswers
from botkit.model.answers import SentAnswer
from botkit.model.events import Mention
from botkit.model.users import User
from botkit.protocol.rules.policy import PostRules
from botkit.runtime.writes.checks import answer_limit
from botkit.runtime.writes.checks.answer_limit import ANSWERS_WITHIN, AnswerLimit
from botkit.sandbox.harness.clock import VirtualClock
from tests.unit.runtime.writing import (
    ME,
    mention,
    message_step,
    open_office,
    post_step,
    reply_step,
)

if TYPE_CHECKING:
    from pathlib import Path

RULES = PostRules(answers_per_author=2, answers_to_automated=1)


def asked(post_id: str = "7", *, conversation: str = "7", user: str = "8", **more: Any) -> Mention:
    """Return a mention by a user in a conversation."""
    event = mention()
    author = User(id=user, username=f"u{user}", name="U", **more)
    post = msgspec.structs.replace(
        event.post, id=post_id, author_id=user, conversation_id=conversation
    )
    return msgspec.structs.replace(event, post=post, author=author)


def limit(rules: PostRules = RULES) -> tuple[AnswerLimit, VirtualClock]:
    clock = VirtualClock()
    return AnswerLimit(clock, rules), clock


def test_an_author_gets_so_many_answers_in_a_conversation_within_a_day() -> None:
    answers, _ = limit()
    for post_id in ("7", "9"):
        step = reply_step(to=asked(post_id))
        answers.check(step)
        answers.note(step)
    third = reply_step(to=asked("11"))
    answers.note(third)
    assert [len(sent) for sent in answers._sent.values()] == [2]  # no more need be known
    with pytest.raises(TooManyAnswers, match=r"^@u8 got 2 answers in this conv") as refused:
        answers.check(third)
    assert "bot.answers_per_author;" in (refused.value.hint or "")
    answers.check(reply_step(to=asked("12", conversation="12")))
    answers.check(reply_step(to=asked("13", user="14")))
    answers.check(msgspec.structs.replace(third, account_id="42"))


async def test_the_day_is_the_last_one() -> None:
    answers, clock = limit()
    for _ in range(2):
        answers.note(reply_step(to=asked()))
    await clock.advance(86_399)
    with pytest.raises(TooManyAnswers):
        answers.check(reply_step(to=asked()))
    await clock.advance(1)
    answers.check(reply_step(to=asked()))


def test_an_account_with_the_automated_label_gets_fewer() -> None:
    answers, _ = limit()
    step = reply_step(to=asked(automated=True))
    answers.check(step)
    answers.note(step)
    with pytest.raises(TooManyAnswers, match="@u8, an automated account, got 1 answer") as refused:
        answers.check(step)
    assert "bot.answers_to_automated;" in (refused.value.hint or "")


def test_a_post_that_was_looked_up_counts_for_its_author_too() -> None:
    answers, _ = limit()
    step = reply_step(to=msgspec.structs.replace(asked().post, conversation_id=None))
    for _ in range(2):
        answers.note(step)
    with pytest.raises(TooManyAnswers, match=r"^user 8 got 2"):
        answers.check(step)


def test_posts_that_were_looked_up_without_a_conversation_are_each_one_of_their_own() -> None:
    answers, _ = limit()
    first, second = (
        reply_step(to=msgspec.structs.replace(asked(name).post, conversation_id=None))
        for name in ("7", "9")
    )
    for _ in range(2):
        answers.note(first)
    answers.check(second)
    with pytest.raises(TooManyAnswers):
        answers.check(first)


def test_posts_messages_and_threads_of_its_own_are_not_counted() -> None:
    answers, _ = limit()
    for step in (post_step(), message_step(), reply_step(to=asked(user=ME))):
        for _ in range(3):
            answers.check(step)
            answers.note(step)
    assert not answers._sent


def test_without_limits_nothing_is_refused() -> None:
    answers, _ = limit(PostRules())
    for _ in range(100):
        answers.check(reply_step(to=asked()))
        answers.note(reply_step(to=asked()))


def test_only_so_many_conversations_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_limit, "_MOST_THREADS", 2)
    answers, _ = limit(PostRules(answers_per_author=1))
    for conversation in ("1", "2", "3"):
        answers.note(reply_step(to=asked(conversation=conversation)))
    answers.check(reply_step(to=asked(conversation="1")))
    for conversation in ("2", "3"):
        with pytest.raises(TooManyAnswers):
            answers.check(reply_step(to=asked(conversation=conversation)))


async def test_what_earlier_processes_have_sent_counts_for_a_day(tmp_path: Path) -> None:
    first, second = (
        reply_step("one", to=asked()),
        reply_step("two", to=asked("9"), interaction="9"),
    )
    async with open_office(tmp_path) as office:
        for step in (first, second, post_step()):
            await office.outbox.perform(step)
        stored = await office.store.writes.answers(since=office.clock.now() - ANSWERS_WITHIN)
        assert [row.thread for row in stored] == ["7/8", "7/8"]

        answers = AnswerLimit(office.clock, RULES)
        answers.restore(stored)
        with pytest.raises(TooManyAnswers):
            answers.check(first)
        office.clock.move(ANSWERS_WITHIN.total_seconds())
        answers.check(first)


async def test_a_start_counts_what_the_store_holds(tmp_path: Path) -> None:
    async with open_office(tmp_path) as office:
        await office.outbox.perform(reply_step("one", to=asked()))
        office.start()
        assert not office.guard.answer_limit._sent
        await office.outbox.recover()
        assert list(office.guard.answer_limit._sent) == [(ME, "7/8")]


def test_an_answer_of_the_future_counts_as_sent_now() -> None:
    answers, clock = limit(PostRules(answers_per_author=1))
    ahead = SentAnswer(account_id=ME, thread="7/8", at=clock.now() + timedelta(days=9))
    answers.restore([ahead])
    assert [list(times) for times in answers._sent.values()] == [[clock.monotonic()]]
