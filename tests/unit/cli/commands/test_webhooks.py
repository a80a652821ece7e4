"""`botkit webhooks`: what X has, and what an operator changes there."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from botkit.cli import main
from botkit.cli.commands import webhooks
from botkit.errors import BadRequest
from botkit.model.users import Account
from botkit.protocol.api.responses import Response
from botkit.storage import open_store
from botkit.system import SystemClock
from tests.unit.sources.fakes import FakeSender

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime
    from pathlib import Path

URL = "https://bot.example/x/deliveries"


def listed(*, valid: bool = True) -> Response:
    # Source: X API docs, "Webhooks": GET /2/webhooks.
    return Response(status=200, data=[{"id": "146", "url": URL, "valid": valid}])


NONE = Response(status=200, data=None, meta={"result_count": 0})
VALIDATED = Response(status=200, data={"valid": True})


class Desk:
    """A folder with a store of one account, a scripted X, and what the last command said."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = f"sqlite:///{folder}/botkit.db"
        self._capsys = capsys
        self.sender = FakeSender()
        self.out = self.err = ""

    def do(self, *arguments: str) -> int:
        code = main(["webhooks", *arguments])
        self.out, self.err = self._capsys.readouterr()
        return code

    async def fill(self) -> None:
        async with open_store(self.url, clock=SystemClock(), create=True) as store:
            await store.accounts.put(Account(id="1", username="greeter"))

    @asynccontextmanager
    async def open_x(self, *_: Any) -> AsyncIterator[Any]:
        yield SimpleNamespace(sender=self.sender)


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Desk:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOTKIT_WEBHOOK__PUBLIC_URL", URL)
    desk = Desk(tmp_path, capsys)
    asyncio.run(desk.fill())
    monkeypatch.setattr(webhooks, "open_x_of", desk.open_x)
    return desk


def test_what_x_has_is_listed(desk: Desk) -> None:
    desk.sender.answers = [listed(valid=False), listed(), NONE]
    assert desk.do("list") == 0
    assert "invalid" in desk.out
    assert URL in desk.out
    assert desk.do("list", "--json") == 0
    assert json.loads(desk.out) == [{"id": "146", "url": URL, "valid": True}]
    assert desk.do("list") == 0
    assert "No webhooks." in desk.out


def test_the_own_address_or_another_one_is_added(desk: Desk) -> None:
    made = Response(status=200, data={"id": "147", "url": "https://b.example/x", "valid": True})
    desk.sender.answers = [listed(), NONE, made]
    assert desk.do("add") == 0
    assert desk.out == f"webhook 146 is {URL}\n"
    assert desk.do("add", "https://b.example/x") == 0
    assert desk.out == "webhook 147 is https://b.example/x\n"


def test_a_check_ends_with_0_only_if_x_takes_the_webhook_for_valid(desk: Desk) -> None:
    desk.sender.answers = [listed(valid=False), VALIDATED, listed()]
    assert desk.do("check") == 0
    assert "is valid" in desk.out
    desk.sender.answers = [listed(), VALIDATED, listed(valid=False)]
    assert desk.do("check", "146") == 1
    # Source: X API docs, "Webhooks": CrcValidationFailed.
    refused = BadRequest("no", status=400, detail="CrcValidationFailed")
    desk.sender.answers = [listed(), refused]
    assert desk.do("check") == 2
    assert "CrcValidationFailed" in desk.err
    assert "crc_token" in desk.err
    desk.sender.answers = [listed()]
    assert desk.do("check", "999") == 2
    assert "webhooks list" in desk.err


def ago(**span: float) -> datetime:
    return SystemClock().now() - timedelta(**span)


def test_a_replay_is_asked_for_within_what_x_replays(desk: Desk) -> None:
    desk.sender.answers = [listed(), Response(status=200, data={"job_id": "7"})]
    assert desk.do("replay", "--since", ago(hours=2).isoformat()) == 0
    assert desk.out.startswith("replay job 7:")
    asked = json.loads(desk.sender.calls[-1].json or b"")
    assert asked["webhook_id"] == "146"
    assert asked["from_date"] == f"{ago(hours=2):%Y%m%d%H%M}"
    calls = len(desk.sender.calls)
    for since, until in (
        (ago(hours=25), ago(hours=1)),
        (ago(minutes=30), ago(minutes=11)),
        (ago(hours=2), ago(minutes=9)),
        (ago(hours=2), ago(hours=3)),
    ):
        assert desk.do("replay", "--since", since.isoformat(), "--until", until.isoformat()) == 2
        assert "X replays" in desk.err
    assert desk.do("replay", "--since", "2026-12-01T09:00") == 2
    assert "needs a zone" in desk.err
    assert len(desk.sender.calls) == calls


def test_a_webhook_is_removed(desk: Desk) -> None:
    desk.sender.answers = [Response(status=200, data={"deleted": True})]
    assert desk.do("remove", "146") == 0
    assert desk.sender.calls[0].path == "/2/webhooks/146"
    assert desk.out == "webhook 146 is removed\n"


def test_an_app_without_an_account_and_an_address_that_is_missing_are_said(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTKIT_APPS__SECOND__CLIENT_ID", "x")
    assert desk.do("list", "--app", "second") == 2
    assert "No account of the app 'second'" in desk.err
    monkeypatch.delenv("BOTKIT_WEBHOOK__PUBLIC_URL")
    assert desk.do("add") == 2
    assert "public_url" in desk.err
