"""Suspects go a few at a time."""

from __future__ import annotations

from botkit.runtime.dispatch.poison_throttle import PoisonThrottle
from botkit.runtime.intake.lanes import Job


def job(seq: int, unclean: int = 1) -> Job:
    return Job(
        seq=seq,
        account_id="1",
        key=f"post/{seq}/0",
        kind="mention",
        lane=f"conversation/{seq}",
        unclean=unclean,
    )


def test_those_that_are_no_suspects_pass_at_once() -> None:
    suspects = PoisonThrottle(1)
    jobs = [job(1), job(2), job(3, unclean=0), job(4, unclean=0)]
    assert suspects.screen(jobs) == [jobs[0], jobs[2], jobs[3]]
    assert not suspects.can_go
    suspects.leave(jobs[2])
    assert not suspects.can_go


def test_the_next_one_goes_when_one_has_left_as_far_as_there_are_slots() -> None:
    suspects = PoisonThrottle(2)
    jobs = [job(seq) for seq in range(5)]
    assert suspects.screen(jobs) == jobs[:2]
    suspects.leave(jobs[0])
    suspects.leave(jobs[1])
    assert suspects.let_go(0) == []
    assert suspects.let_go(1) == [jobs[2]]
    assert suspects.let_go(9) == [jobs[3]]
    suspects.leave(jobs[3])
    assert suspects.let_go(9) == [jobs[4]]
    assert not suspects.can_go
