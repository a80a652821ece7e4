"""What X's ids are, and the time that they hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from botkit.protocol.api.ids import is_id, snowflake_at, snowflake_time


def test_an_id_tells_when_it_was_made() -> None:
    """The id and the `created_at` of X's sample of a mention."""
    made = snowflake_time("2080765813578191303")

    assert made is not None
    assert made.replace(microsecond=0) == datetime(2026, 7, 24, 21, 23, 23, tzinfo=UTC)


def test_the_lowest_and_the_highest_id_that_hold_a_time_tell_it() -> None:
    assert snowflake_time(str(1 << 36)) == datetime(2010, 11, 4, 1, 43, 11, 41_000, tzinfo=UTC)
    assert snowflake_time(str((1 << 63) - 1)) is not None
    assert snowflake_time(str((1 << 36) - 1)) is None
    assert snowflake_time(str(1 << 63)) is None


def test_the_lowest_id_of_a_time_is_the_first_that_holds_it() -> None:
    at = datetime(2026, 7, 24, 21, 23, 23, 5_000, tzinfo=UTC)
    lowest = snowflake_at(at)
    assert snowflake_time(str(lowest)) == at
    assert snowflake_time(str(lowest - 1)) == at - timedelta(milliseconds=1)
    assert snowflake_at(datetime(2010, 1, 1, tzinfo=UTC)) == 0


@pytest.mark.parametrize("an_id", ["", "20", "abc", "٣٣٣٣٣٣٣٣٣٣٣٣٣٣٣", "9" * 19, "9" * 400, "-5"])
def test_an_id_that_does_not_tell_gives_no_time(an_id: str) -> None:
    assert snowflake_time(an_id) is None


@pytest.mark.parametrize(
    ("text", "is_one"), [("20", True), ("9" * 19, True), ("", False), ("1,2", False), ("²", False)]
)
def test_an_id_is_up_to_19_digits(text: str, *, is_one: bool) -> None:
    assert is_id(text) is is_one
