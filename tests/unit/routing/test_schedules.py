from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.errors import WiringError
from botkit.routing.schedules import CatchUp, Schedule, cron_schedule, interval_schedule

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def cron(expression: str, tz: str = "UTC", **options: Any) -> Schedule:
    return cron_schedule("job", expression, tz=tz, **options)


def fires(schedule: Schedule, start: datetime, count: int) -> list[str]:
    """Local times and offsets of the first fires, each planned from the one before."""
    at = schedule.first_after(start)
    found = [at]
    while len(found) < count:
        due = schedule.due(at, now=at)
        assert due.times == (at,)
        at = due.next_at
        found.append(at)
    return [f"{each.astimezone(schedule.zone):%d %H:%M %z}" for each in found]


def test_cron_reads_the_clock_of_its_zone() -> None:
    assert fires(cron("0 8 * * *", "Europe/Berlin"), NOON, 2) == [
        "24 08:00 +0100",
        "25 08:00 +0100",
    ]
    assert cron("0 8 * * *", "Europe/Berlin").first_after(NOON) == datetime(
        2026, 11, 24, 7, tzinfo=UTC
    )
    assert fires(cron("0 8 * * 1-5"), NOON, 5)[-2:] == ["27 08:00 +0000", "30 08:00 +0000"]


def test_eight_in_the_morning_stays_eight_when_the_clocks_change() -> None:
    assert fires(cron("0 8 * * *", "Europe/Berlin"), datetime(2026, 3, 28, tzinfo=UTC), 2) == [
        "28 08:00 +0100",
        "29 08:00 +0200",
    ]
    assert fires(cron("0 8 * * *", "Europe/Berlin"), datetime(2026, 10, 24, tzinfo=UTC), 2) == [
        "24 08:00 +0200",
        "25 08:00 +0100",
    ]


def test_a_time_that_the_change_leaves_out_runs_right_after_it_and_once() -> None:
    spring = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert fires(cron("30 2 * * *", "Europe/Berlin"), spring, 3) == [
        "29 03:00 +0200",
        "30 02:30 +0200",
        "31 02:30 +0200",
    ]
    assert fires(cron("0,30 2 * * *", "Europe/Berlin"), spring, 2)[:2] == [
        "29 03:00 +0200",
        "30 02:00 +0200",
    ]


def test_a_time_that_comes_twice_runs_once() -> None:
    autumn = datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert fires(cron("30 2 * * *", "Europe/Berlin"), autumn, 2) == [
        "25 02:30 +0200",
        "26 02:30 +0100",
    ]
    between = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 02:10, for the second time
    assert fires(cron("30 2 * * *", "Europe/Berlin"), between, 1) == ["26 02:30 +0100"]


def test_a_job_of_every_hour_follows_real_time() -> None:
    autumn = datetime(2026, 10, 25, 0, 0, 1, tzinfo=UTC)
    assert fires(cron("0 * * * *", "Europe/Berlin"), autumn, 3) == [
        "25 02:00 +0100",
        "25 03:00 +0100",
        "25 04:00 +0100",
    ]
    spring = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
    assert fires(cron("0 * * * *", "Europe/Berlin"), spring, 3) == [
        "29 01:00 +0100",
        "29 03:00 +0200",
        "29 04:00 +0200",
    ]


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("0 8 * *", "five fields.*has 4"),
        ("0 0 8 * * *", "five fields.*has 6"),
        ("@daily", "five fields"),
        ("61 * * * *", "the minute '61' is wrong; it is 0 to 59"),
        ("0 8 * * FOO", "the day-of-week 'FOO' is wrong; it is 0 to 7"),
        ("0 0 30 2 *", "the day-of-month '30' is wrong"),
    ],
)
def test_a_wrong_expression_is_refused_with_what_is_wrong(expression: str, why: str) -> None:
    with pytest.raises(WiringError, match=why):
        cron(expression)


@pytest.mark.parametrize("zone", ["Europe/Bärlin", "", "../etc/passwd", "Europe"])
def test_a_zone_that_does_not_exist_is_refused(zone: str) -> None:
    with pytest.raises(WiringError, match="no time zone"):
        cron("0 8 * * *", zone)


@pytest.mark.parametrize(
    "options", [{"catch_up": "some"}, {"max_late": -MINUTE}, {"max_late": 60}]
)
def test_a_wrong_option_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(WiringError, match="job: "):
        cron("0 8 * * *", **options)
    with pytest.raises(WiringError, match="job: "):
        interval_schedule("job", 60, **options)


@pytest.mark.parametrize("interval", [0, -5, 0.5, timedelta(milliseconds=999)])
def test_an_interval_below_a_second_is_refused(interval: Any) -> None:
    with pytest.raises(WiringError, match="shortest"):
        interval_schedule("job", interval)


@pytest.mark.parametrize("interval", ["5 min", None, float("nan"), 1e300])
def test_an_interval_is_a_span_or_seconds(interval: Any) -> None:
    with pytest.raises(WiringError, match="timedelta or seconds"):
        interval_schedule("job", interval)


def test_an_interval_counts_from_the_first_start() -> None:
    job = interval_schedule("job", timedelta(minutes=5))
    assert job == interval_schedule("job", 300)
    assert fires(job, NOON + timedelta(seconds=7, microseconds=5), 3) == [
        "23 12:05 +0000",
        "23 12:10 +0000",
        "23 12:15 +0000",
    ]
    assert job.first_after(NOON + timedelta(microseconds=5)) == NOON + 5 * MINUTE


def test_what_is_not_due_yet_fires_nothing() -> None:
    due = interval_schedule("job", 60).due(NOON, now=NOON - timedelta(seconds=1))
    assert (due.times, due.next_at) == ((), NOON)


def test_skip_fires_what_is_hardly_late_and_no_more() -> None:
    job = cron("0 8 * * *")
    planned = datetime(2026, 11, 24, 8, tzinfo=UTC)
    on_time = job.due(planned, now=planned + MINUTE)
    assert (on_time.times, on_time.next_at) == ((planned,), planned + timedelta(days=1))
    late = job.due(planned, now=planned + MINUTE + timedelta(seconds=1))
    assert (late.times, late.next_at) == ((), planned + timedelta(days=1))


def test_skip_after_a_long_time_goes_by_the_last_time() -> None:
    planned = datetime(2026, 11, 20, 8, tzinfo=UTC)
    last = datetime(2026, 11, 24, 8, tzinfo=UTC)
    due = cron("0 8 * * *").due(planned, now=last + timedelta(seconds=5))
    assert (due.times, due.next_at) == ((last,), last + timedelta(days=1))


def test_latest_fires_the_last_time_that_was_missed() -> None:
    planned = datetime(2026, 11, 20, 8, tzinfo=UTC)
    last = datetime(2026, 11, 24, 8, tzinfo=UTC)
    job = cron("0 8 * * *", catch_up="latest")
    assert job.due(planned, now=last + 9 * HOUR).times == (last,)
    bounded = cron("0 8 * * *", catch_up="latest", max_late=HOUR)
    assert bounded.due(planned, now=last + HOUR).times == (last,)
    assert bounded.due(planned, now=last + 2 * HOUR).times == ()


def test_all_fires_each_time_that_is_not_too_late() -> None:
    planned = datetime(2026, 11, 20, 8, tzinfo=UTC)
    now = datetime(2026, 11, 23, 9, tzinfo=UTC)
    job = cron("0 8 * * *", catch_up="all")
    assert job.due(planned, now=now).times == tuple(
        datetime(2026, 11, day, 8, tzinfo=UTC) for day in (20, 21, 22, 23)
    )
    bounded = cron("0 8 * * *", catch_up="all", max_late=timedelta(days=1, hours=1))
    due = bounded.due(planned, now=now)
    assert due.times == tuple(datetime(2026, 11, day, 8, tzinfo=UTC) for day in (22, 23))
    assert due.next_at == datetime(2026, 11, 24, 8, tzinfo=UTC)


def test_all_catches_up_in_batches() -> None:
    job = interval_schedule("job", 60, catch_up="all")
    now = NOON + 249 * MINUTE
    caught: list[datetime] = []
    batches: list[int] = []
    at = NOON
    while at <= now:
        due = job.due(at, now=now)
        caught += due.times
        batches.append(len(due.times))
        at = due.next_at
    assert batches == [100, 100, 50]
    assert caught == [NOON + minutes * MINUTE for minutes in range(250)]
    assert at == now + MINUTE


def test_a_tick_carries_its_time_in_the_zone() -> None:
    job = cron("0 8 * * *", "Europe/Berlin")
    tick = job.tick(datetime(2026, 7, 1, 6, tzinfo=UTC), account_id="1")
    assert f"{tick.at:%d %B %H:%M}" == "01 July 08:00"
    assert tick.at.tzinfo is BERLIN
    assert (tick.schedule, tick.account_id, tick.source) == ("job", "1", "schedule")


def test_the_spec_changes_with_what_was_asked_for() -> None:
    specs = {
        cron("0 8 * * *").spec,
        cron("0  8 * * *").spec,
        cron("0 9 * * *").spec,
        cron("0 8 * * *", "Europe/Berlin").spec,
        interval_schedule("job", 60).spec,
        interval_schedule("job", 60, catch_up="all").spec,
        interval_schedule("job", 61).spec,
    }
    assert len(specs) == 5


@pytest.mark.parametrize("jitter", [-1, timedelta(seconds=-1), "5 min", float("nan"), None])
def test_a_wrong_jitter_is_refused(jitter: Any) -> None:
    with pytest.raises(WiringError, match="job: jitter is"):
        cron("0 8 * * *", jitter=jitter)
    with pytest.raises(WiringError, match="job: jitter is"):
        interval_schedule("job", 60, jitter=jitter)


def test_a_jitter_longer_than_the_interval_is_refused() -> None:
    with pytest.raises(WiringError, match="longer than the interval"):
        interval_schedule("job", 60, jitter=61)
    assert interval_schedule("job", 60, jitter=60).jitter == MINUTE


def test_a_jitter_delays_each_time_and_account_by_another_part_and_always_by_the_same() -> None:
    job = cron("0 8 * * *", jitter=MINUTE)
    days = [NOON + timedelta(days=n) for n in range(100)]
    delays = [job.delay(day, account_id="1") for day in days]
    assert delays == [job.delay(day, account_id="1") for day in days]
    assert len({*delays, *(job.delay(day, account_id="2") for day in days)}) == 200
    assert min(delays) >= timedelta(0)
    assert max(delays) < MINUTE
    assert sum(delays, timedelta(0)) / len(delays) > timedelta(seconds=20)
    assert cron("0 8 * * *").delay(NOON, account_id="1") == timedelta(0)


def test_the_words_of_a_row_name_the_jitter_and_are_about_the_same_spec() -> None:
    plain, jittered = interval_schedule("job", 60), interval_schedule("job", 60, jitter=2.5)
    assert jittered.in_words == "every 60 s, up to 2.5 s later"
    assert plain.in_words == plain.spec == jittered.spec
    assert plain.is_in_words(jittered.in_words)
    assert jittered.is_in_words(plain.in_words)
    assert not jittered.is_in_words("every 6 s")


EXPRESSIONS = st.sampled_from(
    ["*/7 * * * *", "30 2 * * *", "0 */3 * * *", "15 1,2,3 * * *", "0 0 1 * *", "0 12 * * SUN"]
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"])
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
SCHEDULES = st.one_of(
    st.builds(cron, EXPRESSIONS, ZONES),
    st.builds(lambda seconds: interval_schedule("job", seconds), st.integers(1, 10**6)),
)
MODES: list[CatchUp] = ["skip", "latest", "all"]


@given(SCHEDULES, MOMENTS)
def test_times_lie_ahead_and_grow(schedule: Schedule, start: datetime) -> None:
    first = schedule.first_after(start)
    second = schedule.due(first, now=first).next_at
    assert start < first < second


@given(
    SCHEDULES, MOMENTS, st.timedeltas(timedelta(0), timedelta(hours=12)), st.sampled_from(MODES)
)
def test_however_long_it_slept_the_next_time_is_ahead_and_nothing_fires_early_or_twice(
    schedule: Schedule, start: datetime, slept: timedelta, mode: CatchUp
) -> None:
    job = Schedule(
        name="job",
        spec=schedule.spec,
        zone=schedule.zone,
        cron=schedule.cron,
        interval=schedule.interval,
        catch_up=mode,
    )
    planned = job.first_after(start)
    now = planned + slept
    due = job.due(planned, now=now)
    assert all(planned <= at <= now for at in due.times)
    assert list(due.times) == sorted(set(due.times))
    if mode == "all":
        assert due.times[0] == planned
        assert due.next_at > due.times[-1]
    else:
        assert len(due.times) <= 1
        assert due.next_at > now
    if mode == "latest":
        assert len(due.times) == 1


@given(SCHEDULES, MOMENTS, st.timedeltas(timedelta(0), timedelta(hours=3)))
def test_latest_is_the_last_of_all(schedule: Schedule, start: datetime, slept: timedelta) -> None:
    planned = schedule.first_after(start)
    now = planned + slept
    at, last = planned, planned
    for _ in range(20_000):
        if at > now:
            break
        last, at = at, schedule.due(at, now=at).next_at
    latest = Schedule(
        name="job",
        spec="",
        zone=schedule.zone,
        cron=schedule.cron,
        interval=schedule.interval,
        catch_up="latest",
    )
    assert latest.due(planned, now=now).times == (last,)
    assert latest.due(planned, now=now).next_at == at
