"""Strangers cannot fill the log."""

from __future__ import annotations

from structlog.testing import capture_logs

from botkit.sandbox.harness.clock import VirtualClock
from botkit.web.abuse_log import AbuseLog


async def test_thirty_lines_a_minute_are_said_and_then_how_many_were_not() -> None:
    clock = VirtualClock()
    log = AbuseLog(clock)
    with capture_logs() as said:
        for number in range(100):
            log.warning("refused", number=number)
    assert len(said) == 30
    await clock.advance(60)
    with capture_logs() as said:
        log.warning("refused", number=100)
    assert [line["event"] for line in said] == ["refusals.left_out", "refused"]
    assert said[0]["times"] == 70
