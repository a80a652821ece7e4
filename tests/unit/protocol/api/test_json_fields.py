"""The lenient reading of X's JSON."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.protocol.api.json_fields import Fields, to_utc

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)


def test_an_id_may_come_as_text_or_number_and_the_text_twin_of_a_number_is_believed() -> None:
    fields = Fields(
        {"id": 2080765813578191300, "id_str": "2080765813578191303", "n": 7, "t": " 8 "}
    )

    assert (fields.id("id"), fields.id("n"), fields.id("t")) == ("2080765813578191303", "7", "8")
    assert Fields({"user_id_str": "9"}).id("user_id") == "9"
    assert fields.undecoded == {}


@pytest.mark.parametrize("value", [True, 1.5, "", "  ", [], {"a": 1}])
def test_what_is_no_id_reads_as_none_and_is_kept(value: object) -> None:
    fields = Fields({"id": value}, path="post")

    assert fields.id("id") is None
    assert fields.undecoded == {"post.id": value}


def test_the_first_name_that_is_there_counts() -> None:
    fields = Fields({"referenced_tweets": None, "referenced_posts": "x", "b": "y"})

    assert fields.text("referenced_tweets", "referenced_posts", "b") == "x"
    assert fields.text("absent") is None
    assert "b" in fields
    assert "absent" not in fields


def test_numbers_are_read_from_their_twins_and_from_digits() -> None:
    fields = Fields({"a": 1, "b_str": "2", "c": "-3", "d": "x", "e": True, "f": "9" * 40})

    assert [fields.number(name) for name in "abcdefg"] == [1, 2, -3, None, None, None, None]
    assert set(fields.undecoded) == {"d", "e", "f"}


def test_fault_27_texts_and_flags_of_another_type_are_kept() -> None:
    fields = Fields({"text": 5, "protected": "yes", "fine": False})

    assert (fields.text("text"), fields.flag("protected"), fields.flag("fine")) == (
        None,
        None,
        False,
    )
    assert fields.undecoded == {"text": 5, "protected": "yes"}


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("2026-07-24T21:23:23.000Z", datetime(2026, 7, 24, 21, 23, 23, tzinfo=UTC)),
        ("2026-07-24T23:23:23+02:00", datetime(2026, 7, 24, 21, 23, 23, tzinfo=UTC)),
        ("2026-07-24T21:23:23", datetime(2026, 7, 24, 21, 23, 23, tzinfo=UTC)),
        ("1784928224372", datetime(2026, 7, 24, 21, 23, 44, 372000, tzinfo=UTC)),
        (1784928224372, datetime(2026, 7, 24, 21, 23, 44, 372000, tzinfo=UTC)),
        (1784928224, datetime(2026, 7, 24, 21, 23, 44, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_in_every_way_that_x_writes_it(value: object, time: datetime) -> None:
    found = Fields({"at": value}).moment("at")

    assert found == time
    assert found is not None
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "value", ["yesterday", 10**25, -(10**25), "0001-01-01T00:00:00+05:00", True, [1], 1.5]
)
def test_what_is_no_time_is_kept(value: object) -> None:
    fields = Fields({"at": value})

    assert fields.moment("at") is None
    assert fields.undecoded == {"at": value}


def test_objects_are_unwrapped_and_what_is_none_of_them_is_kept_under_its_dotted_name() -> None:
    fields = Fields(
        {"user": {"data": {"data": {"id": "1"}}}, "tag": "x", "list": [{"id": 2}, 3, None]}
    )

    assert fields.inner("user").id("id") == "1"
    assert not fields.inner("tag")
    assert not fields.inner("absent")
    assert [item.id("id") for item in fields.objects("list")] == ["2", None]
    assert fields.undecoded == {"tag": "x", "list[1]": 3}


def test_a_list_may_be_wrapped_or_a_single_object() -> None:
    fields = Fields({"a": {"data": [1]}, "b": {"id": "1"}, "c": "x"})

    assert (fields.items("a"), fields.items("b"), fields.items("c"), fields.items("d")) == (
        [1],
        [{"id": "1"}],
        [],
        [],
    )
    assert fields.undecoded == {"c": "x"}


def test_a_probe_keeps_nothing() -> None:
    fields = Fields({"id": []})

    assert fields.probe().id("id") is None
    assert fields.undecoded == {}


def test_what_is_no_object_at_all_has_no_fields_and_is_kept() -> None:
    assert Fields([1]).undecoded == {"payload": [1]}
    assert Fields(None).undecoded == {}
    assert Fields("x", path="filter").undecoded == {"filter": "x"}


@given(JSON)
def test_reading_any_value_as_anything_never_raises(value: object) -> None:
    fields = Fields({"x": value})

    assert fields.id("x") is None or isinstance(fields.id("x"), str)
    for read in (
        fields.text,
        fields.flag,
        fields.number,
        fields.moment,
        fields.items,
        fields.objects,
    ):
        read("x")
    assert isinstance(fields.inner("x").undecoded, dict)


def test_a_time_outside_the_calendar_is_none() -> None:
    assert to_utc(datetime.fromisoformat("0001-01-01T00:00:00+05:00")) is None
