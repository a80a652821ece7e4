"""A ladder says how long to wait after each failure; a backoff counts the failures of one caller."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.sandbox.harness.clock import SeededEntropy
from botkit.waiting.backoff import JITTER, Backoff, Ladder

spans = st.floats(min_value=0.001, max_value=100_000.0)
steps = st.lists(spans, min_size=1, max_size=12).map(lambda found: tuple(sorted(found)))


@given(steps, st.integers(min_value=0, max_value=100))
def test_each_failure_has_its_step_and_the_last_step_stays(
    steps_s: tuple[float, ...], failures: int
) -> None:
    ladder = Ladder(steps_s=steps_s)
    expected = steps_s[failures] if failures < len(steps_s) else ladder.cap_s
    assert ladder.step_s(failures) == expected


@given(steps, st.integers(min_value=0, max_value=100), st.text(max_size=5))
def test_a_wait_stays_within_its_jitter(
    steps_s: tuple[float, ...], failures: int, seed: str
) -> None:
    ladder = Ladder(steps_s=steps_s, jitter=JITTER)
    step_s = ladder.step_s(failures)
    low, high = JITTER
    assert step_s * low <= ladder.wait_s(failures, SeededEntropy(seed)) <= step_s * high


@given(steps, st.integers(min_value=0, max_value=100), st.text(max_size=5))
def test_without_jitter_a_wait_is_its_step(
    steps_s: tuple[float, ...], failures: int, seed: str
) -> None:
    ladder = Ladder(steps_s=steps_s)
    assert ladder.wait_s(failures, SeededEntropy(seed)) == ladder.step_s(failures)


@given(spans, spans)
def test_a_doubling_ladder_doubles_up_to_its_cap(first_s: float, cap_s: float) -> None:
    ladder = Ladder.doubling(first_s, cap_s=cap_s)
    *before, last_s = ladder.steps_s
    assert last_s == cap_s
    assert all(later == 2 * earlier for earlier, later in itertools.pairwise(before))
    assert all(step_s < cap_s for step_s in before)
    if before:
        assert before[0] == first_s
        assert before[-1] * 2 >= cap_s


def test_a_doubling_ladder_is_the_power_of_two_of_the_failures() -> None:
    ladder = Ladder.doubling(2.0, cap_s=60.0, jitter=JITTER)
    assert [ladder.step_s(n) for n in range(8)] == [min(2.0 * 2**n, 60.0) for n in range(8)]
    assert ladder.jitter == JITTER


def test_a_ladder_without_a_step_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a step"):
        Ladder(steps_s=())


@given(steps, st.integers(min_value=0, max_value=20))
def test_a_backoff_climbs_the_ladder_and_starts_anew_after_a_reset(
    steps_s: tuple[float, ...], failures: int
) -> None:
    ladder = Ladder(steps_s=steps_s)
    backoff = Backoff(ladder, SeededEntropy())
    assert [backoff.next_s() for _ in range(failures)] == [
        ladder.step_s(n) for n in range(failures)
    ]
    assert backoff.failures == failures
    backoff.reset()
    assert backoff.failures == 0
    assert backoff.next_s() == ladder.step_s(0)
