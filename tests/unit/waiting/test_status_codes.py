"""Whoever looks at `botkit status` is told by its exit code who must act."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from botkit.errors import (
    ConfigError,
    Forbidden,
    InvalidGrant,
    Parked,
    PaymentRequired,
    RateLimited,
    ServerError,
    StoreUnavailable,
    TransportError,
    Unauthorized,
)
from botkit.waiting.status_codes import code_of, code_of_wait

if TYPE_CHECKING:
    from botkit.errors import BotkitError

ENROLMENT = Forbidden(
    "no", status=403, problem_type="client-forbidden", reason="client-not-enrolled"
)


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (RateLimited("slow down", status=429), 1),
        (Unauthorized("who", status=401), 2),
        (ConfigError("another app's bearer"), 2),
        (InvalidGrant("dead"), 2),
        (ENROLMENT, 2),
        (Forbidden("no", status=403, detail="for once"), 1),
        (PaymentRequired("pay", status=402), 3),
        (TransportError("no such name", kind="dns"), 4),
        (ServerError("over capacity", status=503), 4),
        (StoreUnavailable("full"), 5),
        (Parked("login"), 2),
        (Parked("login", until=datetime(2026, 11, 30, tzinfo=UTC)), 1),
        (Parked("budget"), 3),
    ],
)
def test_what_a_source_waits_for_says_who_must_act(
    problem: BotkitError | Parked, code: int
) -> None:
    assert code_of(problem) == code


@pytest.mark.parametrize(
    ("waiting_for", "code"),
    [
        ("rate", 1),
        ("state", 1),
        ("restart", 1),
        ("write/42/post/1/0#0/greet/createPosts//0", 1),
        ("login", 2),
        ("account", 2),
        ("handler/greet", 2),
        ("credits", 3),
        ("budget", 3),
        ("network", 4),
        ("author", 4),
    ],
)
def test_what_events_wait_for_says_who_must_act(waiting_for: str, code: int) -> None:
    assert code_of_wait(waiting_for) == code
