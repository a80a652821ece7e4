"""A suspended account sends nothing until a person acted; one write tries now and then."""

from __future__ import annotations

from datetime import timedelta

import pytest

from botkit.errors import Parked
from botkit.runtime.writes.checks.account_health import AccountHealth
from tests.unit.runtime.writing import ME, T0, SkippingClock


def test_an_account_that_nobody_stopped_may_send() -> None:
    health = AccountHealth(SkippingClock())
    health.check(ME)
    assert not health.works(ME)


def test_a_stopped_account_waits_for_an_hour() -> None:
    health = AccountHealth(SkippingClock())
    parked = health.stop(ME, "code 64")
    assert (parked.waiting_for, parked.until) == ("account", T0 + timedelta(hours=1))
    with pytest.raises(Parked) as raised:
        health.check(ME)
    assert raised.value.until == parked.until
    health.check("42")


def test_after_the_hour_one_write_tries_and_the_others_wait_for_it() -> None:
    clock = SkippingClock()
    health = AccountHealth(clock)
    health.stop(ME, "code 64")
    clock.move(3600)
    health.check(ME)
    with pytest.raises(Parked) as raised:
        health.check(ME)
    assert raised.value.until == clock.now() + timedelta(minutes=2)
    clock.move(120)
    health.check(ME)


def test_it_works_again_once_it_did_and_says_both() -> None:
    said: list[tuple[str, str, str]] = []
    health = AccountHealth(SkippingClock(), report=lambda *words: said.append(words))
    health.stop(ME, "code 326")
    assert health.works(ME)
    health.check(ME)
    assert said == [
        (f"account/{ME}", "stopped", "code 326"),
        (f"account/{ME}", "working", ""),
    ]


def test_what_was_checked_before_a_stop_does_not_pass_after_it() -> None:
    health = AccountHealth(SkippingClock())
    stops = health.stops_of(ME)
    health.check_again(ME, stops=stops)
    parked = health.stop(ME, "code 326")
    with pytest.raises(Parked) as raised:
        health.check_again(ME, stops=stops)
    assert (raised.value.waiting_for, raised.value.until) == ("account", parked.until)
    health.works(ME)
    health.check_again(ME, stops=health.stops_of(ME))


def test_it_works_again_without_anybody_to_tell() -> None:
    health = AccountHealth(SkippingClock())
    health.stop(ME, "code 326")
    assert health.works(ME)


def test_a_clock_that_was_set_back_does_not_stop_an_account_for_longer() -> None:
    clock = SkippingClock()
    health = AccountHealth(clock)
    health.stop(ME, "code 64")
    with pytest.raises(Parked):
        health.check(ME)
    clock.move(-86_400)
    health.check(ME)
