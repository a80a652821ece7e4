"""A call that may be made again is made again after each step of its ladder."""

from __future__ import annotations

import pytest

from botkit.errors import ServerError, TransportError
from botkit.sandbox.harness.clock import SeededEntropy
from botkit.waiting.backoff import JITTER, Ladder
from botkit.waiting.retry import retry
from tests.unit.runtime.writing import SkippingClock

LADDER = Ladder(steps_s=(1.0, 4.0), jitter=JITTER)


class Call:
    """Fails as planned, then returns "done"."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.made = 0

    async def __call__(self) -> str:
        self.made += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"


def unreachable() -> TransportError:
    return TransportError("no route", request="GET /x")


async def test_a_call_that_succeeds_is_made_once() -> None:
    clock, call = SkippingClock(), Call()
    assert await retry(call, TransportError, ladder=LADDER, clock=clock) == "done"
    assert (call.made, clock.slept) == (1, [])


async def test_a_call_is_made_again_after_each_step() -> None:
    clock, call = SkippingClock(), Call(unreachable(), unreachable())
    assert await retry(call, TransportError, ladder=LADDER, clock=clock) == "done"
    assert clock.slept == [1.0, 4.0]


async def test_the_error_of_the_last_try_comes_out() -> None:
    clock, last = SkippingClock(), unreachable()
    call = Call(unreachable(), unreachable(), last)
    with pytest.raises(TransportError) as caught:
        await retry(call, TransportError, ladder=LADDER, clock=clock)
    assert caught.value is last
    assert call.made == 3


async def test_another_error_is_raised_at_once() -> None:
    clock, call = SkippingClock(), Call(unreachable())
    with pytest.raises(TransportError):
        await retry(call, ServerError, ladder=LADDER, clock=clock)
    assert (call.made, clock.slept) == (1, [])


async def test_with_entropy_the_steps_have_their_jitter() -> None:
    clock, call = SkippingClock(), Call(unreachable(), unreachable())
    await retry(call, TransportError, ladder=LADDER, clock=clock, entropy=SeededEntropy())
    twin = SeededEntropy()
    assert clock.slept == [LADDER.wait_s(0, twin), LADDER.wait_s(1, twin)]
