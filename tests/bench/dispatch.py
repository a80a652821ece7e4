"""C1 to C3: from an event to its handler, with three middlewares and two injected values.

Every handler is for a command of its own; the events name each of them equally often.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

from tests.bench.measure import Meter, Order, Sample

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = [
    "aiogram_10",
    "aiogram_1000",
    "aiogram_growth",
    "botkit_10",
    "botkit_1000",
    "botkit_growth",
    "plain_10",
    "plain_1000",
    "plain_growth",
    "telegram_10",
    "telegram_1000",
    "telegram_growth",
]

FEW, MANY = 10, 1000
_MIDDLEWARES = 3


class Service:
    """What handlers are given beside the event."""


def plain_10(order: Order) -> Sample:
    return asyncio.run(_plain(FEW, order.size))


def plain_1000(order: Order) -> Sample:
    return asyncio.run(_plain(MANY, order.size))


def plain_growth(order: Order) -> Sample:
    return asyncio.run(_growth(_plain, order.size))


def botkit_10(order: Order) -> Sample:
    return asyncio.run(_botkit(FEW, order.size))


def botkit_1000(order: Order) -> Sample:
    return asyncio.run(_botkit(MANY, order.size))


def botkit_growth(order: Order) -> Sample:
    return asyncio.run(_growth(_botkit, order.size))


def aiogram_10(order: Order) -> Sample:
    return asyncio.run(_aiogram(FEW, order.size))


def aiogram_1000(order: Order) -> Sample:
    return asyncio.run(_aiogram(MANY, order.size))


def aiogram_growth(order: Order) -> Sample:
    return asyncio.run(_growth(_aiogram, order.size))


def telegram_10(order: Order) -> Sample:
    return asyncio.run(_telegram(FEW, order.size))


def telegram_1000(order: Order) -> Sample:
    return asyncio.run(_telegram(MANY, order.size))


def telegram_growth(order: Order) -> Sample:
    return asyncio.run(_growth(_telegram, order.size))


async def _growth(run: Callable[[int, int], Awaitable[Sample]], size: int) -> Sample:
    """How many times as much CPU an event costs with a hundred times as many handlers."""
    few, many = await run(FEW, size), await run(MANY, size)
    return Sample(
        units=few.units + many.units,
        cpu_s=few.cpu_s + many.cpu_s,
        wall_s=few.wall_s + many.wall_s,
        value=many.cpu_s / few.cpu_s,
    )


async def _plain(handlers: int, size: int) -> Sample:
    """The limit: the event's second word is a key of a dict, the handler is awaited."""
    seen = [0] * handlers
    table = {f"/c{number}": _counting(seen, number) for number in range(handlers)}
    act, service = object(), Service()
    events = _rounds([_mention(f"@bench /c{number} now") for number in range(handlers)], size)
    with Meter() as meter:
        for event in events:
            await table[event.post.text.split(" ", 2)[1]](event, act, service)
    return _whole(meter, seen, size)


def _counting(seen: list[int], number: int) -> Callable[..., Awaitable[None]]:
    async def handler(*_: object) -> None:
        seen[number] += 1

    return handler


async def _botkit(handlers: int, size: int) -> Sample:
    from botkit import Actions, Bot, Mention
    from botkit.filters import command
    from botkit.routing.wiring import wire

    seen = [0] * handlers
    bot = Bot("bench")
    for _ in range(_MIDDLEWARES):

        @bot.middleware
        async def through(event: Any, call_next: Any) -> Any:
            return await call_next(event)

    for number in range(handlers):
        name = f"handler_{number}"
        _register(bot.on(Mention, command(f"c{number}"), name=name), seen, number)
    wiring = wire(bot, built_in=(Actions, Service))
    scope = _Scope({Actions: object(), Service: Service()})
    events = _rounds([_mention(f"@bench /c{number} now") for number in range(handlers)], size)
    with Meter() as meter:
        for event in events:
            for candidate in wiring.candidates(event):
                await candidate(scope)
                break
    return _whole(meter, seen, size)


def _register(register: Callable[[Any], Any], seen: list[int], number: int) -> None:
    from botkit import Actions, Mention

    async def handler(event: Mention, act: Actions, service: Service) -> None:
        seen[number] += 1

    handler.__annotations__ = {"event": Mention, "act": Actions, "service": Service}
    register(handler)


class _Scope:
    """Fixed values, as the runtime's are for one run."""

    def __init__(self, values: dict[Any, Any]) -> None:
        self.resolve = values.__getitem__


def _mention(text: str) -> Any:
    from datetime import UTC, datetime

    from botkit import Mention, Post, User

    ada = User(id="9", username="ada", name="Ada")
    post = Post(id="50", text=text, author_id=ada.id)
    return Mention(account_id="1", at=datetime(2026, 1, 1, tzinfo=UTC), post=post, author=ada)


async def _aiogram(handlers: int, size: int) -> Sample:
    import logging
    from datetime import UTC, datetime

    from aiogram import Bot, Dispatcher
    from aiogram.filters import Command
    from aiogram.types import Chat, Message, Update, User

    logging.disable(logging.CRITICAL)
    seen = [0] * handlers
    dispatcher = Dispatcher(act=object(), service=Service())
    for _ in range(_MIDDLEWARES):

        @dispatcher.message.middleware
        async def through(handler: Any, event: Any, data: Any) -> Any:
            return await handler(event, data)

    def register(number: int) -> None:
        async def handler(event: Message, act: object, service: Service) -> None:
            seen[number] += 1

        dispatcher.message.register(handler, Command(f"c{number}"))

    for number in range(handlers):
        register(number)
    bot = Bot("1:made-up")
    ada = User(id=9, is_bot=False, first_name="Ada")
    chat = Chat(id=9, type="private")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    updates = [
        Update(
            update_id=number,
            message=Message(
                message_id=number, date=at, chat=chat, from_user=ada, text=f"/c{number} now"
            ),
        ).as_(bot)
        for number in range(handlers)
    ]
    rounds = _rounds(updates, size)
    with Meter() as meter:
        for update in rounds:
            await dispatcher.feed_update(bot, update)
    await bot.session.close()
    return _whole(meter, seen, size)


async def _telegram(handlers: int, size: int) -> Sample:
    """python-telegram-bot has no middleware; its context is what handlers are given."""
    from datetime import UTC, datetime

    from telegram import Chat, Message, MessageEntity, Update, User
    from telegram.ext import ApplicationBuilder, CommandHandler, ExtBot

    class Offline(ExtBot[None]):
        async def initialize(self) -> None:
            self._bot_user = User(id=1, is_bot=True, first_name="Bench", username="bench")
            self._initialized = True

    seen = [0] * handlers
    bot = Offline("1:made-up")
    application = ApplicationBuilder().bot(bot).updater(None).build()
    for number in range(handlers):
        application.add_handler(CommandHandler(f"c{number}", _counting(seen, number)))
    await application.initialize()
    chat, ada = Chat(id=9, type="private"), User(id=9, is_bot=False, first_name="Ada")
    updates: list[Update] = []
    for number in range(handlers):
        word = f"/c{number}"
        message = Message(
            message_id=number,
            date=datetime(2026, 1, 1, tzinfo=UTC),
            chat=chat,
            from_user=ada,
            text=f"{word} now",
            entities=[MessageEntity(type="bot_command", offset=0, length=len(word))],
        )
        message.set_bot(bot)
        updates.append(Update(update_id=number, message=message))
    rounds = _rounds(updates, size)
    with Meter() as meter:
        for update in rounds:
            await application.process_update(update)
    return _whole(meter, seen, size)


def _rounds(each: Sequence[Any], size: int) -> list[Any]:
    """All in turn, until there are so many; with fewer than all, evenly spread ones."""
    step = max(len(each) // size, 1)
    return list(itertools.islice(itertools.cycle(each[::step]), size))


def _whole(meter: Meter, seen: Sequence[int], size: int) -> Sample:
    if sum(seen) != size or max(seen) - min(seen) > 1:
        raise RuntimeError(f"{sum(seen)} of {size} events were handled")
    return meter.of(size)
