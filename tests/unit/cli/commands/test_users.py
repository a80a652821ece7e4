"""`botkit users`: who has opted out, and what an operator records of that."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from botkit.cli import main
from botkit.model.events import OptOut
from botkit.model.records import StoredOptOut, StoredUser
from botkit.model.users import Account
from botkit.protocol.events.codec import decode_event
from botkit.storage import open_store
from botkit.system import SystemClock
from botkit.telemetry.times import rfc3339
from tests.storage.conformance.bench import ME, T0

if TYPE_CHECKING:
    from pathlib import Path


class Desk:
    """A folder with a store, and what the last command said."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = f"sqlite:///{folder}/botkit.db"
        self._capsys = capsys
        self.out = self.err = ""

    def do(self, *arguments: str) -> int:
        code = main(["users", *arguments])
        self.out, self.err = self._capsys.readouterr()
        return code

    def listed(self) -> list[str]:
        assert self.do("list", "--json") == 0
        return [row["user_id"] for row in json.loads(self.out)]

    async def fill(self) -> None:
        async with open_store(self.url, clock=SystemClock(), create=True) as store:
            await store.accounts.put(Account(id=ME, username="desk"))
            await store.accounts.cache_users(
                [StoredUser(id="8", username="Bob", body=b"{}", fetched_at=T0)]
            )
            await store.accounts.opt_out(
                StoredOptOut(account_id=ME, user_id="7", username="ada", at=T0, cause="post/1/0")
            )


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Desk:
    monkeypatch.chdir(tmp_path)
    desk = Desk(tmp_path, capsys)
    asyncio.run(desk.fill())
    return desk


def test_who_has_opted_out_is_listed_with_time_and_event(desk: Desk) -> None:
    assert desk.do("list") == 0
    assert rfc3339(T0) in desk.out
    assert "@ada" in desk.out
    assert "post/1/0" in desk.out
    assert desk.do("list", "--account", "desk", "--json") == 0
    assert json.loads(desk.out) == [
        {
            "user_id": "7",
            "username": "ada",
            "account_id": ME,
            "at": rfc3339(T0),
            "event": "post/1/0",
        }
    ]


@pytest.mark.parametrize("name", ["@ADA", "ada", "7"])
def test_a_user_is_opted_in_by_name_or_id(desk: Desk, name: str) -> None:
    assert desk.do("opt-in", name) == 0
    assert desk.listed() == []
    assert desk.do("list") == 0
    assert "Nobody has opted out." in desk.out
    assert desk.do("opt-in", "7") == 2
    assert "has not opted out" in desk.err


@pytest.mark.parametrize("name", ["@bob", "8"])
def test_a_user_is_opted_out_by_name_or_id(desk: Desk, name: str) -> None:
    assert desk.do("opt-out", name, "--json") == 0
    assert json.loads(desk.out)["user_id"] == "8"
    assert "undo: botkit users opt-in" in desk.err
    assert set(desk.listed()) == {"7", "8"}
    assert desk.do("list") == 0
    assert "operator" in desk.out


def test_a_name_that_is_not_known_here_is_refused_with_the_way_on(desk: Desk) -> None:
    assert desk.do("opt-out", "@carol") == 2
    assert "No user @carol is known in this store." in desk.err
    assert "id" in desk.err


def test_the_bots_handlers_are_told_once_of_each_change(desk: Desk) -> None:
    for command in ("opt-out", "opt-out", "opt-in"):
        assert desk.do(command, "8") == 0

    async def told() -> list[tuple[str, str, bool]]:
        async with open_store(desk.url, clock=SystemClock()) as store:
            rows = await store.events.listing()
        events = [decode_event(row.kind, row.body, {}) for row in rows]
        return [(e.source, e.user_id, e.is_out) for e in events if isinstance(e, OptOut)]

    assert asyncio.run(told()) == [("operator", "8", False), ("operator", "8", True)]
