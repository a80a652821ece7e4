"""`botkit events send`: a trigger in the store, once for an id, without a server."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

from botkit.config import load_settings
from botkit.model.triggers import Trigger
from botkit.protocol.events.codec import decode_event
from botkit.storage import open_store
from botkit.system import SystemClock

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Desk


@pytest.fixture(autouse=True)
def _logged_in(desk: Desk) -> None:
    desk.log_in()


def triggers() -> list[Trigger]:
    async def read() -> list[Trigger]:
        settings = await asyncio.to_thread(load_settings)
        async with open_store(settings.store_url, clock=SystemClock()) as store:
            stored = await store.events.listing()
            found = [decode_event(one.kind, one.body, {}) for one in reversed(stored)]
            return [one for one in found if isinstance(one, Trigger)]

    return asyncio.run(read())


def test_a_trigger_is_recorded_and_waits_for_the_next_bot(desk: Desk) -> None:
    file = desk.folder / "order.json"
    file.write_text('{"order": 7}')
    assert desk.top("events", "send", "order-shipped", "--json", str(file), "--id", "7") == 0
    assert desk.out == "trigger/order-shipped/7\n"
    assert desk.err == "send    no bot runs on this store: the next one takes it up\n"
    (trigger,) = triggers()
    assert (trigger.name, trigger.data, trigger.source) == (
        "order-shipped",
        {"order": 7},
        "command",
    )
    assert trigger.account_id == desk.user.id


def test_the_same_id_is_no_new_event_and_other_data_under_it_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(body: bytes) -> int:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(body)))
        return desk.top("events", "send", "a", "--json", "-", "--id", "7")

    assert send(b"[1]") == 0
    assert send(b" [1] ") == 0
    assert desk.err == "send    it was on record already\n"
    assert send(b"[2]") == 2
    assert "on record with other data" in desk.err
    assert [trigger.data for trigger in triggers()] == [[1]]


def test_without_an_id_each_call_is_a_new_event(desk: Desk) -> None:
    assert [desk.top("events", "send", "hourly") for _ in range(3)] == [0, 0, 0]
    assert [trigger.data for trigger in triggers()] == [None] * 3


def test_the_account_of_the_hook_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOTKIT_HOOKS__A__TOKEN", "a-token-of-sixteen")
    monkeypatch.setenv("BOTKIT_HOOKS__A__ACCOUNT", "nobody")
    assert desk.top("events", "send", "a") == 2
    assert "no account 'nobody'" in desk.err
    assert desk.top("events", "send", "a", "--account", "greeter") == 0
    assert desk.top("events", "send", "b") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a/b"], "no name of a trigger"),
        (["a", "--id", "x" * 201], "--id takes"),
        (["a", "--json", "wrong.json"], "is no JSON"),
        (["a", "--json", "large.json"], "larger than 1 MiB"),
        (["a", "--json", "gone.json"], "gone.json"),
    ],
)
def test_what_cannot_be_sent_is_said(desk: Desk, words: list[str], said: str) -> None:
    (desk.folder / "wrong.json").write_text("{")
    (desk.folder / "large.json").write_text(json.dumps("x" * 1024 * 1024))
    assert desk.top("events", "send", *words) == 2
    assert said in desk.err
    assert triggers() == []
