"""`botkit doctor` on hooks, the webhook, and the sources that the bot declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.cli.doctoring import Doctor

URL = "https://bot.example/x/deliveries"
BOT = """
from botkit import Bot, HomeTimeline, PostMatched, Trigger

bot = Bot("greeter")
bot.hear(HomeTimeline())

{trigger}
async def shipped(event: Trigger) -> None: ...

@bot.on(PostMatched, rule="{rule}", tag="cats")
async def cats(match: PostMatched) -> None: ...
"""


def set_up(doctor: Doctor, *, hook: str = "", rule: str = "cats", trigger: bool = True) -> None:
    doctor.desk.log_in()
    registration = '@bot.on(Trigger, name="order-shipped")' if trigger else ""
    text = BOT.format(trigger=registration, rule=rule)
    (doctor.desk.folder / "bot.py").write_text(text, "utf-8")
    hooks = f'[hooks.order-shipped]\ntoken = "{"t" * 40}"\n{hook}\n'
    settings = doctor.desk.folder / "botkit.toml"
    settings.write_text(f'[bot]\ntarget = "bot.py:bot"\n{hooks}', "utf-8")
    settings.chmod(0o600)
    doctor.settings()


def test_hooks_and_declared_sources_that_will_do_are_fine(doctor: Doctor) -> None:
    set_up(doctor, hook='account = "@Greeter"')
    found = doctor("--offline")
    assert (found["hooks"]["verdict"], found["hooks"]["cause"]) == (
        "fine",
        "POST /hooks/order-shipped",
    )
    assert found["sources"]["cause"] == "the self-serve plan takes all: rules 1, polls 1"
    assert "webhook" not in found
    assert "hooks" not in doctor("--offline", "--account", "greeter")


@pytest.mark.parametrize(
    ("hook", "trigger", "cause"),
    [
        ('account = "nobody"', True, "which is not authorized here"),
        ("", False, "no handler for Trigger"),
    ],
)
def test_a_hook_that_nobody_answers_is_wrong(
    doctor: Doctor, hook: str, cause: str, *, trigger: bool
) -> None:
    set_up(doctor, hook=hook, trigger=trigger)
    found = doctor("--offline")["hooks"]
    assert found["verdict"] == "wrong"
    assert cause in found["cause"]
    assert found["cure"]


def test_what_the_plan_does_not_take_is_wrong(doctor: Doctor) -> None:
    set_up(doctor, rule=" OR ".join(["cats"] * 200))
    found = doctor("--offline")["sources"]
    assert found["verdict"] == "wrong"
    assert "self-serve" in found["cause"]


def test_a_webhook_lacks_its_address_or_its_secret(doctor: Doctor) -> None:
    set_up(doctor)
    doctor.settings(BOTKIT_BOT__SOURCE="webhook", BOTKIT_APP__API_SECRET=None)
    assert "webhook" in doctor("--offline")
    causes = " ".join(found["cause"] for found in doctor.said["findings"])
    assert "[webhook] public_url is missing" in causes
    assert "api_secret is missing" in causes


@pytest.mark.parametrize(
    ("rows", "verdict", "cause"),
    [
        ([], "fine", "botkit run registers it"),
        ([{"id": "1", "url": URL, "valid": True}], "fine", "for valid"),
        ([{"id": "1", "url": URL, "valid": False}], "wrong", "for invalid"),
    ],
)
def test_x_tells_if_it_takes_the_webhook_for_valid(
    doctor: Doctor, rows: list[dict[str, object]], verdict: str, cause: str
) -> None:
    set_up(doctor)
    doctor.settings(BOTKIT_BOT__SOURCE="webhook", BOTKIT_WEBHOOK__PUBLIC_URL=URL)
    # Source: X API docs, "Webhooks": GET /2/webhooks.
    body = {"data": rows or None, "meta": {"result_count": len(rows)}}
    doctor.desk.faults.answer("GET /2/webhooks", status=200, body=body)
    found = doctor()["webhook"]
    assert found["verdict"] == verdict
    assert cause in found["cause"]
    assert "not asked" in doctor("--offline")["webhook"]["cause"]
