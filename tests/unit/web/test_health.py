"""Whether a bot can serve, said in counts and without a name."""

from __future__ import annotations

import pytest

from botkit.model.tokens import LoginState
from botkit.web.health import Health, LoginHealth, judge

OK = LoginHealth(LoginState.OK, works=True)
DEAD = LoginHealth(LoginState.DEAD, works=False)
UNCERTAIN = LoginHealth(LoginState.UNCERTAIN, works=True)
ENDED = LoginHealth(LoginState.UNCERTAIN, works=False)
STOPPED = {"account/7": "stopped", "account/8": "working", "login/7": "stopped"}


@pytest.mark.parametrize(
    ("phase", "logins", "sources", "parts", "status", "why"),
    [
        ("running", [], [], {}, "ready", []),
        ("running", [OK], ["live", "live"], {}, "ready", []),
        ("starting", [OK], ["live"], {}, "not ready", ["starting"]),
        ("stopping", [], [], {}, "not ready", ["stopping"]),
        ("running", [DEAD], ["live"], {}, "not ready", ["no login works"]),
        ("running", [ENDED], ["live"], {}, "not ready", ["no login works"]),
        ("running", [UNCERTAIN], ["live"], {}, "degraded", ["a login needs attention"]),
        ("running", [OK], ["waiting"], {}, "not ready", ["nothing is heard"]),
        ("running", [OK], ["partly"], {}, "degraded", ["a source is not live"]),
        ("running", [OK, DEAD], ["live"], {}, "degraded", ["a login needs attention"]),
        ("running", [OK], ["live", "waiting"], {}, "degraded", ["a source is not live"]),
        ("running", [OK], ["live"], STOPPED, "degraded", ["an account is stopped"]),
        ("running", [OK], ["live"], {"x": "wrong"}, "degraded", ["a part of botkit fails"]),
        ("running", [OK], ["live"], {"store": "working", "handlers": "working"}, "ready", []),
        (
            "running",
            [OK],
            ["live"],
            {"store": "unavailable", "handlers": "saturated"},
            "not ready",
            ["the store cannot be used", "all handlers hang"],
        ),
    ],
)
def test_it_is_judged_by_phase_logins_and_sources(
    phase: str,
    logins: list[LoginHealth],
    sources: list[str],
    parts: dict[str, str],
    status: str,
    why: list[str],
) -> None:
    found = judge(phase, logins, sources, parts=parts)
    assert (found.status, list(found.why)) == (status, why)


def test_a_source_that_has_said_nothing_yet_is_starting() -> None:
    parts = {"mentions/greeter": "live", "account/7": "stopped", "account/8": "working"}
    health = Health(
        logins=lambda: [OK, DEAD],
        parts=lambda: parts,
        sources=lambda: ["mentions/greeter", "activity/default"],
        phase="running",
    )
    readiness = health.readiness
    assert readiness.sources == {"live": 1, "starting": 1}
    assert readiness.logins == {"OK": 1, "DEAD": 1}
    assert readiness.status == "degraded"
    assert "greeter" not in repr(readiness)


def test_what_may_not_have_been_heard_is_a_reason_to_look() -> None:
    health = Health(
        logins=lambda: [OK],
        parts=lambda: {"mentions/greeter": "live", "gaps/greeter": "open", "gaps/ada": "none"},
        sources=lambda: ["mentions/greeter"],
        phase="running",
    )
    assert health.readiness.status == "degraded"
    assert health.readiness.why == ("something may not have been heard",)
