"""Leases, checkpoints, gaps, schedules, reports and the ledger."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from botkit.errors import LeaseLost
from botkit.model.bookings import Booking, BudgetEntry, OpenRead
from botkit.model.hearing import Checkpoint, GapRow
from botkit.model.records import (
    Fence,
    KeepFor,
    ScheduleRow,
    StatusReport,
    WriteMove,
    WriteState,
)
from tests.storage.conformance.bench import ME, T0, Suite, event, forget, lease, raised, write

if TYPE_CHECKING:
    from botkit.ports import Store
    from tests.storage.conformance.bench import SuiteClock

__all__ = ["ProgressConformance"]

S = timedelta(seconds=1)
HOUR = timedelta(hours=1)
TTL = timedelta(seconds=10)
LOST = Fence("runner", "tester", 99)
READ = OpenRead(account_id=ME, app="a", at=T0, request="GET", most_usd=Decimal("0.500"))


class ProgressConformance(Suite):
    """`store.leases`, `store.progress` and `store.ledger`."""

    async def test_reports_are_fenced(self, store: Store) -> None:
        fence = await lease(store)
        mine = StatusReport(part="activity/default", state="live", at=T0)
        await store.progress.report([mine], fence=fence)
        await store.leases.release(fence)
        other = StatusReport(part="activity/default", state="wrong", at=T0)
        await raised(LeaseLost, store.progress.report([other], fence=fence))
        await raised(LeaseLost, store.progress.clear_reports(fence=fence))
        assert await store.progress.reports() == [mine]

    async def test_a_lease_has_one_holder_and_epochs_only_grow(
        self, store: Store, clock: SuiteClock
    ) -> None:
        leases = store.leases
        first = await leases.acquire("runner", "a", ttl=TTL)
        assert first is not None
        assert first == Fence("runner", "a", 1)
        clock.move(9 * S)
        assert await leases.acquire("runner", "b", ttl=TTL) is None
        assert await leases.holder("runner") == "a"
        assert await leases.holder("other") is None
        clock.move(S)
        second = await leases.acquire("runner", "b", ttl=TTL)
        assert second is not None
        assert second == Fence("runner", "b", 2)
        await raised(LeaseLost, leases.renew(first, ttl=TTL))
        await leases.release(first)
        assert await leases.holder("runner") == "b"
        await leases.release(second)
        assert await leases.holder("runner") is None
        third = await leases.acquire("runner", "a", ttl=TTL)
        assert third == Fence("runner", "a", 3)

    async def test_a_renewed_lease_lasts_longer(self, store: Store, clock: SuiteClock) -> None:
        fence = await store.leases.acquire("runner", "a", ttl=TTL)
        assert fence is not None
        clock.move(5 * S)
        await store.leases.renew(fence, ttl=TTL)
        clock.move(9 * S)
        assert await store.leases.acquire("runner", "b", ttl=TTL) is None
        clock.move(S)
        assert await store.leases.holder("runner") is None

    async def test_the_lease_of_a_holder_known_to_have_ended_is_free(self, store: Store) -> None:
        fence = await store.leases.acquire("runner", "a", ttl=TTL)
        assert fence is not None
        assert await store.leases.acquire("runner", "b", ttl=TTL, ended="c") is None
        taken = await store.leases.acquire("runner", "b", ttl=TTL, ended="a")
        assert taken == Fence("runner", "b", 2)
        await raised(LeaseLost, store.leases.renew(fence, ttl=TTL))
        # Late news of a process that holds nothing any more takes nothing from who does.
        assert await store.leases.acquire("runner", "c", ttl=TTL, ended="a") is None

    async def test_a_patient_one_takes_an_expired_lease_whose_holder_is_not_seen_to_live(
        self, store: Store, clock: SuiteClock
    ) -> None:
        await store.leases.acquire("refresh:1", "a", ttl=TTL)
        assert await store.leases.acquire("refresh:1", "b", ttl=TTL, patient=True) is None
        clock.move(TTL)
        assert await store.leases.acquire("refresh:1", "b", ttl=TTL, patient=True) is not None

    async def test_a_released_lease_fences_its_holder_out(self, store: Store) -> None:
        fence = await lease(store)
        await store.leases.release(fence)
        await raised(LeaseLost, store.events.append([event()], fence=fence))
        assert await store.events.listing() == []

    async def test_a_clock_that_went_back_does_not_lock_the_role_away(
        self, store: Store, clock: SuiteClock
    ) -> None:
        clock.move(2 * HOUR)
        await store.leases.acquire("runner", "dead", ttl=TTL)
        clock.move(-2 * HOUR)
        assert await store.leases.acquire("runner", "b", ttl=TTL) is None
        clock.move(11 * S)
        assert await store.leases.acquire("runner", "b", ttl=TTL) is not None

    async def test_a_checkpoint_is_kept_for_each_source_and_account(self, store: Store) -> None:
        progress = store.progress
        assert await progress.checkpoint("mentions", ME) is None
        for cursor in ("1", "2"):
            here = Checkpoint(source="mentions", account_id=ME, cursor=cursor, read_to=T0)
            await progress.set_checkpoint(here)
        assert await progress.checkpoint("mentions", ME) == here
        assert await progress.checkpoint("mentions", "2") is None
        assert await progress.checkpoint("messages", ME) is None
        far = Checkpoint(source="mentions", account_id=ME, cursor="9")
        await raised(LeaseLost, progress.set_checkpoint(far, fence=LOST))
        assert await progress.checkpoint("mentions", ME) == here

    async def test_a_gap_is_opened_and_closed(self, store: Store) -> None:
        replace = msgspec.structs.replace
        first = GapRow(source="activity", account_id=ME, since=T0, cause="disconnected")
        number = await store.progress.open_gap(first)
        other = await store.progress.open_gap(replace(first, since=T0 + S))
        assert other != number
        closed = replace(first, id=number, until=T0 + HOUR, state="closed", tried="x", reason="y")
        await store.progress.change_gap(closed)
        newest, oldest = await store.progress.gaps()
        assert newest == replace(first, id=other, since=T0 + S)
        assert oldest == closed
        await store.progress.change_gap(replace(closed, state="open"))
        assert await store.progress.gaps(state="open") == [newest]
        assert await store.progress.gaps(limit=1) == [newest]
        assert await store.progress.gaps(state="closed") == [closed]
        assert (await forget(store, gaps=T0 + HOUR))["gaps"] == 0
        assert (await forget(store, gaps=T0 + HOUR + S))["gaps"] == 1
        assert await store.progress.gaps() == [newest]
        await store.progress.change_gap(replace(newest, until=T0))
        assert (await forget(store, gaps=T0 + HOUR))["gaps"] == 0

    async def test_a_schedule_fires_once_for_each_time(self, store: Store) -> None:
        fence = await lease(store)
        row = ScheduleRow(id="weather", account_id=ME, spec="0 8 * * *", next_at=T0 + HOUR)
        tick = event("tick/weather/1", kind="tick")
        assert await store.progress.fire(row, [tick], fence=fence) != [None]
        later = msgspec.structs.replace(row, next_at=T0 + 2 * HOUR)
        assert await store.progress.fire(later, [tick], fence=fence) == [None]
        assert await store.progress.schedules(ME) == [later]
        assert await store.progress.schedules() == [later]
        assert await store.progress.schedules("2") == []
        far = msgspec.structs.replace(row, next_at=T0 + 9 * HOUR)
        await raised(LeaseLost, store.progress.fire(far, [event("tick/2")], fence=LOST))
        assert await store.progress.schedules(ME) == [later]
        assert len((await store.events.due(T0)).items) == 1

    async def test_parts_say_the_latest_of_themselves(self, store: Store) -> None:
        runner = StatusReport(part="runner", state="running", at=T0, data={"pid": "7"})
        source = StatusReport(part="source/activity", state="open", detail="1 gap", at=T0)
        await store.progress.report([source, runner])
        assert await store.progress.reports() == [runner, source]
        newer = msgspec.structs.replace(runner, state="draining", at=T0 + S, data={})
        await store.progress.report([newer])
        assert await store.progress.reports() == [newer, source]
        await store.progress.clear_reports()
        assert await store.progress.reports() == []

    async def test_money_adds_up_exactly_by_the_hour(self, store: Store) -> None:
        for minute in range(10):
            await store.ledger.book(
                [
                    Booking(
                        account_id=ME,
                        at=T0 + timedelta(minutes=10 * minute),
                        reads_usd=Decimal("0.001"),
                        writes_usd=Decimal("0.1"),
                    )
                ]
            )
        first = BudgetEntry(
            account_id=ME,
            hour=T0,
            reads_usd=Decimal("0.006"),
            writes_usd=Decimal("0.6"),
            calls=6,
        )
        second = BudgetEntry(
            account_id=ME,
            hour=T0 + HOUR,
            reads_usd=Decimal("0.004"),
            writes_usd=Decimal("0.4"),
            calls=4,
        )
        spent = store.ledger.spent
        assert await spent(ME, since=T0 + timedelta(minutes=59)) == [first, second]
        assert await spent(ME, since=T0 + HOUR) == [second]
        assert await spent("2", since=T0) == []
        other = Booking(account_id="2", at=T0 + HOUR, reads_usd=Decimal("0.005"))
        await store.ledger.book([other])
        of_all = {(e.account_id, e.hour): e.calls for e in await spent(since=T0 + HOUR)}
        assert of_all == {(ME, T0 + HOUR): 4, ("2", T0 + HOUR): 1}
        before = T0 + HOUR + timedelta(minutes=5)
        assert (await forget(store, ledger=before))["ledger"] == 1
        assert await spent(ME, since=T0) == [second]

    async def test_a_resource_is_booked_once_for_each_app_and_utc_day(self, store: Store) -> None:
        midnight = T0.replace(hour=0) + timedelta(days=1)
        post = Booking(
            account_id=ME, at=midnight - S, app="a", resource="post/1", reads_usd=Decimal("0.005")
        )
        change = msgspec.structs.replace
        await store.ledger.book([post, change(post, at=midnight - HOUR), change(post, app="b")])
        await store.ledger.book([change(post, account_id="2"), change(post, resource="post/2")])
        await store.ledger.book([change(post, at=midnight)])

        spent = await store.ledger.spent(ME, since=T0)
        assert [(entry.reads_usd, entry.calls) for entry in spent] == [
            (Decimal("0.015"), 3),
            (Decimal("0.005"), 1),
        ]
        assert await store.ledger.spent("2", since=T0) == []

    async def test_money_is_booked_with_the_events_and_the_outcome_that_it_paid_for(
        self, store: Store
    ) -> None:
        fence = await lease(store)
        read = Booking(
            account_id=ME, at=T0, app="a", resource="post/1", reads_usd=Decimal("0.005")
        )
        paid = Booking(account_id=ME, at=T0, writes_usd=Decimal("0.015"))
        await raised(LeaseLost, store.events.append([event("1")], bookings=[read], fence=LOST))
        assert await store.ledger.spent(ME, since=T0) == []
        await store.events.append([event("1")], bookings=[read], fence=fence)
        await store.events.append([event("2")], bookings=[read], fence=fence)
        await store.writes.begin(write("step/1"), now=T0, fence=fence)
        sure = WriteMove(to=WriteState.CONFIRMED, result_id="1", result=b"{}")
        await raised(
            LeaseLost, store.writes.move("step/1", sure, now=T0, bookings=[paid], fence=LOST)
        )
        await store.writes.move("step/1", sure, now=T0, bookings=[paid], fence=fence)
        (entry,) = await store.ledger.spent(ME, since=T0)
        assert (entry.reads_usd, entry.writes_usd) == (Decimal("0.005"), Decimal("0.015"))

    async def test_what_was_charged_before_yesterday_is_forgotten(self, store: Store) -> None:
        post = Booking(
            account_id=ME, at=T0, app="a", resource="post/1", reads_usd=Decimal("0.005")
        )
        await store.ledger.book([post])
        for days, forgotten in ((1, 0), (2, 1)):
            never = dict.fromkeys(KeepFor.__struct_fields__, timedelta(days=36500))
            counts = await store.prune(KeepFor(**never), now=T0 + timedelta(days=days))
            assert counts["charges"] == forgotten

    async def test_a_read_is_open_until_an_equal_one_has_shown_its_charge(
        self, store: Store
    ) -> None:
        ledger, change = store.ledger, msgspec.structs.replace
        assert await ledger.open_read(READ)
        assert not await ledger.open_read(change(READ, at=T0 + S))
        others = [
            change(READ, at=T0 + timedelta(days=1)),
            change(READ, app="other"),
            change(READ, account_id="2"),
            change(READ, request="another"),
        ]
        for other in others:
            assert await ledger.open_read(other)
        assert sorted(await ledger.open_reads(), key=repr) == sorted([READ, *others], key=repr)
        assert (await ledger.open_reads())[-1] == others[0]
        cost = Booking(account_id=ME, at=T0, reads_usd=Decimal("0.005"))
        await ledger.book([cost, Booking(account_id=ME, at=T0, settles=change(READ, at=T0 + S))])
        assert sorted(await ledger.open_reads(), key=repr) == sorted(others, key=repr)
        assert [entry.calls for entry in await ledger.spent(ME, since=T0)] == [1]
        assert await ledger.open_read(READ)

    async def test_a_read_is_given_up_once_with_what_is_booked_for_it(self, store: Store) -> None:
        ledger = store.ledger
        await ledger.open_read(READ)
        most = [Booking(account_id=ME, at=T0, reads_usd=Decimal("0.010"))]
        assert await ledger.give_up_read(READ, most)
        assert not await ledger.give_up_read(READ, most)
        settled = Booking(account_id=ME, at=T0, settles=READ)
        await ledger.book([settled])
        given_up = msgspec.structs.replace(READ, most_usd=Decimal("0.010"), given_up=True)
        assert await ledger.open_reads() == [given_up]
        assert [entry.reads_usd for entry in await ledger.spent(ME, since=T0)] == [
            Decimal("0.010")
        ]
        assert (await forget(store, ledger=T0))["open_reads"] == 0
        assert (await forget(store, ledger=T0 + HOUR))["open_reads"] == 1

    async def test_a_read_that_cost_nothing_is_closed(self, store: Store) -> None:
        await store.ledger.open_read(READ)
        assert await store.ledger.give_up_read(READ, [])
        assert await store.ledger.open_reads() == []
        assert not await store.ledger.give_up_read(READ, [])
