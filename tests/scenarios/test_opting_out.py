"""A user tells a whole bot to stop, in public and by direct message, and comes back."""

from __future__ import annotations

from msgspec import Struct

from botkit import (
    STOP_WORDS,
    Actions,
    Bot,
    DirectMessage,
    Mention,
    OptOut,
    OptOutRules,
    UserState,
)
from botkit.sandbox import Sandbox

GOODBYE, WELCOME = OptOutRules().goodbye, OptOutRules().welcome


class Notes(Struct, frozen=True):
    texts: tuple[str, ...] = ()


def answering(**options: OptOutRules | None) -> Bot:
    bot = Bot("desk", may={"message"}, **options)

    @bot.on(Mention)
    async def answer(mention: Mention, act: Actions, notes: UserState[Notes]) -> None:
        notes.value = Notes(texts=(*notes.value.texts, mention.text))
        await act.reply(mention, f"Answer {len(notes.value.texts)}.")

    @bot.on(DirectMessage)
    async def talk(message: DirectMessage, act: Actions) -> None:
        await act.message(message, f"You said {message.text}.")

    return bot


async def test_stop_is_confirmed_once_and_ends_every_answer_until_start(sandbox: Sandbox) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(answering()) as process:
        await ada.posts("@desk hello")
        await ada.posts("@desk stop")
        await ada.posts("@desk hello again")
        await ada.messages("desk", "hello?")
        await sandbox.settle()
        assert sandbox.replies_to(ada) == ["Answer 1.", GOODBYE]
        assert sandbox.messages_to(ada) == []
        assert await process.store.events.dead() == []
        await ada.messages("desk", "start")
        await ada.posts("@desk hello once more")
        await sandbox.settle()
    assert sandbox.messages_to(ada) == [WELCOME]
    assert sandbox.replies_to(ada) == ["Answer 1.", GOODBYE, "Answer 2."]


async def test_a_word_of_the_authors_own_language_is_honoured(sandbox: Sandbox) -> None:
    rules = OptOutRules(stop_words=STOP_WORDS | {"baba"}, goodbye="Baba!")
    ada = sandbox.user("ada")
    async with sandbox.running(answering(opt_out=rules)):
        await ada.messages("desk", "Baba!")
        await ada.messages("desk", "hello?")
        await sandbox.settle()
    assert sandbox.messages_to(ada) == ["Baba!"]


async def test_without_rules_handlers_get_the_words(sandbox: Sandbox) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(answering(opt_out=None)):
        await ada.messages("desk", "stop")
        await sandbox.settle()
    assert sandbox.messages_to(ada) == ["You said stop."]


async def test_a_hook_forgets_what_the_bot_kept_of_the_user(sandbox: Sandbox) -> None:
    bot = answering()

    @bot.on(OptOut)
    async def forget(change: OptOut, notes: UserState[Notes]) -> None:
        if change.is_out:
            notes.value = Notes()

    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        await ada.posts("@desk hello")
        await ada.posts("@desk stop")
        await sandbox.settle()
        await ada.posts("@desk start")
        await ada.posts("@desk hello")
        await sandbox.settle()
    assert sandbox.replies_to(ada) == ["Answer 1.", GOODBYE, WELCOME, "Answer 1."]
