"""The inbox as the operator sees it: list, revive, drop, count, forget."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from botkit.model.hearing import Checkpoint
from botkit.model.records import (
    EventState,
    MemoKey,
    RunDead,
    RunParked,
    RunRetried,
    Wait,
    WriteMove,
    WriteState,
)
from tests.storage.conformance.bench import (
    ME,
    T0,
    Suite,
    SuiteClock,
    done,
    event,
    forget,
    lease,
    letter,
    write,
)

if TYPE_CHECKING:
    from botkit.model.records import Fence
    from botkit.ports import Store

__all__ = ["EventsAdminConformance"]

S = timedelta(seconds=1)
WEEK = timedelta(days=7)


class EventsAdminConformance(Suite):
    """`store.events` as commands use it."""

    async def test_the_record_shows_where_every_event_is(self, store: Store) -> None:
        await _one_of_each(store)
        everything = await store.events.listing()
        assert [kept.key for kept in everything] == ["parked", "dropped", "dead", "done", "new"]
        assert [kept.state.value for kept in everything] == [
            "waiting",
            "dropped",
            "dead",
            "done",
            "waiting",
        ]
        assert [kept.waiting_for for kept in everything] == ["login", "", "", "", ""]
        assert all(kept.recorded_at == T0 for kept in everything)
        for state, keys in (
            (EventState.WAITING, ["parked", "new"]),
            (EventState.DONE, ["done"]),
            (EventState.DEAD, ["dead"]),
            (EventState.DROPPED, ["dropped"]),
        ):
            assert [kept.key for kept in await store.events.listing(state=state)] == keys
        assert [kept.key for kept in await store.events.listing(limit=2)] == ["parked", "dropped"]
        assert await store.events.listing(account_id="2") == []

    async def test_the_counts_add_up(self, store: Store) -> None:
        await _one_of_each(store)
        assert dict(await store.events.counts()) == {
            "waiting": 1,
            "parked": 1,
            "dead": 1,
            "done": 1,
            "dropped": 1,
            "late": 0,
        }

    async def test_an_event_is_found_by_its_key_for_each_account(self, store: Store) -> None:
        await store.events.append([event("a"), event("a", account_id="2"), event("b")])
        assert len(await store.events.get("a")) == 2
        (kept,) = await store.events.get("a", account_id="2")
        assert (kept.account_id, kept.body) == ("2", event().body)
        assert await store.events.get("c") == []

    async def test_a_dead_event_comes_back_as_new_with_the_same_run(self, store: Store) -> None:
        await _one_of_each(store)
        assert await store.events.revive(ME, "dead")
        assert await store.events.dead() == []
        item = next(item for item in (await store.events.due(T0)).items if item.key == "dead")
        assert (item.attempts, item.unclean, item.run) == (0, 0, 0)

    async def test_a_dead_letter_is_found_by_its_key(self, store: Store) -> None:
        await _one_of_each(store)
        (found,) = await store.events.dead(key="dead")
        assert found.key == "dead"
        assert await store.events.dead(key="dead", account_id="2") == []
        assert await store.events.dead(key="done") == []

    async def test_all_dead_letters_come_back_a_portion_at_a_time(self, store: Store) -> None:
        fence = await _bury(store, "a", "b", "c")
        refused = WriteMove(to=WriteState.REJECTED, reason='{"status": 403}')
        await store.writes.begin(write("w", event_key="a"), now=T0, fence=fence)
        await store.writes.move("w", refused, now=T0, fence=fence)
        assert await store.events.revive_dead(before=T0, limit=2) == 0  # it died at T0
        assert await store.events.revive_dead(before=T0 + S, account_id="2", limit=2) == 0
        assert await store.events.revive_dead(before=T0 + S, limit=2) == 2
        assert [one.key for one in await store.events.dead()] == ["c"]
        assert await store.events.revive_dead(before=T0 + S, limit=2) == 1
        assert await store.events.revive_dead(before=T0 + S, limit=2) == 0
        assert {item.key for item in (await store.events.due(T0)).items} == {"a", "b", "c"}
        counts = await store.events.counts()
        assert (counts["dead"], counts["waiting"]) == (0, 3)
        (row,) = await store.writes.listing()
        assert row.state is WriteState.QUEUED

    async def test_all_dead_letters_are_dropped_a_portion_at_a_time(self, store: Store) -> None:
        await _bury(store, "a", "b", "c")
        assert await store.events.drop_dead("by hand", before=T0, limit=2) == 0
        assert await store.events.drop_dead("by hand", before=T0 + S, limit=2) == 2
        assert await store.events.drop_dead("by hand", before=T0 + S, limit=2) == 1
        kept = await store.events.listing(state=EventState.DROPPED)
        assert [(one.key, one.note) for one in kept] == [
            ("c", "by hand"),
            ("b", "by hand"),
            ("a", "by hand"),
        ]
        counts = await store.events.counts()
        assert (counts["dead"], counts["dropped"]) == (0, 3)

    async def test_old_dead_letters_are_forgotten_with_their_events(self, store: Store) -> None:
        await _bury(store, "old", "young")
        await store.events.append([event("newest")])
        counts = await forget(store, dead=T0, deliverable=T0 + WEEK)
        assert counts["dead"] == 0
        counts = await forget(store, dead=T0 + S, deliverable=T0 + WEEK)
        assert counts["dead"] == 2
        assert await store.events.dead() == []
        assert [one.key for one in await store.events.listing()] == ["newest"]
        assert (await store.events.counts())["dead"] == 0

    async def test_causes_are_counted_with_the_latest_time(self, store: Store) -> None:
        fence = await lease(store)
        seqs = await store.events.append([event(key) for key in ("a", "b", "c", "d")])
        for seq, cause, until in zip(
            seqs, ("rate", "rate", "login", ""), (T0 + S, T0 + 2 * S, None, T0 + S), strict=True
        ):
            parked = RunParked(seq=seq or 0, waiting_for=cause, until=until)
            await store.events.settle([parked], fence=fence)
        assert await store.events.waits() == [
            Wait(waiting_for="login", events=1, until=None),
            Wait(waiting_for="rate", events=2, until=T0 + 2 * S),
        ]

    async def test_a_replay_on_purpose_has_a_run_of_its_own(self, store: Store) -> None:
        await _one_of_each(store)
        for key in ("done", "dead", "dropped"):
            assert await store.events.revive(ME, key, new_run=True)
        runs = {item.key: item.run for item in (await store.events.due(T0)).items}
        assert runs == {"new": 0, "done": 1, "dead": 1, "dropped": 1}
        assert await store.events.dead() == []

    async def test_only_what_can_come_back_is_revived(self, store: Store) -> None:
        await _one_of_each(store)
        assert not await store.events.revive(ME, "done")
        assert not await store.events.revive(ME, "dropped")
        assert not await store.events.revive(ME, "new", new_run=True)
        assert not await store.events.revive(ME, "nowhere")
        assert not await store.events.revive("2", "dead")

    async def test_a_waiting_or_dead_event_can_be_given_up(self, store: Store) -> None:
        await _one_of_each(store)
        for key in ("new", "parked", "dead"):
            assert await store.events.drop(ME, key, "not wanted")
        assert not await store.events.drop(ME, "done", "not wanted")
        assert not await store.events.drop("2", "new", "not wanted")
        assert (await store.events.due(T0)).items == []
        assert await store.events.dead() == []
        dropped = await store.events.listing(state=EventState.DROPPED)
        assert [kept.note for kept in dropped] == [
            "not wanted",
            "why not",
            "not wanted",
            "not wanted",
        ]

    async def test_an_event_dropped_while_it_ran_stays_dropped(self, store: Store) -> None:
        fence = await lease(store)
        await store.events.append([event("a")])
        (item,) = (await store.events.due(T0)).items
        await store.events.mark_running([item.seq], fence=fence)
        await store.events.drop(ME, "a", "stop it")
        await store.events.settle([done(item, emitted=(event("signal/1"),))], fence=fence)
        await store.events.settle(
            [RunRetried(seq=item.seq, not_before=T0, reason="x")], fence=fence
        )
        await store.events.settle(
            [RunParked(seq=item.seq, waiting_for="rate", until=None)], fence=fence
        )
        await store.events.settle([RunDead(seq=item.seq, letter=letter(item))], fence=fence)
        (kept,) = await store.events.get("a")
        assert (kept.state, kept.note) == (EventState.DROPPED, "stop it")
        assert await store.events.listing(state=EventState.WAITING) == []
        assert await store.events.dead() == []

    async def test_only_finished_events_are_forgotten_and_only_old_ones(
        self, store: Store, clock: SuiteClock
    ) -> None:
        await _one_of_each(store)
        clock.move(WEEK)
        await store.events.append([event("young")])
        assert (await forget(store, events=T0))["events"] == 0
        assert (await forget(store, events=T0 + WEEK))["events"] == 2
        keys = {kept.key for kept in await store.events.listing()}
        assert keys == {"new", "parked", "dead", "young"}
        assert await store.events.append([event("done")]) != [None]

    async def test_what_a_source_may_deliver_again_is_kept_as_the_proof_that_it_was_handled(
        self, store: Store
    ) -> None:
        fence = await lease(store)
        seqs = await store.events.append([event("a", at=T0), event("b", at=T0 + S), event("last")])
        await store.events.settle([done(seq) for seq in seqs if seq is not None], fence=fence)
        far = Checkpoint(source="messages", account_id=ME, cursor="9", read_to=T0 + WEEK)
        here = Checkpoint(source="mentions", account_id=ME, cursor="9", read_to=T0 + S)
        no_reader = Checkpoint(source="logins", account_id=ME, cursor="9")
        for checkpoint in (far, here, no_reader):
            await store.progress.set_checkpoint(checkpoint)
        assert (await forget(store, events=T0 + WEEK))["events"] == 1
        assert await store.events.append([event("b")]) == [None]
        everything = {"events": T0 + WEEK, "deliverable": T0 + WEEK}
        assert (await forget(store, **everything))["events"] == 1

    async def test_however_many_there_are_all_are_forgotten(self, store: Store) -> None:
        fence = await lease(store)
        seqs = await store.events.append([event(f"e{n}") for n in range(2100)])
        await store.events.settle([done(seq) for seq in seqs if seq is not None], fence=fence)
        await store.events.append([event("young")])
        assert (await forget(store, events=T0 + WEEK))["events"] == 2100

    async def test_an_event_takes_its_kept_results_along(self, store: Store) -> None:
        fence = await _one_of_each(store)
        memo = MemoKey(account_id=ME, event_key="done", run=0, handler="h", name="model")
        await store.states.keep(memo, b"1", fence=fence)
        await forget(store, events=T0 + WEEK)
        assert await store.states.memo(memo) is None

    async def test_numbers_are_never_given_twice(self, store: Store) -> None:
        fence = await lease(store)
        (first,) = await store.events.append([event("a")])
        assert first is not None
        await store.events.settle([done(first)], fence=fence)
        await forget(store, events=T0 + WEEK)
        (second,) = await store.events.append([event("b")])
        assert second is not None
        assert second > first

    async def test_a_step_is_not_forgotten_while_its_event_can_still_run(
        self, store: Store
    ) -> None:
        fence = await _one_of_each(store)
        for key in ("new", "parked", "dead", "done", "gone"):
            await store.writes.begin(write(key, event_key=key), now=T0, fence=fence)
            await store.writes.move(
                key,
                WriteMove(to=WriteState.CONFIRMED, result_id=key, result=b"{}"),
                now=T0,
                fence=fence,
            )
        assert (await forget(store, writes=T0 + WEEK))["writes"] == 2
        assert {kept.id for kept in await store.writes.listing()} == {"new", "parked", "dead"}


async def _one_of_each(store: Store) -> Fence:
    fence = await lease(store)
    keys = ("new", "done", "dead", "dropped", "parked")
    await store.events.append([event(key) for key in keys])
    items = {item.key: item for item in (await store.events.due(T0)).items}
    await store.events.settle([done(items["done"])], fence=fence)
    await store.events.settle(
        [RunDead(seq=items["dead"].seq, letter=letter(items["dead"]))], fence=fence
    )
    await store.events.drop(ME, "dropped", "why not")
    await store.events.settle(
        [RunParked(seq=items["parked"].seq, waiting_for="login", until=None)], fence=fence
    )
    return fence


async def _bury(store: Store, *keys: str) -> Fence:
    """Make events into dead letters, in that order."""
    fence = await lease(store)
    await store.events.append([event(key) for key in keys])
    for item in (await store.events.due(T0)).items:
        await store.events.settle([RunDead(seq=item.seq, letter=letter(item))], fence=fence)
    return fence
