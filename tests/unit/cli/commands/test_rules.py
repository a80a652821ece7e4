"""`botkit rules`: what X has beside what the bot declares, and how it is made the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Desk

BOT = """
from botkit import Bot, PostMatched

bot = Bot("catbot")
{}

@bot.on(PostMatched)
async def note(match: PostMatched) -> None: ...
"""
RULE = (
    '\n@bot.on(PostMatched, rule="{}", tag="{}")\nasync def {}(match: PostMatched) -> None: ...\n'
)


def declare(desk: Desk, *rules: tuple[str, str]) -> None:
    declared = "".join(RULE.format(value, tag, tag) for tag, value in rules)
    (desk.folder / "bot.py").write_text(BOT.format(declared), "utf-8")


def told(desk: Desk, *words: str, code: int = 0) -> Any:
    assert desk.top("rules", *words, "bot.py:bot", "--json") == code
    return json.loads(desk.out)


def test_a_dry_run_tells_what_would_change_and_changes_nothing(desk: Desk) -> None:
    desk.log_in()
    declare(desk, ("cats", "cats -is:retweet"), ("dogs", "dogs"))
    assert desk.top("rules", "list", "bot.py:bot") == 0
    assert desk.out == "No rules.\n"
    found = told(desk, "sync", "--dry-run")
    assert [each["value"] for each in found["add"]] == ["cats -is:retweet", "dogs"]
    assert (found["remove"], found["keep"], found["others"], found["refused"]) == ([], [], 0, {})
    assert told(desk, "list") == []


def test_a_sync_adds_and_deletes_the_bots_own_and_leaves_those_of_others(desk: Desk) -> None:
    desk.log_in()
    declare(desk, ("cats", "cats"), ("dogs", "dogs"))
    assert [each["tag"] for each in told(desk, "sync")["add"]] == [
        "botkit:catbot:cats",
        "botkit:catbot:dogs",
    ]
    theirs = (desk.folder / "bot.py").read_text("utf-8").replace("catbot", "birdbot")
    declare(desk, ("cats", "cats"), ("cows", "cows"))
    (desk.folder / "other.py").write_text(theirs.replace('"dogs"', '"birds"'), "utf-8")
    assert desk.top("rules", "sync", "other.py:bot") == 0
    assert desk.top("rules", "sync", "bot.py:bot", "--dry-run") == 0
    assert desk.out.splitlines() == [
        "add  botkit:catbot:cows  cows",
        "remove  botkit:catbot:dogs  dogs",
        "keep  botkit:catbot:cats  cats",
        "1 of others stay; X charges for what they find, too.",
        "Nothing was changed.",
    ]
    assert desk.top("rules", "sync", "bot.py:bot") == 0
    assert "Nothing was changed" not in desk.out
    rows = told(desk, "list")
    assert {(row["own"], row["value"]) for row in rows} == {
        (True, "cats"),
        (True, "cows"),
        (False, "birds"),
    }
    assert desk.top("rules", "list", "bot.py:bot") == 0
    assert "other's  botkit:birdbot:" in desk.out


def test_a_rule_that_x_refuses_is_named_with_its_reason(desk: Desk) -> None:
    desk.log_in()
    declare(desk, ("cats", "cats"))
    error = {"value": "cats", "title": "UnprocessableEntity", "details": ["too wide"]}
    meta = {"summary": {"created": 0, "not_created": 1, "valid": 0, "invalid": 1}}
    refusal = {"meta": meta, "errors": [error]}
    desk.faults.answer("POST /2/tweets/search/stream/rules", status=200, body=refusal, times=None)
    refused = {"cats": "UnprocessableEntity: too wide"}
    assert desk.top("rules", "sync", "bot.py:bot", "--dry-run") == 2, desk.err
    assert told(desk, "sync", "--dry-run", code=2)["refused"] == refused
    assert desk.top("rules", "sync", "bot.py:bot") == 2
    assert "X refuses the rule 'cats': UnprocessableEntity: too wide." in desk.out


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"BOTKIT_APP__API_KEY": None, "BOTKIT_APP__API_SECRET": None}, "Set bearer_token"),
        ({"BOTKIT_BOT__ACCOUNT": "nobody"}, "no account 'nobody'"),
    ],
)
def test_what_is_lacking_is_named(desk: Desk, settings: dict[str, str], said: str) -> None:
    desk.log_in()
    declare(desk, ("cats", "cats"))
    desk.move_to(desk.folder, **settings)
    assert desk.top("rules", "list", "bot.py:bot") == 2
    assert said in desk.err


def test_a_bot_must_be_named(desk: Desk) -> None:
    desk.log_in()
    assert desk.top("rules", "sync") == 2
    assert "MODULE:BOT" in desk.err
