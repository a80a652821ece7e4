"""The inbox: record, hand out, finish, retry, park, bury."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from botkit.errors import Conflict, LeaseLost
from botkit.model.hearing import Checkpoint
from botkit.model.records import (
    EventState,
    Fence,
    MemoKey,
    RunDead,
    RunParked,
    RunRetried,
    StateChange,
    StateRow,
)
from tests.storage.conformance.bench import ME, T0, Suite, done, event, lease, letter, raised

if TYPE_CHECKING:
    from botkit.ports import Store

__all__ = ["EventsConformance"]

MINUTE = timedelta(minutes=1)
LOST = Fence("runner", "tester", 99)


class EventsConformance(Suite):
    """`store.events` as the runtime uses it, and `store.states`."""

    async def test_an_event_comes_out_as_it_was_recorded(self, store: Store) -> None:
        new = event(cause="post/0/1", source="mentions")
        (seq,) = await store.events.append([new])
        (item,) = (await store.events.due(T0)).items
        for field in ("account_id", "key", "kind", "lane", "body", "at", "source", "cause"):
            assert getattr(item, field) == getattr(new, field)
        assert (item.seq, item.attempts, item.unclean, item.run) == (seq, 0, 0, 0)
        assert (item.not_before, item.waiting_for) == (None, "")

    async def test_what_happened_once_is_recorded_once_for_each_account(
        self, store: Store
    ) -> None:
        first = await store.events.append([event("a"), event("a"), event("b")])
        again = await store.events.append([event("b"), event("a", account_id="2"), event("c")])
        assert [seq is None for seq in first] == [False, True, False]
        assert [seq is None for seq in again] == [True, False, False]
        assert [item.key for item in (await store.events.due(T0)).items] == ["a", "b", "a", "c"]

    async def test_a_finished_event_still_keeps_its_duplicates_out(self, store: Store) -> None:
        fence = await lease(store)
        (seq,) = await store.events.append([event()])
        assert seq is not None
        await store.events.settle([done(seq)], fence=fence)
        assert await store.events.append([event(source="mentions")]) == [None]
        assert (await store.events.due(T0)).items == []

    async def test_the_checkpoint_moves_with_the_events_or_not_at_all(self, store: Store) -> None:
        fence = await lease(store)
        here = Checkpoint(source="mentions", account_id=ME, cursor="17")
        await store.events.append([event("a")], checkpoint=here, fence=fence)
        assert await store.progress.checkpoint("mentions", ME) == here
        far = Checkpoint(source="mentions", account_id=ME, cursor="99")
        await raised(LeaseLost, store.events.append([event("b")], checkpoint=far, fence=LOST))
        assert await store.progress.checkpoint("mentions", ME) == here
        assert [item.key for item in (await store.events.due(T0)).items] == ["a"]

    async def test_due_is_in_order_from_after_a_number_and_limited(self, store: Store) -> None:
        seqs = await store.events.append([event(f"e{n}") for n in range(6)])
        assert seqs == sorted(seq for seq in seqs if seq is not None)
        first = (await store.events.due(T0, limit=2)).items
        rest = (await store.events.due(T0, after_seq=first[-1].seq, limit=3)).items
        assert [item.key for item in (*first, *rest)] == ["e0", "e1", "e2", "e3", "e4"]

    async def test_an_event_for_later_is_due_at_its_time_and_not_before(
        self, store: Store
    ) -> None:
        await store.events.append([event("later", not_before=T0 + MINUTE), event("now")])
        assert [item.key for item in (await store.events.due(T0)).items] == ["now"]
        assert (await store.events.due(T0)).next_at == T0 + MINUTE
        assert [item.key for item in (await store.events.due(T0 + MINUTE)).items] == [
            "later",
            "now",
        ]
        assert (await store.events.due(T0 + MINUTE)).next_at is None

    async def test_a_clock_that_goes_back_makes_nothing_due_early(self, store: Store) -> None:
        await store.events.append([event("later", not_before=T0 + MINUTE)])
        assert (await store.events.due(T0 + MINUTE)).items
        assert (await store.events.due(T0)).items == []
        assert (await store.events.due(T0)).next_at == T0 + MINUTE

    async def test_more_events_than_one_page_can_become_due_at_once(self, store: Store) -> None:
        rows = [event(f"e{n}", not_before=T0 + MINUTE) for n in range(4500)]
        await store.events.append(rows)
        page = (await store.events.due(T0 + MINUTE, limit=5000)).items
        assert [item.key for item in page] == [row.key for row in rows]

    async def test_an_amended_body_is_what_comes_out(self, store: Store) -> None:
        fence = await lease(store)
        (seq,) = await store.events.append([event()])
        assert seq is not None
        await store.events.amend(seq, b"whole", fence=fence)
        assert [item.body for item in (await store.events.due(T0)).items] == [b"whole"]
        await raised(LeaseLost, store.events.amend(seq, b"no", fence=LOST))
        await store.events.settle([done(seq)], fence=fence)
        await store.events.amend(seq, b"too late", fence=fence)
        assert [kept.body for kept in await store.events.get("post/1/1")] == [b"whole"]

    async def test_an_event_that_ran_when_the_process_ended_is_counted(self, store: Store) -> None:
        fence = await lease(store)
        seqs = await store.events.append([event("ran"), event("waited")])
        assert seqs[0] is not None
        await store.events.mark_running(seqs[:1], fence=fence)  # type: ignore[arg-type]
        (item,) = await store.events.count_unclean(fence=fence)
        assert (item.key, item.unclean) == ("ran", 1)
        assert await store.events.count_unclean(fence=fence) == []
        assert [each.unclean for each in (await store.events.due(T0)).items] == [1, 0]

    async def test_an_event_may_be_recorded_as_one_that_runs(self, store: Store) -> None:
        fence = await lease(store)
        for count in (1, 6):
            rows = [event(f"{count}/{n}", running=n % 2 == 0) for n in range(count)]
            await store.events.append(rows)
            items = await store.events.count_unclean(fence=fence)
            assert [item.key for item in items] == [row.key for row in rows if row.running]

    async def test_what_ended_cleanly_is_not_counted_as_running(self, store: Store) -> None:
        fence = await lease(store)
        seqs = [
            seq for seq in await store.events.append([event(f"e{n}") for n in range(4)]) if seq
        ]
        await store.events.mark_running(seqs, fence=fence)
        items = (await store.events.due(T0)).items
        await store.events.settle([done(items[0])], fence=fence)
        await store.events.settle(
            [RunRetried(seq=seqs[1], not_before=T0, reason="x")], fence=fence
        )
        await store.events.settle(
            [RunParked(seq=seqs[2], waiting_for="login", until=None)], fence=fence
        )
        await store.events.settle([RunDead(seq=seqs[3], letter=letter(items[3]))], fence=fence)
        assert await store.events.count_unclean(fence=fence) == []

    async def test_finish_takes_state_and_emitted_events_along(self, store: Store) -> None:
        fence = await lease(store)
        (seq,) = await store.events.append([event()])
        assert seq is not None
        change = StateChange(scope="bot", key="count", value=b"1", expected_rev=0)
        later = event("signal/1", kind="signal/Remind", cause="post/1/1", not_before=T0 + MINUTE)
        finish = done(seq, changes=(change,), emitted=(later, event("signal/2")))
        await store.events.settle([finish], fence=fence)
        assert await store.states.read("bot", "count") == StateRow(value=b"1", rev=1)
        assert [item.key for item in (await store.events.due(T0)).items] == ["signal/2"]
        assert (await store.events.due(T0)).next_at == T0 + MINUTE
        (kept,) = await store.events.get("post/1/1")
        assert (kept.state, kept.note) == (EventState.DONE, "bot.greet")

    async def test_finish_writes_nothing_when_a_piece_of_state_has_moved_on(
        self, store: Store
    ) -> None:
        fence = await lease(store)
        first, second = await store.events.append([event("a"), event("b")])
        assert first is not None
        assert second is not None
        one = StateChange(scope="bot", key="count", value=b"1", expected_rev=0)
        await store.events.settle([done(first, changes=(one,))], fence=fence)
        fresh = StateChange(scope="user/7", key="x", value=b"x", expected_rev=0)
        stale = done(second, changes=(fresh, one), emitted=(event("signal/1"),))
        await raised(Conflict, store.events.settle([stale], fence=fence))
        assert await store.states.read("user/7", "x") is None
        assert [item.key for item in (await store.events.due(T0)).items] == ["b"]
        two = StateChange(scope="bot", key="count", value=None, expected_rev=1)
        await store.events.settle([done(second, changes=(two,))], fence=fence)
        assert await store.states.read("bot", "count") is None

    async def test_a_piece_of_state_is_forgotten_alone(self, store: Store) -> None:
        fence = await lease(store)
        places = (("user/7", "x"), ("user/7", "y"), ("user/8", "x"))
        first, second = await store.events.append([event("a"), event("b")])
        assert first is not None
        assert second is not None
        made = tuple(
            StateChange(scope=scope, key=key, value=b"1", expected_rev=0) for scope, key in places
        )
        await store.events.settle([done(first, changes=made)], fence=fence)
        gone = StateChange(scope="user/7", key="x", value=None, expected_rev=1)
        await store.events.settle([done(second, changes=(gone,))], fence=fence)
        left = [await store.states.read(scope, key) is not None for scope, key in places]
        assert left == [False, True, True]

    async def test_finishing_again_changes_nothing(self, store: Store) -> None:
        fence = await lease(store)
        (seq,) = await store.events.append([event()])
        assert seq is not None
        change = StateChange(scope="bot", key="count", value=b"1", expected_rev=0)
        finish = done(seq, changes=(change,), emitted=(event("signal/1"),))
        await store.events.settle([finish], fence=fence)
        await store.events.settle([finish], fence=fence)
        assert await store.states.read("bot", "count") == StateRow(value=b"1", rev=1)
        assert [item.key for item in (await store.events.due(T0)).items] == ["signal/1"]

    async def test_many_done_marks_go_in_one_transaction(self, store: Store) -> None:
        fence = await lease(store)
        await store.events.append([event(f"e{n}") for n in range(5)])
        items = (await store.events.due(T0)).items
        await store.events.settle([done(item) for item in items[:4]], fence=fence)
        assert [item.key for item in (await store.events.due(T0)).items] == ["e4"]
        assert (await store.events.counts())["done"] == 4
        await raised(LeaseLost, store.events.settle([done(items[4])], fence=LOST))
        assert [item.key for item in (await store.events.due(T0)).items] == ["e4"]

    async def test_done_marks_go_with_what_is_recorded_or_not_at_all(self, store: Store) -> None:
        fence = await lease(store)
        seqs = await store.events.append([event(name) for name in "abc"])
        ends = [done(seqs[0]), done(seqs[2], state=EventState.DROPPED, note="no")]  # type: ignore[arg-type]
        await raised(LeaseLost, store.events.append([event("d")], ends=ends, fence=LOST))
        assert [item.key for item in (await store.events.due(T0)).items] == ["a", "b", "c"]
        await store.events.append([event("d")], ends=ends, fence=fence)
        assert [item.key for item in (await store.events.due(T0)).items] == ["b", "d"]
        counts = await store.events.counts()
        assert (counts["done"], counts["dropped"]) == (1, 1)

    async def test_a_done_mark_ends_no_event_beside_it(self, store: Store) -> None:
        fence = await lease(store)
        first, _, third = await store.events.append([event(name) for name in "abc"])
        assert first is not None
        assert third is not None
        await store.events.settle([done(first), done(first), done(third)], fence=fence)
        assert [item.key for item in (await store.events.due(T0)).items] == ["b"]

    async def test_what_was_set_aside_can_end_with_what_was_not(self, store: Store) -> None:
        fence = await lease(store)
        first, second, third, fourth = await store.events.append([event(name) for name in "abcd"])
        assert first
        assert second
        assert third
        assert fourth
        for seq in (second, fourth):
            await store.events.settle(
                [RunParked(seq=seq, waiting_for="login", until=None)], fence=fence
            )
        await store.events.settle([done(first), done(second)], fence=fence)
        await store.events.settle([done(fourth)], fence=fence)
        assert [item.key for item in (await store.events.due(T0)).items] == ["c"]
        assert (await store.events.counts())["done"] == 3

    async def test_events_that_arrive_together_are_told_apart(self, store: Store) -> None:
        rows = [event(f"e{n}", not_before=T0 + MINUTE if n % 5 == 4 else None) for n in range(90)]
        twice = [*rows[:45], *rows]
        given = await store.events.append(twice)
        new = [seq for seq in given if seq is not None]
        assert len(new) == len({*new}) == 90
        assert given[45:90] == [None] * 45
        assert [item.seq for item in (await store.events.due(T0)).items] == [
            seq for seq, row in zip(new, rows, strict=True) if row.not_before is None
        ]

    async def test_a_failed_try_is_counted_and_waits(self, store: Store) -> None:
        fence = await lease(store)
        (seq,) = await store.events.append([event()])
        assert seq is not None
        again = T0 + MINUTE
        await store.events.settle(
            [RunRetried(seq=seq, not_before=again, reason="ValueError")], fence=fence
        )
        assert (await store.events.due(T0)).items == []
        (item,) = (await store.events.due(again)).items
        assert (item.attempts, item.not_before, item.waiting_for) == (1, again, "")
        (kept,) = await store.events.get("post/1/1")
        assert (kept.attempts, kept.note) == (1, "ValueError")

    async def test_a_parked_event_waits_for_its_cause(self, store: Store) -> None:
        fence = await lease(store)
        mine, other = await store.events.append([event("a"), event("b", account_id="2")])
        assert mine is not None
        assert other is not None
        for seq in (mine, other):
            await store.events.settle(
                [RunParked(seq=seq, waiting_for="login", until=None)], fence=fence
            )
        assert (await store.events.due(T0 + 1000 * MINUTE)).items == []
        assert (await store.events.due(T0)).next_at is None
        assert await store.events.unpark("rate") == 0
        assert await store.events.unpark("login", account_id=ME) == 1
        (item,) = (await store.events.due(T0)).items
        assert (item.key, item.attempts, item.waiting_for) == ("a", 0, "")
        assert await store.events.unpark("login") == 1

    async def test_a_parked_event_is_due_at_the_latest_when_it_was_said(
        self, store: Store
    ) -> None:
        fence = await lease(store)
        (seq,) = await store.events.append([event()])
        assert seq is not None
        await store.events.settle(
            [RunParked(seq=seq, waiting_for="rate", until=T0 + MINUTE)], fence=fence
        )
        assert (await store.events.due(T0)).next_at == T0 + MINUTE
        assert [item.waiting_for for item in (await store.events.due(T0 + MINUTE)).items] == [
            "rate"
        ]
        await store.events.mark_running([seq], fence=fence)
        assert (await store.events.counts())["parked"] == 0

    async def test_a_buried_event_is_a_dead_letter_and_not_due(self, store: Store) -> None:
        fence = await lease(store)
        await store.events.append([event("a"), event("b", account_id="2")])
        first, second = (await store.events.due(T0)).items
        await store.events.settle([RunDead(seq=first.seq, letter=letter(first))], fence=fence)
        late = letter(second, at=T0 + MINUTE, reason="refused")
        await store.events.settle([RunDead(seq=second.seq, letter=late)], fence=fence)
        assert (await store.events.due(T0)).items == []
        assert await store.events.dead() == [late, letter(first)]
        assert await store.events.dead(account_id=ME) == [letter(first)]
        assert await store.events.dead(limit=1) == [late]
        assert await store.events.append([event("a")]) == [None]

    async def test_no_step_of_an_event_is_written_without_the_lease(self, store: Store) -> None:
        await store.events.append([event()])
        (item,) = (await store.events.due(T0)).items
        events = store.events
        for attempt in (
            events.mark_running([item.seq], fence=LOST),
            events.count_unclean(fence=LOST),
            events.settle([done(item)], fence=LOST),
            events.settle(
                [RunRetried(seq=item.seq, not_before=T0 + MINUTE, reason="x")], fence=LOST
            ),
            events.settle([RunParked(seq=item.seq, waiting_for="login", until=None)], fence=LOST),
            events.settle([RunDead(seq=item.seq, letter=letter(item))], fence=LOST),
            store.states.keep(_memo(), b"1", fence=LOST),
        ):
            await raised(LeaseLost, attempt)
        assert (await events.due(T0)).items == [item]
        assert await events.dead() == []
        assert await store.states.memo(_memo()) is None

    async def test_a_kept_result_is_the_first_one_and_of_its_run_only(self, store: Store) -> None:
        fence = await lease(store)
        await store.states.keep(_memo(), b"first", fence=fence)
        await store.states.keep(_memo(), b"second", fence=fence)
        assert await store.states.memo(_memo()) == b"first"
        for other in (_memo(run=1), _memo(name="other"), _memo(n=1), _memo(account_id="2")):
            assert await store.states.memo(other) is None


def _memo(**fields: Any) -> MemoKey:
    row = MemoKey(account_id=ME, event_key="post/1/1", run=0, handler="h", name="model")
    return msgspec.structs.replace(row, **fields)
