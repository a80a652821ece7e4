"""A3: from X's write of a mention to the handler, and to the reply's arrival at X, paced.

Whole processes: the simulated X, and `botkit run` on a store that syncs. Both times are taken from
the ids that X gives, which hold the millisecond, and from what the handler writes into its reply.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.measure import Meter, Order, Sample
from tests.crash.conftest import installed, served, until

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["botkit_handler", "botkit_reply"]

_PER_S = 20
_PATIENCE_S = 60.0
_EPOCH_MS = 1288834974657
_BOT = """
import time

from botkit import Actions, Bot, Mention

bot = Bot("greeter")


@bot.on(Mention)
async def answer(mention: Mention, act: Actions) -> None:
    await act.reply(mention, f"{mention.id} {time.time_ns() // 1_000_000}")
"""


def botkit_reply(order: Order) -> Sample:
    """The median time until X has the reply."""
    return _run(order, lambda reply: _made_ms(reply["id"]))


def botkit_handler(order: Order) -> Sample:
    """The median time until the handler runs."""
    return _run(order, lambda reply: int(reply["text"].split()[-1]))


def _made_ms(post_id: str) -> int:
    return (int(post_id) >> 22) + _EPOCH_MS


def _run(order: Order, end_ms: Callable[[dict[str, str]], int]) -> Sample:
    folder = Path(order.folder)
    with served(folder, "--no-rate-limits") as world:
        machine = installed(folder, world)
        machine.write(_BOT)
        try:
            machine.authorize()
            machine.run()
            until(world.listeners, within_s=_PATIENCE_S, why=machine.said)
            with Meter() as meter:
                for number in range(order.size):
                    world.says("ada", f"@greeter hello {number}")
                    time.sleep(1 / _PER_S)
                until(lambda: len(world.replies()) == order.size, within_s=_PATIENCE_S)
            spans = [end_ms(reply) - _made_ms(reply["reply_to"]) for reply in world.replies()]
        finally:
            machine.end()
    return meter.of(order.size, value=statistics.median(spans))
