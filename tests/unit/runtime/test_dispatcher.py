"""Events get to handlers in order, in bounded slots, and every end is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.model.events import Mention
from botkit.model.records import EventState
from tests.unit.runtime.fakes import FakeWiring, bench, mention

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from botkit.ports import Scope


async def test_an_event_is_handled_and_recorded_as_done(tmp_path: Path) -> None:
    seen: list[str] = []

    async def greet(event: Mention, scope: Scope) -> None:
        seen.append(event.text)

    wiring = FakeWiring()
    wiring.on(Mention, greet)
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(mention())
        rows = await bot.store.events.get("post/100/0")
    assert seen == ["@greeter hello"]
    assert (rows[0].state, rows[0].note) == (EventState.DONE, "greet")
