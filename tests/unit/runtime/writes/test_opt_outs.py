"""A user who says stop is heard before any handler."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from botkit.model.events import DirectMessage, Event, PostSeen, Tick
from botkit.model.messages import Message
from botkit.runtime.writes.opt_outs import who_opts_out
from tests.unit.runtime.fakes import ADA, BOT, FakeWiring, bench, mention

if TYPE_CHECKING:
    from pathlib import Path

    from botkit.ports import Scope

NOW = datetime(2025, 12, 11, tzinfo=UTC)


def message(text: str) -> DirectMessage:
    return DirectMessage(
        account_id=BOT,
        at=NOW,
        message=Message(id="5", conversation_id="7-42", text=text, sender_id=ADA.id),
        sender=ADA,
    )


@pytest.mark.parametrize(
    ("event", "who"),
    [
        (mention(text="@greeter STOP"), ADA.id),
        (message("stop"), ADA.id),
        (mention(text="@greeter please do not stop the music"), ""),
        (mention(text="stop " * 60), ""),
        (Tick(account_id=BOT, at=NOW, schedule="x"), ""),
        (PostSeen(account_id=BOT, at=NOW, post=mention(text="stop").post, author=ADA), ""),
    ],
)
def test_only_a_stop_word_by_itself_that_is_meant_for_the_account_counts(
    event: Event, who: str
) -> None:
    assert who_opts_out(event) == who


async def test_no_handler_sees_it_and_the_store_remembers(tmp_path: Path) -> None:
    seen: list[Event] = []

    async def greet(event: Event, scope: Scope) -> None:
        del scope
        seen.append(event)

    wiring = FakeWiring()
    wiring.on(Event, greet)
    async with bench(tmp_path, wiring) as core:
        stop = mention(text="@greeter unsubscribe")
        await core.handle(stop)
        assert seen == []
        assert await core.note(stop) == "opted out"
        assert await core.store.accounts.opted_out(BOT, ADA.id)
