"""A help desk in direct messages, and the weather every morning.

The model is slow and costs money: it is asked once for a message, whatever happens to the process.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from msgspec import Struct

from botkit import Actions, Bot, Conversation, DirectMessage, Tick


class Case(Struct, frozen=True):
    """What the desk remembers of a conversation."""

    answers: int = 0


class Model:
    """Stands in for a language model behind an API: a real one would hold a connection here."""

    async def answer(self, question: str) -> str:
        """Answer a question, slowly and for money."""
        return f'"{question.strip()}"? Have you tried turning it off and on again?'


bot = Bot("desk", may={"message"})


@bot.provide
@asynccontextmanager
async def open_model() -> AsyncGenerator[Model]:
    """Open one model when the bot starts; whatever stands behind the yield closes it."""
    yield Model()


@bot.on(DirectMessage, timeout_s=120)
async def support(dm: DirectMessage, act: Actions, case: Conversation[Case], model: Model) -> None:
    if case.value.answers == 0:
        await act.message(dm, "One moment, I am looking it up.")
    text = await act.once("answer", model.answer, dm.text)  # paid once, even if the process dies
    await act.message(dm, text)
    case.value = Case(answers=case.value.answers + 1)


@bot.cron("0 8 * * *", tz="Europe/Berlin")
async def weather(tick: Tick, act: Actions) -> None:
    head = await act.post(f"Weather for {tick.at:%d %B}")
    await act.reply(head, "And the outlook: sun.")


if __name__ == "__main__":
    bot.run()
