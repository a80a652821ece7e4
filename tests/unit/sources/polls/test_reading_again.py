"""Whatever time passes and whatever is forgotten: each mention is new to the store once."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from botkit.model.records import KeepFor, RunDone
from botkit.model.users import Account
from botkit.protocol.api.ids import snowflake_at
from botkit.runtime.dispatch.lateness import REMEMBERED
from botkit.runtime.intake.inbox import row_of
from botkit.runtime.life.lifecycle import KEEP_FOR
from botkit.sandbox.harness.clock import SeededEntropy, VirtualClock
from botkit.sources.gaps import Gaps
from botkit.sources.polls.mentions import MentionsPoll
from botkit.storage import open_store
from tests.unit.sources.fakes import FakeSender, Reports, mention, page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from botkit.model.events import XEvent
    from botkit.model.hearing import Checkpoint
    from botkit.ports import Store
    from botkit.protocol.api.requests import Request
    from botkit.protocol.api.responses import Response

LATE = timedelta(minutes=5)
KEEP: KeepFor = KEEP_FOR

waits = st.sampled_from(
    [
        timedelta(seconds=1),
        timedelta(seconds=15),
        timedelta(seconds=61),
        LATE - timedelta(seconds=1),
        LATE + timedelta(seconds=1),
        timedelta(hours=5),
        timedelta(days=6),
        timedelta(days=8),
        timedelta(days=20),
        timedelta(days=45),
    ]
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), waits),
        st.tuples(st.just("mention"), st.timedeltas(timedelta(0), LATE - timedelta(seconds=1))),
        st.tuples(st.sampled_from(["poll", "restart", "prune"]), st.none()),
    ),
    max_size=25,
)


class Timeline:
    """A mentions timeline of X that shows each post some time after it was made."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.posts: list[tuple[int, datetime]] = []

    def add(self, delay: timedelta) -> None:
        """Make a post."""
        now = self._clock.now()
        last = self.posts[-1][0] if self.posts else 0
        self.posts.append((max(snowflake_at(now), last + 1), now + delay))

    def answer(self, request: Request) -> Response:
        """Show what there is after `since_id`, newest first."""
        since, now = int(dict(request.query).get("since_id", "0")), self._clock.now()
        return page(*(mention(i) for i, shown in self.posts[::-1] if i > since and shown <= now))


class Inbox:
    """An intake on the store whose events are done at once."""

    def __init__(self, store: Store, clock: VirtualClock) -> None:
        self._store = store
        self._clock = clock
        self.new: list[str] = []
        """The keys of the events that a handler would get."""

    async def record(
        self,
        events: Sequence[XEvent],
        *,
        account_id: str,
        source: str,
        checkpoint: Checkpoint | None = None,
    ) -> int:
        """Record events, and end those that are new."""
        rows = [row_of(event, account_id, source) for event in events]
        seqs = await self._store.events.append(rows, checkpoint=checkpoint)
        fence = await self._store.leases.acquire("runner", "t", ttl=timedelta(seconds=10))
        assert fence is not None
        new = [seq for seq in seqs if seq is not None]
        if new:
            await self._store.events.settle([RunDone(seq=seq) for seq in new], fence=fence)
        now = self._clock.now()
        self.new += [
            row.key
            for row, event, seq in zip(rows, events, seqs, strict=True)
            if seq is not None and now - event.at <= REMEMBERED
        ]
        return len(new)


async def _live_through(history: Sequence[tuple[str, Any]], folder: str) -> tuple[int, list[str]]:
    """Return how many mentions there were, and the keys of the events that were new."""
    clock = VirtualClock()
    timeline = Timeline(clock)
    async with open_store(f"sqlite:///{folder}/bot.db", clock=clock) as store:
        inbox, sender = Inbox(store, clock), FakeSender()

        def started() -> MentionsPoll:
            return MentionsPoll(
                Account(id="1", username="greeter"),
                sender=sender,
                intake=inbox,
                store=store,
                clock=clock,
                entropy=SeededEntropy(),
                interval=timedelta(seconds=15),
                late=LATE,
                report=Reports(),
                gaps=Gaps(store, clock=clock, report=Reports()),
            )

        poll = started()
        for word, value in [("poll", None), *history, ("wait", 2 * LATE), ("poll", None)]:
            if word == "wait":
                clock.set(clock.now() + value)
            elif word == "mention":
                timeline.add(value)
            elif word == "poll":
                sender.answers = [timeline.answer]
                await poll.poll()
            elif word == "restart":
                poll = started()
            else:
                await store.prune(KEEP, now=clock.now())
    return len(timeline.posts), inbox.new


@settings(max_examples=60, deadline=None)
@given(steps)
def test_each_mention_is_new_once_however_late_it_is_shown_and_whatever_is_forgotten(
    history: list[tuple[str, Any]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        mentions, new = asyncio.run(_live_through(history, folder))
    assert len(new) == len(set(new)) <= mentions
    waited = sum((value for word, value in history if word == "wait"), timedelta())
    if waited <= REMEMBERED - 3 * LATE:
        assert len(new) == mentions
