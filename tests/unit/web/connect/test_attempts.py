"""Logins under way: found by their state, bounded, over when they are over."""

from __future__ import annotations

import pytest

from botkit.client.signin.attempt import Login
from botkit.errors import StoreUnavailable
from botkit.web.connect.attempts import Attempts, Pending


class FakeAttempt:
    def __init__(self, state: str) -> None:
        self.state = state
        self.url = f"https://x.example/?state={state}"
        self.is_over = False

    async def finish(self, query: str) -> Login:
        raise NotImplementedError


def pending(state: str, invitation_id: str = "") -> Pending:
    return Pending(attempt=FakeAttempt(state), invitation_id=invitation_id or state, browser="b")


def test_one_is_found_by_its_state_only() -> None:
    attempts = Attempts()
    one = pending("s1")
    attempts.add(one)
    assert attempts.find("s1") is one
    assert attempts.find("s2") is None
    assert attempts.find("") is None
    attempts.drop(one)
    attempts.drop(one)
    assert attempts.find("s1") is None


def test_a_new_one_by_the_same_invitation_ends_the_one_before() -> None:
    attempts = Attempts()
    attempts.add(pending("s1", "i"))
    attempts.add(pending("s2", "i"))
    assert attempts.find("s1") is None
    assert len(attempts) == 1


def test_there_are_never_more_than_fit_and_those_that_are_over_make_room() -> None:
    attempts = Attempts(most=2)
    first = pending("s1")
    attempts.add(first)
    attempts.add(pending("s2"))
    with pytest.raises(StoreUnavailable, match="2 logins are under way"):
        attempts.add(pending("s3"))
    first.attempt.is_over = True  # type: ignore[misc]
    attempts.add(pending("s3"))
    assert len(attempts) == 2
