"""Ends are stored by a commit that is made anyway; none is lost when that commit fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from botkit.model.records import RunDone
from botkit.runtime.dispatch.done_batch import DoneBatch
from botkit.runtime.intake.lanes import Job
from botkit.sandbox.harness.clock import VirtualClock
from tests.unit.runtime.fakes import BOT, turns


class Commits:
    """Rides with what they were told and what they told."""

    def __init__(self, *, held: int = 9) -> None:
        self.clock = VirtualClock()
        self.held = held
        self.own: list[list[int]] = []
        self.stored: list[int] = []
        self.settled = 0
        self.done_batch = DoneBatch(
            clock=self.clock,
            commit=self.commit,
            held=lambda: self.held,
            stored=lambda job: self.stored.append(job.seq),
            settled=self.settle,
        )

    async def commit(self, finishes: Sequence[RunDone]) -> None:
        self.own.append([finish.seq for finish in finishes])

    def settle(self) -> None:
        self.settled += 1

    def end(self, *seqs: int) -> None:
        for seq in seqs:
            job = Job(seq=seq, account_id=BOT, key=str(seq), kind="mention", lane="l")
            self.done_batch.add(job, RunDone(seq=seq))


@asynccontextmanager
async def running(*, held: int = 9) -> AsyncIterator[Commits]:
    on = Commits(held=held)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(on.done_batch.run())
        await turns(10)
        yield on
        task.cancel()


async def test_an_end_rides_in_the_commit_of_another() -> None:
    async with running() as on:
        on.end(1, 2)
        await turns(10)
        with on.done_batch.join_commit() as ended:
            assert [finish.seq for finish in ended] == [1, 2]
            assert on.done_batch.busy
            assert on.stored == []
        assert on.stored == [1, 2]
        assert not on.done_batch.busy
        await on.clock.advance(1)
        assert on.own == []


async def test_an_end_that_finds_no_commit_gets_its_own_in_a_moment() -> None:
    async with running() as on:
        on.end(1)
        await turns(10)
        assert on.own == []
        await on.clock.advance(0.01)
        assert on.own == [[1]]
        assert on.stored == [1]
        assert on.settled == 1


def fail(on: Commits, error: type[BaseException]) -> None:
    with on.done_batch.join_commit():
        on.end(3)
        raise error


@pytest.mark.parametrize("error", [OSError, asyncio.CancelledError])
async def test_ends_whose_commit_fails_are_stored_with_the_next(
    error: type[BaseException],
) -> None:
    on = Commits()
    on.end(1, 2)
    with pytest.raises(error):
        fail(on, error)
    assert on.stored == []
    assert on.done_batch.busy
    with on.done_batch.join_commit() as ended:
        assert [finish.seq for finish in ended] == [1, 2, 3]
    assert on.stored == [1, 2, 3]


async def test_an_end_does_not_wait_when_nothing_else_runs() -> None:
    async with running(held=2) as on:
        on.end(1, 2)
        await turns(10)
        assert on.own == [[1, 2]]


async def test_a_source_with_more_in_hand_takes_the_last_ends_along() -> None:
    async with running(held=2) as on:
        on.end(1, 2)
        await turns(1)
        with on.done_batch.join_commit() as ended:
            assert len(ended) == 2
        await turns(10)
        assert on.own == []


async def test_no_more_ends_wait_than_belong_in_a_commit() -> None:
    async with running(held=1000) as on:
        on.end(*range(255))
        await turns(10)
        assert on.own == []
        on.end(255)
        await turns(10)
        assert [len(each) for each in on.own] == [256]
