from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.protocol.api.rate_limits import (
    LONGEST_PENALTY,
    RateWindow,
    penalty,
    read_date,
    read_day_window,
    read_retry_after,
    read_window,
    retry_at,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def http_date(moment: datetime) -> str:
    return moment.strftime("%a, %d %b %Y %H:%M:%S GMT")


def window(
    span: timedelta, *, remaining: int | str = 0, prefix: str = "x-rate-limit", limit: str = "100"
) -> dict[str, str]:
    return {
        f"{prefix}-limit": limit,
        f"{prefix}-remaining": str(remaining),
        f"{prefix}-reset": str(int((NOW + span).timestamp())),
    }


SHORT, DAY_APP, DAY_USER = "x-rate-limit", "x-app-limit-24hour", "x-user-limit-24hour"


def test_a_window_is_read_as_x_sends_it() -> None:
    headers = {
        "x-rate-limit-limit": "75",
        "x-rate-limit-remaining": "74",
        "x-rate-limit-reset": "1651929086",
    }
    assert read_window(headers) == RateWindow(
        limit=75, remaining=74, reset=datetime(2022, 5, 7, 13, 11, 26, tzinfo=UTC)
    )
    assert read_day_window(headers) is None


@pytest.mark.parametrize("part", ["limit", "remaining", "reset"])
@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "٣", "9" * 5000, None])
def test_a_window_with_a_part_that_cannot_be_read_is_none(part: str, value: str | None) -> None:
    headers = window(timedelta(minutes=5))
    del headers[f"x-rate-limit-{part}"]
    if value is not None:
        headers[f"x-rate-limit-{part}"] = value
    assert read_window(headers) is None


def test_a_reset_beyond_the_calendar_is_none() -> None:
    assert read_window(window(timedelta()) | {"x-rate-limit-reset": "9" * 17}) is None


def test_of_two_daily_windows_the_tighter_one_counts() -> None:
    app = window(timedelta(hours=3), remaining=5, prefix=DAY_APP)
    user = window(timedelta(hours=2), remaining=1, prefix=DAY_USER)
    found = read_day_window(app | user)
    assert found is not None
    assert found.remaining == 1
    assert read_day_window(app) == read_window(app, DAY_APP)
    later = read_day_window(app | window(timedelta(hours=2), remaining=5, prefix=DAY_USER))
    assert later is not None
    assert later.reset == NOW + timedelta(hours=3)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Sat, 21 Nov 2026 12:00:00 GMT", NOW),
        ("Sat, 21 Nov 2026 13:00:00 +0100", NOW),
        ("Sat, 21 Nov 2026 12:00:00 -0000", NOW),
        ("yesterday", None),
        ("", None),
        ("Sat, 99 Nov 2026 12:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
    ],
)
def test_the_date_is_xs_clock(value: str, expected: datetime | None) -> None:
    assert read_date({"date": value}) == expected
    assert read_date({}) is None


@given(st.text())
def test_no_date_makes_the_reader_raise(value: str) -> None:
    date = read_date({"date": value})
    assert date is None or date.tzinfo is not None
    span = read_retry_after({"retry-after": value}, now=NOW)
    assert span is None or span >= timedelta(0)


@pytest.mark.parametrize(
    ("value", "span"),
    [
        ("30", timedelta(seconds=30)),
        (" 30 ", timedelta(seconds=30)),
        ("86400", timedelta(days=1)),
        ("0", None),
        ("-5", None),
        ("86401", None),
        ("9" * 18, None),
        ("9" * 50, None),
        ("soon", None),
        (http_date(NOW + timedelta(minutes=2)), timedelta(minutes=2)),
        (http_date(NOW), None),
        (http_date(NOW - timedelta(minutes=2)), None),
        (http_date(NOW + timedelta(days=2)), None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(value: str, span: timedelta | None) -> None:
    assert read_retry_after({"retry-after": value}, now=NOW) == span


def test_a_retry_after_date_is_measured_by_xs_clock() -> None:
    headers = {
        "retry-after": http_date(NOW + timedelta(hours=5, minutes=1)),
        "date": http_date(NOW + timedelta(hours=5)),
    }
    assert read_retry_after(headers, now=NOW) == timedelta(minutes=1)


@pytest.mark.parametrize(
    ("headers", "span"),
    [
        (window(timedelta(seconds=30)), timedelta(seconds=30)),
        ({}, None),
        (window(timedelta(seconds=-5)), None),
        (window(timedelta()), None),
        (window(timedelta(days=3650)), None),
        (window(timedelta(minutes=5), remaining=3), None),
        ({"x-rate-limit-reset": "soon"}, None),
        (
            window(timedelta(minutes=5), remaining=3)
            | window(timedelta(hours=9), prefix=DAY_USER),
            timedelta(hours=9),
        ),
        (
            window(timedelta(minutes=5)) | window(timedelta(hours=9), prefix=DAY_APP),
            timedelta(hours=9),
        ),
        (
            window(timedelta(minutes=5)) | window(timedelta(hours=9), remaining=1, prefix=DAY_APP),
            timedelta(minutes=5),
        ),
        (
            window(timedelta(minutes=5)) | window(timedelta(days=3650), prefix=DAY_APP),
            timedelta(minutes=5),
        ),
        ({"retry-after": "45"}, timedelta(seconds=45)),
        (window(timedelta(seconds=30)) | {"retry-after": "45"}, timedelta(seconds=45)),
        (window(timedelta(seconds=30), remaining="?"), timedelta(seconds=30)),
    ],
)
def test_after_a_429_the_latest_reset_of_what_is_used_up_counts(
    headers: dict[str, str], span: timedelta | None
) -> None:
    assert retry_at(headers, now=NOW) == (None if span is None else NOW + span)


@given(
    offset=st.timedeltas(min_value=timedelta(days=-3650), max_value=timedelta(days=3650)),
    left=st.integers(min_value=1, max_value=86400),
)
def test_a_wrong_clock_of_ours_changes_nothing(offset: timedelta, left: int) -> None:
    headers = window(timedelta(seconds=left)) | {"date": http_date(NOW)}
    assert retry_at(headers, now=NOW + offset) == NOW + offset + timedelta(seconds=left)


def test_without_an_answer_the_wait_is_60_s_doubling_to_15_min() -> None:
    waits = [penalty(count).total_seconds() for count in range(8)]
    assert waits == [60, 60, 120, 240, 480, 900, 900, 900]


@given(st.integers())
def test_no_count_makes_the_wait_longer_than_15_min(count: int) -> None:
    assert timedelta(seconds=60) <= penalty(count) <= LONGEST_PENALTY
