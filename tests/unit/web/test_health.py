"""Whether a bot can serve, said in counts and without a name."""

from __future__ import annotations

import pytest

from botkit.model.tokens import LoginState
from botkit.web.health import Health, judge

OK, DEAD, UNCERTAIN = LoginState.OK, LoginState.DEAD, LoginState.UNCERTAIN


@pytest.mark.parametrize(
    ("phase", "logins", "sources", "stopped", "status", "why"),
    [
        ("running", [], [], 0, "ready", []),
        ("running", [OK], ["live", "live"], 0, "ready", []),
        ("starting", [OK], ["live"], 0, "not ready", ["starting"]),
        ("stopping", [], [], 0, "not ready", ["stopping"]),
        ("running", [DEAD], ["live"], 0, "not ready", ["no login works"]),
        ("running", [OK], ["waiting"], 0, "not ready", ["nothing is heard"]),
        ("running", [OK, UNCERTAIN], ["live"], 0, "degraded", ["a login needs attention"]),
        ("running", [OK], ["live", "waiting"], 0, "degraded", ["a source is not live"]),
        ("running", [OK], ["live"], 1, "degraded", ["an account is stopped"]),
    ],
)
def test_it_is_judged_by_phase_logins_and_sources(
    phase: str,
    logins: list[LoginState],
    sources: list[str],
    stopped: int,
    status: str,
    why: list[str],
) -> None:
    found = judge(phase, logins, sources, stopped=stopped)
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
