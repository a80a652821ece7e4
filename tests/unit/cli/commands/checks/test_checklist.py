"""`botkit checklist`: what X shows, what a person confirmed, what is open."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from botkit.cli import main
from botkit.protocol.rules.label import STEPS
from botkit.storage import open_store

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Desk

IDS = [step.id for step in STEPS]


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["checklist", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def states(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    _, out, _ = ask(capsys, "--json", *arguments)
    return {step["id"]: step["state"] for step in json.loads(out)["steps"]}


def test_the_steps_are_walked_through_with_the_next_command(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.log_in()
    code, out, _ = ask(capsys)
    assert code == 1
    assert f"of {len(STEPS)} steps" in out
    assert all(step.do in out for step in STEPS)
    assert "botkit checklist --done " in out


def test_a_step_is_confirmed_and_taken_back(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.log_in()
    step = next(name for name, state in states(capsys, "--offline").items() if state == "open")
    assert states(capsys, "--offline", "--done", step)[step] == "confirmed"
    assert states(capsys, "--offline")[step] == "confirmed"
    assert states(capsys, "--offline", "--undo", step)[step] == "open"


def test_with_every_step_done_it_ends_with_0(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.log_in()
    code, out, _ = ask(capsys, "--offline", *(word for name in IDS for word in ("--done", name)))
    assert code == 0
    assert "All done." in out
    assert json.loads(ask(capsys, "--offline", "--json")[1])["complete"] is True


def test_offline_x_is_not_asked(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.log_in()
    told = json.loads(ask(capsys, "--offline", "--json")[1])
    assert told["problem"] == "not asked"
    assert told["account"]["username"] == "greeter"


def test_that_x_could_not_be_asked_is_said_and_confirmations_count(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.log_in()
    desk.move_to(desk.folder, BOTKIT_STORE__KEY="ab" * 32)
    code, out, _ = ask(capsys, "--done", IDS[0])
    assert code == 1
    assert "X could not be asked" in out
    assert "only your confirmations count" in out


def test_a_step_that_is_none_is_refused(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.log_in()
    code, _, err = ask(capsys, "--done", "nonsense")
    assert code == 2
    assert IDS[0] in err


@pytest.mark.parametrize("has_store", [False, True])
def test_before_the_setup_all_steps_are_shown_open(
    desk: Desk, capsys: pytest.CaptureFixture[str], *, has_store: bool
) -> None:
    if has_store:
        asyncio.run(make_store(desk))
    code, out, err = ask(capsys)
    assert code == 2
    assert f"no account yet: automated label, 0 of {len(STEPS)} steps" in out
    assert all(f"open       {step.id}" in out for step in STEPS)
    assert "can be confirmed here once the account is authorized" in out
    assert err == "botkit: No account is authorized yet. Run `botkit setup` first.\n"
    assert (desk.folder / "botkit.db").exists() is has_store

    code, out, err = ask(capsys, "--done", IDS[0], "--json")
    told = json.loads(out)
    assert code == 2
    assert told["account"] is None
    assert told["complete"] is False
    assert {step["state"] for step in told["steps"]} == {"open"}
    assert err.startswith("botkit: A confirmation cannot be kept yet. No account is authorized")


async def make_store(desk: Desk) -> None:
    async with open_store(f"sqlite:///{desk.folder}/botkit.db"):
        pass
