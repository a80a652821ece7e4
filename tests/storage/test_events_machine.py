"""The events of the SQLite store against a model in memory, step by random step."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from botkit.model.records import Fence, RunDead, RunParked, RunRetried
from botkit.ports import Store
from botkit.storage.opening import open_store
from tests.storage.conformance.bench import ME, SuiteClock, done, event, forget, lease, letter

T = TypeVar("T")

KEYS = st.sampled_from(["a", "b", "c", "d", "e", "f"])
SPANS = st.sampled_from([None, 1, 5, 30])
CAUSES = st.sampled_from(["login", "rate"])


@dataclass
class Row:
    seq: int
    state: str = "waiting"
    not_before: datetime | None = None
    waiting_for: str = ""
    attempts: int = 0
    unclean: int = 0
    run: int = 0
    running: bool = False

    def is_due(self, now: datetime) -> bool:
        if self.state != "waiting":
            return False
        if self.not_before is None:
            return not self.waiting_for
        return self.not_before <= now


class Events(RuleBasedStateMachine):
    """What the port says, kept in a dictionary."""

    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = SuiteClock()
        self.rows: dict[str, Row] = {}
        self.highest = 0
        self.open()
        self.fence: Fence = self.run(lease(self.store))

    def open(self) -> None:
        self.stack = AsyncExitStack()
        url = f"sqlite:///{self.folder.name}/bot.db"
        self.store: Store = self.run(
            self.stack.enter_async_context(open_store(url, clock=self.clock))
        )

    def run(self, awaitable: Awaitable[T]) -> T:
        async def wait() -> T:
            return await awaitable

        return self.runner.run(wait())

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.run(self.stack.aclose())
            self.runner.close()
            self.folder.cleanup()

    def now(self) -> datetime:
        return self.clock.now()

    def after(self, seconds: int | None) -> datetime | None:
        return None if seconds is None else self.now() + timedelta(seconds=seconds)

    def waiting(self, key: str) -> Row | None:
        row = self.rows.get(key)
        return row if row is not None and row.state == "waiting" else None

    @rule(keys=st.lists(KEYS, max_size=4), span=SPANS)
    def append(self, keys: list[str], span: int | None) -> None:
        at = self.after(span)
        given = self.run(self.store.events.append([event(key, not_before=at) for key in keys]))
        for key, seq in zip(keys, given, strict=True):
            assert (seq is None) == (key in self.rows)
            if seq is not None:
                assert seq > self.highest
                self.highest = seq
                self.rows[key] = Row(seq, not_before=at)

    @rule(seconds=st.integers(-10, 40))
    def move_the_clock(self, seconds: int) -> None:
        self.clock.move(timedelta(seconds=seconds))

    @rule(key=KEYS)
    def finish(self, key: str) -> None:
        if row := self.rows.get(key):
            self.run(self.store.events.settle([done(row.seq)], fence=self.fence))
            if row.state == "waiting":
                row.state = "done"

    @rule(key=KEYS, span=st.sampled_from([0, 5]))
    def retry(self, key: str, span: int) -> None:
        if row := self.waiting(key):
            at = self.now() + timedelta(seconds=span)
            self.run(
                self.store.events.settle(
                    [RunRetried(seq=row.seq, not_before=at, reason="x")], fence=self.fence
                )
            )
            row.attempts += 1
            row.not_before, row.waiting_for, row.running = at, "", False

    @rule(key=KEYS, cause=CAUSES, span=SPANS)
    def park(self, key: str, cause: str, span: int | None) -> None:
        if row := self.waiting(key):
            until = self.after(span)
            self.run(
                self.store.events.settle(
                    [RunParked(seq=row.seq, waiting_for=cause, until=until)], fence=self.fence
                )
            )
            row.not_before, row.waiting_for, row.running = until, cause, False

    @rule(cause=CAUSES)
    def unpark(self, cause: str) -> None:
        freed = [
            row
            for row in self.rows.values()
            if row.state == "waiting" and row.waiting_for == cause
        ]
        assert self.run(self.store.events.unpark(cause)) == len(freed)
        for row in freed:
            row.not_before, row.waiting_for = None, ""

    @rule(key=KEYS)
    def bury(self, key: str) -> None:
        if self.waiting(key):
            (stored,) = self.run(self.store.events.get(key))
            item = letter(stored)  # type: ignore[arg-type]
            self.run(
                self.store.events.settle([RunDead(seq=stored.seq, letter=item)], fence=self.fence)
            )
            self.rows[key].state = "dead"

    @rule(key=KEYS, new_run=st.booleans())
    def revive(self, key: str, *, new_run: bool) -> None:
        row = self.rows.get(key)
        possible = row is not None and (
            row.state == "dead" or (new_run and row.state in {"done", "dropped"})
        )
        assert self.run(self.store.events.revive(ME, key, new_run=new_run)) == possible
        if row is not None and possible:
            self.rows[key] = Row(row.seq, run=row.run + new_run)

    @rule(key=KEYS)
    def drop(self, key: str) -> None:
        row = self.rows.get(key)
        possible = row is not None and row.state in {"waiting", "dead"}
        assert self.run(self.store.events.drop(ME, key, "x")) == possible
        if row is not None and possible:
            row.state = "dropped"

    @rule(keys=st.lists(KEYS, max_size=3, unique=True))
    def mark_running(self, keys: list[str]) -> None:
        rows = [row for key in keys if (row := self.waiting(key))]
        seqs = [row.seq for row in rows]
        self.run(self.store.events.mark_running(seqs, fence=self.fence))
        for row in rows:
            row.running, row.not_before, row.waiting_for = True, None, ""

    @rule()
    def prune_everything_finished(self) -> None:
        newest = max((row.seq for row in self.rows.values()), default=0)  # keeps the numbering
        finished = [
            key
            for key, row in self.rows.items()
            if row.state in {"done", "dropped"} and row.seq != newest
        ]
        before = self.now() + timedelta(days=99)
        assert self.run(forget(self.store, events=before))["events"] == len(finished)
        for key in finished:
            assert self.run(self.store.events.get(key)) == []
            del self.rows[key]

    @precondition(lambda self: bool(self.rows))
    @rule()
    def restart(self) -> None:
        self.run(self.stack.aclose())
        self.open()
        ran = self.run(self.store.events.count_unclean(fence=self.fence))
        running = [row for row in self.rows.values() if row.running and row.state == "waiting"]
        for row in running:
            row.unclean += 1
        assert {item.seq: item.unclean for item in ran} == {
            row.seq: row.unclean for row in running
        }
        for row in self.rows.values():
            row.running = False

    @invariant()
    def what_is_due_is_what_the_model_says(self) -> None:
        if not hasattr(self, "store"):
            return
        due = self.run(self.store.events.due(self.now())).items
        assert [(i.seq, i.key, i.attempts, i.unclean, i.run, i.waiting_for) for i in due] == [
            (row.seq, key, row.attempts, row.unclean, row.run, row.waiting_for)
            for key, row in sorted(self.rows.items(), key=lambda pair: pair[1].seq)
            if row.is_due(self.now())
        ]

    @invariant()
    def what_comes_next_is_what_the_model_says(self) -> None:
        if not hasattr(self, "store"):
            return
        times = [
            row.not_before
            for row in self.rows.values()
            if row.state == "waiting" and row.not_before and row.not_before > self.now()
        ]
        assert self.run(self.store.events.due(self.now())).next_at == min(times, default=None)

    @invariant()
    def the_counts_are_those_of_the_model(self) -> None:
        if not hasattr(self, "store"):
            return
        states = [
            "parked" if row.state == "waiting" and row.waiting_for else row.state
            for row in self.rows.values()
        ]
        counts = self.run(self.store.events.counts())
        assert {name: n for name, n in counts.items() if n} == {
            name: states.count(name) for name in set(states)
        }


Events.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestEvents = pytest.mark.slow(Events.TestCase)
