"""The bot's rules at X are what the code declares, and the rules of others stay.

X's answers rest on its page "Build a rule" and, for `DuplicateRule` with the id of the rule that
is there, on an answer seen on the wire (a bug report of 2022-12-21).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from botkit.errors import ConfigError
from botkit.model.sources import Rule, Search
from botkit.protocol.api.responses import Response
from botkit.routing.declared_sources import Sources
from botkit.sources.push.rules import StreamRules, check_plan

if TYPE_CHECKING:
    from botkit.protocol.api.requests import Request
    from tests.unit.sources.fakes import FakeSender

CATS, DOGS = Rule(value="cats", tag="c"), Rule(value="dogs", tag="d")
P = "botkit:greeter:"


def listed(*rules: tuple[str, str, str], token: str | None = None) -> Response:
    rows = [{"id": rule_id, "value": value, "tag": tag} for rule_id, value, tag in rules]
    meta = {"next_token": token} if token else {}
    return Response(status=200, data=rows or None, meta=meta)


def bodies(sender: FakeSender) -> list[Any]:
    return [json.loads(call.json) for call in sender.calls if call.json]


def kept(sender: FakeSender, *rules: Rule) -> StreamRules:
    return StreamRules(sender, rules, bot="greeter")  # type: ignore[arg-type]  # a fake


async def test_rules_that_are_there_cost_one_reading(sender: FakeSender) -> None:
    sender.answers = [listed(("5", "cats", f"{P}c"))]
    assert (await kept(sender, CATS).prepare("1")).tags == {"5": ("c",)}
    assert len(sender.calls) == 1


async def test_missing_rules_are_added_and_stale_ones_deleted_and_others_stay(
    sender: FakeSender,
) -> None:
    sender.answers = [
        listed(("5", "birds", f"{P}b"), token="next"),
        listed(("6", "foreign", "theirs"), ("7", "no tag", "")),
        listed(("8", "cats", f"{P}c")),
        Response(status=200),
    ]
    assert (await kept(sender, CATS).prepare("1")).tags == {"8": ("c",)}
    assert bodies(sender) == [
        {"add": [{"value": "cats", "tag": f"{P}c"}]},
        {"delete": {"ids": ["5"]}},
    ]


async def test_a_rule_that_was_renamed_is_deleted_before_it_is_added_again(
    sender: FakeSender,
) -> None:
    sender.answers = [
        listed(("5", "cats", f"{P}old")),
        Response(status=200),
        listed(("8", "cats", f"{P}c")),
    ]
    assert (await kept(sender, CATS).prepare("1")).tags == {"8": ("c",)}
    assert [next(iter(body)) for body in bodies(sender)] == ["delete", "add"]


async def test_a_rule_twice_at_x_is_one(sender: FakeSender) -> None:
    sender.answers = [listed(("5", "cats", f"{P}c"), ("6", "cats", f"{P}c")), Response(status=200)]
    await kept(sender, CATS).prepare("1")
    assert bodies(sender) == [{"delete": {"ids": ["6"]}}]


async def test_a_rule_that_others_have_too_serves_both(sender: FakeSender) -> None:
    error = {"value": "cats", "id": "6", "title": "DuplicateRule", "type": "duplicate-rules"}
    sender.answers = [
        listed(("6", "cats", "theirs")),
        Response(status=200, data=[{"id": "9", "value": "dogs", "tag": f"{P}d"}], errors=(error,)),
    ]
    found = await kept(sender, CATS, DOGS).prepare("1")
    assert found.tags == {"6": ("c",), "9": ("d",)}
    assert found.refused == {}


async def test_two_rules_of_one_value_get_the_posts_of_the_one_that_x_has(
    sender: FakeSender,
) -> None:
    error = {"value": "cats", "id": "8", "title": "DuplicateRule"}
    sender.answers = [
        listed(),
        Response(status=200, data=[{"id": "8", "value": "cats", "tag": f"{P}c"}], errors=(error,)),
    ]
    found = await kept(sender, CATS, Rule(value="cats", tag="too")).prepare("1")
    assert found.tags == {"8": ("c", "too")}


async def test_what_x_refuses_is_told_in_its_words(sender: FakeSender) -> None:
    error = {"value": "cats", "title": "UnprocessableEntity", "details": ["ambiguous", "rule"]}
    sender.answers = [listed(), Response(status=200, errors=(error,))]
    found = await kept(sender, CATS, DOGS).prepare("1")
    assert found.refused == {
        "c": "UnprocessableEntity: ambiguous: rule",
        "d": "X did not create it",
    }


async def test_a_check_adds_nothing(sender: FakeSender) -> None:
    error = {"value": "cats", "title": "UnprocessableEntity"}
    sender.answers = [Response(status=200, errors=(error,))]
    missing = [Rule(value="cats", tag=f"{P}c")]
    assert await kept(sender, CATS).check(missing, "1") == {"c": "UnprocessableEntity"}
    assert dict(sender.calls[0].query) == {"dry_run": "true"}


async def test_a_check_of_no_rules_asks_nothing(sender: FakeSender) -> None:
    assert await kept(sender, CATS).check([], "1") == {}
    assert sender.calls == []


async def test_many_rules_are_added_in_portions(sender: FakeSender) -> None:
    def added(request: Request) -> Response:
        rules = json.loads(request.json or b"")["add"]
        return listed(*((rule["tag"], rule["value"], rule["tag"]) for rule in rules))

    many = [Rule(value=f"word{n}", tag=f"t{n}") for n in range(250)]
    sender.answers = [listed(), added, added, added]
    found = await kept(sender, *many).prepare("1")
    assert [len(body["add"]) for body in bodies(sender)] == [100, 100, 50]
    assert len(found.tags) == 250


@pytest.mark.parametrize(
    ("declared", "fault"),
    [
        (Sources(rules=(Rule(value="a" * 1025, tag="a"),)), "the rule 'a': .* takes 1024"),
        (Sources(rules=tuple(Rule(value="a", tag=str(n)) for n in range(1001))), "has 1000"),
        (Sources(polled=(Search(query="a" * 513, tag="a"),)), "the search 'a': .* takes 512"),
    ],
)
def test_what_the_plan_does_not_have_is_refused_with_the_setting(
    declared: Sources, fault: str
) -> None:
    with pytest.raises(ConfigError, match=fault) as raised:
        check_plan(declared, plan="self-serve")
    assert "[apps.NAME] plan" in raised.value.hint
    check_plan(declared, plan="enterprise")
