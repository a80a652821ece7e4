"""The rules of every attempt to log in: used once, in time, and repeated only where that is safe."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from botkit.client.signin.attempt import SingleUse, exchange, persist, persist_after_grant
from botkit.errors import (
    AuthError,
    AuthorizationDenied,
    LoginExpired,
    OutcomeUnknown,
    StateMismatch,
    StoreUnavailable,
    TransportError,
)
from botkit.sandbox.harness.clock import VirtualClock
from tests.unit.client.fakes import json_answer

if TYPE_CHECKING:
    from collections.abc import Callable


def denies() -> str:
    raise AuthorizationDenied("no")


def mismatches() -> str:
    raise StateMismatch("of another attempt")


async def test_an_attempt_may_be_ended_until_its_ten_minutes_are_over() -> None:
    clock = VirtualClock()
    once = SingleUse(clock)
    await clock.advance(599.9)
    assert not once.is_over
    assert once.use_up("redirect", lambda: "code").reveal() == "code"
    assert once.is_over
    late = SingleUse(clock)
    await clock.advance(600.0)
    assert late.is_over
    with pytest.raises(LoginExpired) as expired:
        late.use_up("redirect", lambda: "code")
    assert expired.value.hint == "Start again."


@pytest.mark.parametrize(("read", "ends"), [(denies, True), (mismatches, False)])
async def test_a_person_who_declines_ends_an_attempt_and_a_strange_redirect_does_not(
    read: Callable[[], str], *, ends: bool
) -> None:
    once = SingleUse(VirtualClock())
    with pytest.raises(AuthorizationDenied if ends else StateMismatch):
        once.use_up("redirect", read)
    assert once.is_over is ends
    if ends:
        with pytest.raises(StateMismatch, match="ended by an earlier PIN"):
            once.use_up("PIN", lambda: "1")
    else:
        assert once.use_up("PIN", lambda: "1").reveal() == "1"


class Failing:
    """A call that fails for ever, and when it was made."""

    def __init__(self, clock: VirtualClock, error: Exception) -> None:
        self._clock = clock
        self._error = error
        self.at_s: list[float] = []

    async def __call__(self) -> Any:
        self.at_s.append(self._clock.monotonic())
        raise self._error


async def ended(clock: VirtualClock, running: Any) -> BaseException | None:
    task = asyncio.get_running_loop().create_task(running)
    await clock.advance(2000.0)
    return task.exception()


async def test_before_x_has_granted_anything_a_call_is_repeated_for_less_than_four_seconds() -> (
    None
):
    clock = VirtualClock()
    call = Failing(clock, TransportError("refused"))
    assert isinstance(await ended(clock, persist(clock, call, TransportError)), TransportError)
    assert call.at_s == [0.0, 0.25, 0.75, 1.75, 3.75]


async def test_after_a_grant_a_call_is_repeated_for_longer_than_a_rate_window_and_said_once() -> (
    None
):
    clock = VirtualClock()
    call = Failing(clock, StoreUnavailable("disk full"))
    with capture_logs() as lines:
        error = await ended(clock, persist_after_grant(clock, call, StoreUnavailable))
    assert isinstance(error, StoreUnavailable)
    assert call.at_s[:8] == [0.0, 0.25, 0.75, 1.75, 3.75, 7.75, 15.75, 30.75]
    assert {
        after - before for before, after in zip(call.at_s[7:], call.at_s[8:], strict=False)
    } == {30.0}
    assert call.at_s[-1] == 960.75
    assert [line["event"] for line in lines] == ["login.not_stored_yet"]


@pytest.mark.parametrize("patiently", [persist, persist_after_grant])
async def test_an_error_that_may_have_done_something_is_never_repeated(patiently: Any) -> None:
    clock = VirtualClock()
    call = Failing(clock, StateMismatch("no"))
    assert isinstance(await ended(clock, patiently(clock, call, TransportError)), StateMismatch)
    assert call.at_s == [0.0]


@pytest.mark.parametrize(
    ("error", "becomes", "calls"),
    [
        (OutcomeUnknown("lost", kind="reset"), AuthError, 1),
        (TransportError("303", kind="redirect", hint="Look."), AuthError, 1),
        (TransportError("refused", kind="connect"), TransportError, 5),
    ],
)
async def test_what_works_only_once_is_sent_again_only_if_it_surely_did_not_leave(
    error: Exception, becomes: type[Exception], calls: int
) -> None:
    clock = VirtualClock()
    call = Failing(clock, error)
    found = await ended(clock, exchange(clock, call, lost="The answer was lost."))
    assert type(found) is becomes
    assert len(call.at_s) == calls


async def test_an_answer_to_what_works_only_once_comes_back_as_it_is() -> None:
    answer = json_answer(400, {})

    async def send() -> Any:
        return answer

    assert await exchange(VirtualClock(), send, lost="lost") is answer
