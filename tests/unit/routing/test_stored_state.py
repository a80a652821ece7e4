"""What is stored of an author's state is not lost by another version of its class."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest
from msgspec import Struct

from botkit.errors import Corrupt, StateError, WiringError
from botkit.model.records import StateRow
from botkit.routing.state import BotState, StateReading, state_param
from botkit.routing.stored_state import check_size, unknown_fields
from tests.unit.routing.samples import mention


class Part(Struct, frozen=True):
    size: int = 0


class Case(Struct, frozen=True):
    answers: int = 0
    part: Part = Part()
    parts: tuple[Part, ...] = ()
    by_name: dict[str, Part] = {}


class Second(Struct, frozen=True):
    state_name: ClassVar[str] = "Case"
    state_version: ClassVar[int] = 2

    replies: int = 0

    @classmethod
    def upgrade(cls, fields: dict[str, Any], version: int) -> dict[str, Any]:
        if version < 2:
            fields["replies"] = fields.pop("answers", 0) * 10
        return fields


class Fresh(Struct, frozen=True):
    state_version: ClassVar[int] = 1

    answers: int = 0


def loaded(struct: type[Struct], stored: bytes | None) -> Any:
    param = state_param(BotState[struct])  # type: ignore[valid-type]
    assert param is not None
    row = None if stored is None else StateRow(value=stored, rev=1)
    return param.open(mention(), row, account_id="1")


def stored_after(state: StateReading[Any]) -> Any:
    change = state.change()
    assert change is not None
    return msgspec.json.decode(change.value)


def test_a_field_that_was_dropped_outlives_a_change_and_is_there_after_a_roll_back() -> None:
    state = loaded(Case, b'{"answers":1,"mood":"good"}')
    state.value = Case(answers=2)
    assert stored_after(state)["mood"] == "good"
    assert stored_after(state)["answers"] == 2


def test_unknown_fields_of_parts_are_kept_as_well() -> None:
    state = loaded(
        Case,
        b'{"part":{"size":1,"hue":"red"},"by_name":{"a":{"size":2,"hue":"blue"},"b":{"size":5}}}',
    )
    state.value = Case(part=Part(size=3), by_name={"a": Part(size=4)})
    assert stored_after(state)["part"] == {"size": 3, "hue": "red"}
    assert stored_after(state)["by_name"] == {"a": {"size": 4, "hue": "blue"}}  # b was removed


def test_elements_of_a_list_that_did_not_change_keep_theirs_wherever_they_stand() -> None:
    state = loaded(Case, b'{"parts":[{"size":1,"hue":"red"},{"size":2,"hue":"blue"},{"size":3}]}')
    state.value = Case(parts=(Part(size=9), Part(size=2)))
    assert stored_after(state)["parts"] == [{"size": 9}, {"size": 2, "hue": "blue"}]


def test_a_set_of_plain_values_is_stored_as_it_is_now() -> None:
    class Seen(Struct, frozen=True):
        ids: frozenset[int] = frozenset()

    state = loaded(Seen, b'{"ids":[3,1,2],"old":true}')
    state.value = Seen(ids=frozenset({1, 4}))
    assert sorted(stored_after(state)["ids"]) == [1, 4]
    assert stored_after(state)["old"] is True


def test_a_value_without_a_version_is_stored_as_ever() -> None:
    state = loaded(Case, None)
    state.value = Case(answers=1)
    assert state.change().value == msgspec.json.encode(Case(answers=1))


def test_an_older_value_is_upgraded_once() -> None:
    state = loaded(Second, b'{"answers":3,"mood":"good"}')
    assert state.value == Second(replies=30)
    state.value = Second(replies=31)
    assert stored_after(state) == {"replies": 31, "mood": "good", "$version": 2}
    again = loaded(Second, state.change().value)
    assert again.value == Second(replies=31)


def test_a_first_value_has_the_version_of_its_class() -> None:
    state = loaded(Fresh, None)
    state.value = Fresh(answers=1)
    assert stored_after(state) == {"answers": 1, "$version": 1}
    assert loaded(Fresh, b'{"answers":4}').value == Fresh(answers=4)  # stored before it had one


@pytest.mark.parametrize("struct", [Case, Fresh])
def test_a_value_of_a_newer_version_is_refused_with_the_cure(struct: type[Struct]) -> None:
    with pytest.raises(Corrupt, match=r"has version 2, and \w+ has state_version") as refused:
        loaded(struct, b'{"answers":3,"$version":2}')
    assert "Run the version of the bot that stored it" in str(refused.value.hint)


@pytest.mark.parametrize("stored", [b"[1]", b'{"answers":"x"}'])
def test_a_value_of_another_shape_is_refused_before_and_after_an_upgrade(stored: bytes) -> None:
    class Strict(Struct, frozen=True):
        state_version: ClassVar[int] = 1

        answers: int = 0

    with pytest.raises(Corrupt, match="is no"):
        loaded(Strict, stored)


class Late(Struct, frozen=True):
    state_version: ClassVar[Any] = "2"


class Unversioned(Struct, frozen=True):
    @classmethod
    def upgrade(cls, fields: dict[str, Any], version: int) -> dict[str, Any]:
        return {**fields, "was": version}


class Plain(Struct, frozen=True):
    state_version: ClassVar[int] = 1

    def upgrade(self, fields: dict[str, Any], version: int) -> dict[str, Any]:
        return fields


@pytest.mark.parametrize(
    ("struct", "said"),
    [
        (Late, "state_version = '2': it is a whole number from 1 on"),
        (Unversioned, r"so it needs a version: state_version: ClassVar\[int\] = 1"),
        (Plain, "upgrade must be a class method: @classmethod def upgrade"),
    ],
)
def test_a_version_or_an_upgrade_that_does_not_fit_is_refused_at_wiring(
    struct: type[Struct], said: str
) -> None:
    with pytest.raises(WiringError, match=said):
        loaded(struct, None)


def test_unknown_fields_are_named_unless_an_upgrade_decides_about_them() -> None:
    assert unknown_fields(Case, b'{"answers":1,"mood":1,"old":2}') == {"mood", "old"}
    assert unknown_fields(Second, b'{"answers":1}') == set()
    assert unknown_fields(Second, b'{"replies":1,"answers":1,"$version":2}') == {"answers"}
    assert unknown_fields(Case, b"[]") == unknown_fields(Case, b"{") == set()


def test_a_value_that_is_too_large_is_named_with_the_cure() -> None:
    check_size("It", b"x" * 1024, 1)
    with pytest.raises(StateError, match=r"It takes 2 KiB; it may take 1 KiB") as refused:
        check_size("It", b"x" * 1025, 1)
    assert "[run] state_kib" in str(refused.value.hint)
