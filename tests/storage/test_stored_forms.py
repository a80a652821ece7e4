"""What stores hold today is read by every release after it, byte for byte."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, get_args

import msgspec
import pytest
from msgspec import Struct

from botkit.client.logins.rescue_file import RescueFile
from botkit.client.logins.rollback_guard import FileRollbackGuard, Seen
from botkit.model.events import Mention, Signal, XEvent
from botkit.model.records import CredentialRow, Intent, StateRow
from botkit.model.tokens import CredentialKind, LoginState
from botkit.protocol.events import codec
from botkit.protocol.events.codec import decode_event, encode_event
from botkit.routing.state import BotState, Conversation, UserState, state_param
from botkit.storage.vault.parcel import open_parcel

_VECTORS = Path(__file__).parent.parent / "wire" / "stored"
EVENTS: list[dict[str, Any]] = json.loads((_VECTORS / "events.json").read_text("utf-8"))
STATES: list[dict[str, Any]] = json.loads((_VECTORS / "states.json").read_text("utf-8"))


class Remind(Signal, frozen=True, kw_only=True):
    asked: Mention
    what: str
    due: datetime


SIGNALS: dict[str, type[Signal]] = {"Remind": Remind}


class Part(Struct, frozen=True):
    size: int = 0


class Case(Struct, frozen=True):
    answers: int = 0
    last: datetime | None = None
    names: frozenset[str] = frozenset()
    part: Part = Part()


class Second(Struct, frozen=True):
    state_name: ClassVar[str] = "Case"
    state_version: ClassVar[int] = 2

    answers: int = 0


HANDLES = {"conversation": Conversation[Case], "user": UserState[Case], "bot": BotState[Case]}
WHOLE = b'{"answers":3,"last":"2026-11-30T12:00:00.250000Z","names":["ada"],"part":{"size":2}}'


def event_of(vector: dict[str, Any]) -> Any:
    return decode_event(vector["kind"], json.dumps(vector["body"]).encode(), SIGNALS)


@pytest.mark.parametrize("vector", EVENTS, ids=lambda vector: vector["kind"])
def test_a_stored_event_comes_back_with_every_field_and_its_key(vector: dict[str, Any]) -> None:
    event = event_of(vector)
    kind, body = encode_event(event)
    assert (kind, json.loads(body)) == (vector["kind"], vector["body"])
    if isinstance(event, XEvent):
        assert (event.key, event.lane) == (vector["key"], vector["lane"])


def test_each_kind_of_event_has_its_vector() -> None:
    kinds = {str(each.__struct_config__.tag) for each in get_args(codec._Stored)}
    assert kinds == {vector["kind"] for vector in EVENTS} - {"signal/Remind"}


@pytest.mark.parametrize("vector", STATES, ids=lambda vector: f"{vector['kind']}-{vector['of']}")
def test_a_piece_of_state_is_found_where_it_was_stored(vector: dict[str, Any]) -> None:
    param = state_param(HANDLES[vector["kind"]])
    assert param is not None
    event = event_of(next(one for one in EVENTS if one["kind"] == vector["of"]))
    row_key = param.row_key(event, account_id="42")
    assert (param.scope, row_key) == (vector["scope"], vector["key"])


def test_a_stored_value_comes_back_and_is_stored_in_the_same_form() -> None:
    param = state_param(BotState[Case])
    assert param is not None
    event = event_of(EVENTS[0])
    state: Any = param.open(event, StateRow(value=WHOLE, rev=4), account_id="42")
    at = datetime(2026, 11, 30, 12, 0, 0, 250_000, tzinfo=UTC)
    assert state.value == Case(3, at, frozenset({"ada"}), Part(2))
    state.value = msgspec.structs.replace(state.value, answers=4)
    assert state.change().value == WHOLE.replace(b":3", b":4")


def test_the_version_of_a_value_stands_beside_its_fields() -> None:
    param = state_param(BotState[Second])
    assert param is not None
    row = StateRow(value=b'{"answers":3,"$version":2}', rev=1)
    state: Any = param.open(event_of(EVENTS[0]), row, account_id="42")
    assert (param.scope, state.value) == ("bot/Case", Second(answers=3))
    state.value = Second(answers=4)
    assert json.loads(state.change().value) == {"answers": 4, "$version": 2}


def test_a_login_that_was_exported_opens() -> None:
    text = (_VECTORS / "parcel.txt").read_text("ascii")
    assert open_parcel(text, "correct horse battery") == b'{"login":"of 2026-11-30"}'


AT = datetime(2026, 11, 30, 12, 0, 0, 250_000, tzinfo=UTC)
LOGIN = CredentialRow(
    account_id="1999",
    app="shop",
    kind=CredentialKind.OAUTH2,
    gen=7,
    sealed=b"sealed by the vault",
    origin="https://api.x.com",
    client_id="client-1",
    user_id="1999",
    username="greeter",
    scopes=("tweet.read", "offline.access"),
    level="read-write",
    status=LoginState.UNCERTAIN,
    reason="X did not answer",
    since=AT,
    granted_at=AT,
    access_until=AT,
    last_success=AT,
    config_fingerprint="f1",
    intent=Intent(
        id="intent-0",
        gen=7,
        refresh_hash="5f1d",
        owner="host/1",
        boot_id="b",
        started=AT,
        sent=True,
    ),
)


async def test_a_login_in_a_rescue_file_comes_back_and_is_stored_in_the_same_form(
    tmp_path: Path,
) -> None:
    held = base64.b64decode((_VECTORS / "rescue.b64").read_bytes())
    path = tmp_path / "bot.db.rescue"
    path.write_bytes(held)
    entries = await RescueFile(path).load()
    assert [(each.row, each.intent_id, each.unread_answer) for each in entries] == [
        (LOGIN, "intent-1", False),
        (LOGIN, "", True),
    ]
    path.unlink()
    await RescueFile(path).keep(entries)
    assert path.read_bytes().rstrip(b"\0") == held


async def test_the_file_that_guards_against_an_older_store_is_found_and_read(
    tmp_path: Path,
) -> None:
    held = (_VECTORS / "rollback_guard.json").read_bytes()
    path = tmp_path / "eb729f93ba6910bbeba3a043"
    path.write_bytes(held)
    guard = FileRollbackGuard(tmp_path)
    seen = await guard.recall(LOGIN)
    assert seen == Seen(gen=7, hash="0123456789abcdef")
    await guard.note(LOGIN, seen)
    assert path.read_bytes() == held
