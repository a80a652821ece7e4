"""The desk answers, pays once, and tells the weather."""

from datetime import UTC, datetime, timedelta

import pytest

from botkit.sandbox import Sandbox
from examples.desk import Model, bot

WAIT = "One moment, I am looking it up."


async def test_answers_and_says_wait_in_the_first_answer_only(sandbox: Sandbox) -> None:
    ada, bob = sandbox.user("ada"), sandbox.user("bob")

    async with sandbox.running(bot):
        await ada.messages("desk", "It is dark")
        await ada.messages("desk", "It is still dark")
        await bob.messages("desk", "Hello?")
        await sandbox.settle()

    cure = "Have you tried turning it off and on again?"
    assert sandbox.messages_to(ada) == [
        WAIT,
        f'"It is dark"? {cure}',
        f'"It is still dark"? {cure}',
    ]
    assert sandbox.messages_to(bob) == [WAIT, f'"Hello?"? {cure}']


async def test_the_model_is_paid_once_even_if_the_process_dies_before_the_answer_is_out(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = sandbox.user("ada")
    paid: list[str] = []

    async def answer(_: Model, question: str) -> str:
        paid.append(question)
        # From here on X does not answer: the text is known, and not sent yet.
        sandbox.faults.unavailable("POST /2/dm_conversations/{id}/messages")
        return "Turn it on."

    monkeypatch.setattr(Model, "answer", answer)
    async with sandbox.running(bot) as process:
        await ada.messages("desk", "It is dark")
        await process.crash()
    async with sandbox.running(bot):
        await sandbox.settle()

    assert paid == ["It is dark"]
    assert sandbox.messages_to(ada) == [WAIT, "Turn it on."]


async def test_tells_the_weather_at_eight_in_berlin(sandbox: Sandbox) -> None:
    sandbox.clock.set(datetime(2025, 12, 11, 6, 55, tzinfo=UTC))  # five to eight in Berlin
    async with sandbox.running(bot):
        await sandbox.advance(timedelta(minutes=4))
        assert sandbox.posts_by("desk") == []
        await sandbox.advance(timedelta(minutes=2))
        await sandbox.settle()

    head, outlook = sandbox.posts_by("desk")
    assert head.startswith("Weather for ")
    assert outlook == "And the outlook: sun."


async def test_a_morning_that_was_missed_is_not_told_in_the_evening(sandbox: Sandbox) -> None:
    async with sandbox.running(bot):
        pass
    now = sandbox.clock.now()
    noon = datetime(now.year, now.month, now.day, 12, tzinfo=UTC) + timedelta(days=2)
    await sandbox.advance(noon - now)
    async with sandbox.running(bot):
        await sandbox.settle()

    assert sandbox.posts_by("desk") == []
