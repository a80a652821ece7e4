"""At a start the stored state is compared with the classes that the bot keeps it in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from msgspec import Struct
from structlog.testing import capture_logs

from botkit import Bot, BotState, Mention, UserState
from botkit.bot.handlers.stored_states import compare_states
from botkit.errors import ConfigError
from botkit.model.records import NewEvent, RunDone, StateChange
from botkit.sandbox.harness.clock import VirtualClock
from botkit.storage import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from botkit.ports import Store


class Greeted(Struct, frozen=True):
    times: int = 0


def counting(state: Any) -> Bot:
    bot = Bot("greeter")

    async def count(mention: Mention, seen: Any) -> None:
        del mention, seen

    count.__annotations__["seen"] = state
    bot.on(Mention)(count)
    return bot


async def put(store: Store, scope: str, *values: bytes) -> None:
    fence = await store.leases.acquire("runner", "test", ttl=timedelta(minutes=1))
    assert fence is not None
    for number, value in enumerate(values):
        event = NewEvent(
            account_id="1",
            key=f"{scope}/{number}",
            kind="mention",
            lane="",
            body=b"{}",
            at=datetime(2026, 11, 1, tzinfo=UTC),
            source="test",
        )
        (seq,) = await store.events.append([event])
        assert seq is not None
        change = StateChange(scope=scope, key=f"1/{number}", value=value, expected_rev=0)
        await store.events.settle([RunDone(seq=seq, note="", changes=(change,))], fence=fence)
    await store.leases.release(fence)


async def test_stored_fields_that_the_class_lacks_are_named_once(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=VirtualClock()) as store:
        await put(store, "user/Greeted", b'{"times":1,"mood":"x"}', b'{"times":1,"name":"y"}')
        with capture_logs() as lines:
            await compare_states(counting(UserState[Greeted]).wiring, store)
    assert lines == [
        {
            "event": "state.unknown_fields",
            "log_level": "warning",
            "state": "user/Greeted",
            "fields": ["mood", "name"],
            "next_step": "they are kept; Greeted.upgrade() can rename or remove them",
        }
    ]


async def test_stored_state_that_no_handler_asks_for_is_named(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=VirtualClock()) as store:
        await put(store, "user/Gretted", b"{}")
        await put(store, "bot/Greeted", b"{}")
        await put(store, "conversation/Case", b"{}")
        with capture_logs() as lines:
            await compare_states(counting(BotState[Greeted]).wiring, store)
    assert [(line["event"], line["states"]) for line in lines] == [
        ("state.unused", ["conversation/Case", "user/Gretted"])
    ]


async def test_state_of_a_newer_version_of_the_bot_refuses_the_start(tmp_path: Path) -> None:
    class Counted(Struct, frozen=True):
        state_name: ClassVar[str] = "Greeted"

    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=VirtualClock()) as store:
        await put(store, "bot/Greeted", b'{"$version":3}')
        with pytest.raises(ConfigError, match="stored bot/Greeted cannot be read: it has version"):
            await compare_states(counting(BotState[Counted]).wiring, store)
