"""No call leaves that X has announced to refuse; other calls go on."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.client.api.limiter import Limiter
from botkit.errors import Parked
from botkit.protocol.api.responses import RateWindow, Response
from botkit.sandbox.harness.clock import SeededEntropy, VirtualClock

POST = ("createPosts", "1999")
READ = ("getUsersMentions", "1999")


def limiter_on(clock: VirtualClock) -> Limiter:
    return Limiter(clock=clock, entropy=SeededEntropy())


def said(
    clock: VirtualClock,
    remaining: int,
    *,
    reset_s: float = 600,
    x_ahead: timedelta = timedelta(0),
    day: bool = False,
) -> Response:
    theirs = clock.now() + x_ahead
    window = RateWindow(limit=100, remaining=remaining, reset=theirs + timedelta(seconds=reset_s))
    if day:
        return Response(status=200, day_window=window, date=theirs)
    return Response(status=200, window=window, date=theirs)


async def call(limiter: Limiter, key: tuple[str, str], response: Response | None = None) -> None:
    await limiter.enter(key)
    if response is not None:
        limiter.note(key, response)
    limiter.leave(key)


async def refused(limiter: Limiter, key: tuple[str, str]) -> Parked:
    with pytest.raises(Parked) as caught:
        await limiter.enter(key)
    return caught.value


async def test_a_used_up_window_parks_until_its_reset_and_only_its_own_calls() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    await call(limiter, POST, said(clock, 0))
    parked = await refused(limiter, POST)
    assert parked.waiting_for == "rate"
    assert parked.until is not None
    assert timedelta(seconds=600) < parked.until - clock.now() <= timedelta(seconds=602)
    await call(limiter, READ)
    await call(limiter, ("createPosts", "7"))
    await clock.advance(603.0)
    await call(limiter, POST)


async def test_of_what_waited_for_a_window_no_more_leaves_than_the_next_one_holds() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    await call(limiter, POST, said(clock, 0))
    await clock.advance(603.0)
    for _ in range(100):
        await limiter.enter(POST)
    parked = await refused(limiter, POST)
    assert parked.until is not None
    assert parked.until - clock.now() <= timedelta(seconds=60)
    limiter.note(POST, said(clock, 0, reset_s=-3))  # an answer of the window before
    limiter.leave(POST)
    await refused(limiter, POST)
    limiter.note(POST, said(clock, 99, reset_s=900))
    limiter.leave(POST)
    await call(limiter, POST)


async def test_an_answer_that_comes_late_does_not_bring_back_the_window_before() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    late = said(clock, 50, reset_s=20)
    await call(limiter, POST, said(clock, 0, reset_s=900))
    limiter.note(POST, late)
    parked = await refused(limiter, POST)
    assert parked.until is not None
    assert parked.until - clock.now() > timedelta(seconds=890)


async def test_a_window_that_nobody_tells_of_again_is_forgotten() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    await call(limiter, POST, said(clock, 0))
    await clock.advance(603.0)
    for _ in range(100):
        await call(limiter, POST)
    await refused(limiter, POST)
    await clock.advance(60.0)
    for _ in range(101):
        await call(limiter, POST)


async def test_a_reset_within_seconds_is_awaited_in_place() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    await call(limiter, POST, said(clock, 0, reset_s=2))
    entering = asyncio.get_running_loop().create_task(limiter.enter(POST))
    await clock.advance(1.9)
    assert not entering.done()
    await clock.advance(2.5)
    assert entering.done()


async def test_calls_under_way_count_before_their_answers_come() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    await call(limiter, POST, said(clock, 3))
    for _ in range(3):
        await limiter.enter(POST)
    await refused(limiter, POST)


async def test_the_first_answer_of_a_window_takes_off_what_is_under_way() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    for _ in range(5):
        await limiter.enter(POST)
    limiter.note(POST, said(clock, 4))
    limiter.leave(POST)
    await refused(limiter, POST)


async def test_answers_that_overtake_each_other_do_not_give_calls_back() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    await call(limiter, POST, said(clock, 1))
    await call(limiter, POST, said(clock, 5))
    await refused(limiter, POST)


@pytest.mark.parametrize("day", [False, True])
async def test_resets_a_second_apart_are_one_window_and_two_seconds_make_another(
    *, day: bool
) -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    await call(limiter, POST, said(clock, 1, day=day))
    limiter.note(POST, said(clock, 0, reset_s=599, day=day))
    await refused(limiter, POST)
    limiter.note(POST, said(clock, 50, reset_s=601, day=day))
    await refused(limiter, POST)
    limiter.note(POST, said(clock, 50, reset_s=602, day=day))
    await call(limiter, POST)


async def test_the_answer_of_an_older_window_changes_nothing() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    await call(limiter, POST, said(clock, 0, reset_s=900))
    limiter.note(POST, said(clock, 50, reset_s=100))
    await refused(limiter, POST)
    limiter.note(POST, said(clock, 50, reset_s=1000))
    await call(limiter, POST)


@pytest.mark.parametrize("x_ahead", [timedelta(hours=3), timedelta(hours=-3)])
async def test_the_reset_is_judged_by_xs_clock_not_by_ours(x_ahead: timedelta) -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    await call(limiter, POST, said(clock, 0, x_ahead=x_ahead))
    await refused(limiter, POST)
    await clock.advance(603.0)
    await call(limiter, POST)


async def test_a_wall_clock_that_jumps_changes_no_wait() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    await call(limiter, POST, said(clock, 0))
    clock.set(datetime(1970, 1, 1, tzinfo=clock.now().tzinfo))
    await refused(limiter, POST)
    await clock.advance(603.0)
    await call(limiter, POST)


@pytest.mark.parametrize("reset_s", [-100, 0, 10 * 365 * 86400])
async def test_a_window_that_ends_in_the_past_or_in_ten_years_is_no_window(reset_s: float) -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    await call(limiter, POST, said(clock, 0, reset_s=reset_s))
    await call(limiter, POST)


async def test_a_window_of_a_day_with_some_minutes_is_the_longest_that_there_is() -> None:
    longest_s = 24 * 3600 + 5 * 60
    for reset_s, holds in ((longest_s, True), (longest_s + 1, False)):
        clock = VirtualClock()
        limiter = limiter_on(clock)
        await call(limiter, POST, said(clock, 0, reset_s=reset_s))
        if holds:
            await refused(limiter, POST)
        else:
            await call(limiter, POST)


async def test_the_daily_window_counts_beside_the_short_one() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    await call(limiter, POST, said(clock, 50))
    await call(limiter, POST, said(clock, 0, reset_s=20 * 3600, day=True))
    await clock.advance(timedelta(hours=1))
    await refused(limiter, POST)
    await clock.advance(timedelta(hours=20))
    await call(limiter, POST)


async def test_a_429_waits_until_x_says() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    limiter.limited(POST, clock.now() + timedelta(seconds=30))
    parked = await refused(limiter, POST)
    assert parked.until is not None
    assert 30 < (parked.until - clock.now()).total_seconds() <= 32
    await call(limiter, READ)
    await clock.advance(33.0)
    await call(limiter, POST)


async def test_a_429_that_names_an_earlier_time_than_the_one_before_shortens_nothing() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    limiter.limited(POST, clock.now() + timedelta(seconds=100))
    for earlier_s in (10, -10):
        limiter.limited(POST, clock.now() + timedelta(seconds=earlier_s))
        parked = await refused(limiter, POST)
        assert parked.until is not None
        assert (parked.until - clock.now()).total_seconds() > 100


async def test_429s_without_a_time_wait_60_seconds_doubling_up_to_15_minutes() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    waits = []
    for _ in range(7):
        limiter.limited(POST, None)
        parked = await refused(limiter, POST)
        assert parked.until is not None
        waits.append(round((parked.until - clock.now()).total_seconds() / 60))
        await clock.advance(parked.until - clock.now())
    assert waits == [1, 2, 4, 8, 15, 15, 15]
    await call(limiter, POST, said(clock, 10))
    limiter.limited(POST, None)
    parked = await refused(limiter, POST)
    assert parked.until is not None
    assert (parked.until - clock.now()).total_seconds() < 63


async def test_without_credit_nothing_of_the_owner_leaves_for_a_growing_while() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    waits = []
    for _ in range(4):
        until = limiter.no_credit("1999")
        parked = await refused(limiter, READ)
        assert (parked.waiting_for, parked.until) == ("credits", until)
        waits.append(round((until - clock.now()).total_seconds() / 60))
        await call(limiter, ("createPosts", "7"))
        await clock.advance(until - clock.now())
    assert waits == [15, 30, 60, 60]
    await call(limiter, READ, said(clock, 10))
    assert limiter.no_credit("1999") - clock.now() == timedelta(minutes=15)


async def test_refusals_of_calls_side_by_side_are_one_lack_of_credit() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    until = limiter.no_credit("1999")
    await clock.advance(0.5)
    assert limiter.no_credit("1999") == until


async def test_the_quick_way_in_counts_a_call_as_the_slow_one_does() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    assert not limiter.enter_nowait(POST), "nothing is known of it yet"
    await call(limiter, POST, said(clock, 2))
    await call(limiter, POST, said(clock, 2, reset_s=20 * 3600, day=True))
    assert limiter.enter_nowait(POST)
    assert not limiter.enter_nowait(POST), "one call was taken off by the slow way"
    await refused(limiter, POST)
    limiter.leave(POST)
    for _ in range(3):
        await limiter.enter(READ)
        assert limiter.enter_nowait(READ)
    limiter.note(READ, said(clock, 6))  # five of the six are still under way
    assert limiter.enter_nowait(READ)
    await refused(limiter, READ)


async def test_the_quick_way_in_lets_in_as_many_calls_as_the_window_has_left() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    await call(limiter, READ, said(clock, 3))
    assert [limiter.enter_nowait(READ) for _ in range(5)] == [True, True, True, False, False]
    await refused(limiter, READ)


async def test_the_quick_way_in_is_shut_while_a_429_or_a_lack_of_credit_holds_anybody() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    await call(limiter, POST, said(clock, 50))
    await call(limiter, READ, said(clock, 50))
    limiter.limited(POST, clock.now() + timedelta(seconds=30))
    assert not limiter.enter_nowait(POST)
    assert limiter.enter_nowait(READ)
    await clock.advance(33.0)
    await call(limiter, POST)
    assert limiter.enter_nowait(POST)
    limiter.no_credit("7")
    assert not limiter.enter_nowait(READ)
    await call(limiter, READ)


async def test_ready_takes_nothing_off() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    await call(limiter, POST, said(clock, 1))
    for _ in range(5):
        await limiter.ready(POST)
    await limiter.enter(POST)
    with pytest.raises(Parked):
        await limiter.ready(POST)


async def test_what_is_known_of_thousands_of_owners_is_forgotten_when_it_is_over() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    for number in range(5000):
        await call(limiter, ("createPosts", str(number)), said(clock, 5, reset_s=60))
        await clock.advance(1.0)
    assert len(limiter._lanes) < 2100


async def test_what_still_holds_calls_back_outlives_thousands_of_owners_that_do_not() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock)
    await call(limiter, READ, said(clock, 50, reset_s=30))
    await call(limiter, READ, said(clock, 0, reset_s=20 * 3600, day=True))
    limiter.limited(POST, clock.now() + timedelta(hours=2))
    under_way = ("createPosts", "7")
    for _ in range(5):
        await limiter.enter(under_way)
    await clock.advance(60.0)
    for number in range(10_000, 11_500):
        await call(limiter, ("createPosts", str(number)))
    assert len(limiter._lanes) < 1000, "what has ended is forgotten"
    await refused(limiter, READ)
    await refused(limiter, POST)
    limiter.note(under_way, said(clock, 4))
    limiter.leave(under_way)
    await refused(limiter, under_way)


def test_leaving_without_having_entered_is_harmless() -> None:
    limiter = limiter_on(VirtualClock())
    limiter.leave(POST)
    limiter.note(POST, said(VirtualClock(), 5))
    limiter.leave(POST)


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 9), st.floats(0.1, 300)),
        max_size=40,
    )
)
def test_once_a_window_was_heard_of_no_call_beyond_it_leaves(
    moves: list[tuple[int, int, float]],
) -> None:
    """X's window holds 20 calls in 900 s; answers come late and in any order."""

    async def run() -> None:
        clock = VirtualClock()
        limiter = limiter_on(clock)
        ends_s, used, heard = 0.0, 0, False
        under_way: list[tuple[float, int]] = []
        for calls, answers, pause_s in moves:
            for _ in range(calls):
                entering = asyncio.get_running_loop().create_task(_entered(limiter))
                await clock.advance(6.0)
                if not await entering:
                    continue
                if clock.monotonic() >= ends_s:
                    ends_s, used, heard = clock.monotonic() + 900, 0, False
                assert used < 20 or not heard
                used += 1
                under_way.append((ends_s, max(20 - used, 0)))
            for _ in range(min(answers, len(under_way))):
                reset_s, left = under_way.pop(answers % len(under_way))
                limiter.note(POST, said(clock, left, reset_s=reset_s - clock.monotonic()))
                limiter.leave(POST)
                heard = heard or reset_s == ends_s
            await clock.advance(pause_s)

    asyncio.run(run())


async def _entered(limiter: Limiter) -> bool:
    try:
        await limiter.enter(POST)
    except Parked:
        return False
    return True
