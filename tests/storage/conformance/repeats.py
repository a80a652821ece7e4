"""What is done again with the same arguments: nothing more changes, or it is refused.

A caller whose connection broke cannot know whether its transaction was committed.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from botkit.errors import Conflict, InvitationRefused
from botkit.model.bookings import Booking
from botkit.model.hearing import Checkpoint, GapRow
from botkit.model.invitations import Invitation
from botkit.model.records import (
    Mark,
    MemoKey,
    MissedRead,
    RunDead,
    RunDone,
    RunParked,
    RunRetried,
    ScheduleRow,
    StateChange,
    StatusReport,
    StoredOptOut,
    StoredUser,
    WriteMove,
    WriteState,
)
from botkit.model.tokens import CredentialKind, LoginState
from botkit.model.users import Account
from tests.storage.conformance.bench import (
    ME,
    T0,
    Suite,
    credential,
    event,
    forget,
    intent,
    lease,
    letter,
    raised,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from botkit.ports import Store

    Calls = list[Callable[[], Awaitable[object]]]

__all__ = ["RepeatsConformance"]

HOUR = timedelta(hours=1)
LATER = T0 + HOUR
MEMO = MemoKey(account_id=ME, event_key="a", run=0, handler="h", name="model")
SURE = WriteMove(to=WriteState.CONFIRMED, result_id="7", result=b"{}")
DOUBT = WriteMove(to=WriteState.UNCERTAIN, reason="reset", next_read_at=LATER)


class RepeatsConformance(Suite):
    """Every method that writes, twice."""

    async def test_events_that_are_recorded_or_settled_again_stay_as_they_are(
        self, store: Store
    ) -> None:
        fence = await lease(store)
        seqs = await store.events.append([event(key) for key in "abcde"])
        a, b, c, d, e = (seq for seq in seqs if seq is not None)
        (item, *_) = (await store.events.due(T0)).items
        change = StateChange(scope="bot", key="n", value=b"1", expected_rev=0)
        done = RunDone(seq=a, changes=(change,), emitted=(event("signal/1"),))
        parked = RunParked(seq=c, waiting_for="login", until=None)
        here = Checkpoint(source="mentions", account_id=ME, cursor="9")
        events = store.events
        calls: Calls = [
            lambda: events.append([event("a"), event("f")], checkpoint=here, fence=fence),
            lambda: events.mark_running([a, b, c], fence=fence),
            lambda: events.amend(b, b"whole", fence=fence),
            lambda: events.settle(
                [done, RunDead(seq=b, letter=letter(item)), parked, RunDone(seq=d)], fence=fence
            ),
            lambda: events.append([event("g")], ends=[RunDone(seq=e)], fence=fence),
            lambda: events.count_unclean(fence=fence),
            lambda: events.unpark("login"),
            lambda: events.revive(ME, "b"),
            lambda: events.drop(ME, "c", "enough"),
        ]
        await _twice(store, calls)

    async def test_a_failed_try_is_counted_each_time(self, store: Store) -> None:
        fence = await lease(store)
        (seq,) = await store.events.append([event()])
        assert seq is not None
        retried = RunRetried(seq=seq, not_before=T0, reason="x")
        await store.events.settle([retried], fence=fence)
        await store.events.settle([retried], fence=fence)
        assert [item.attempts for item in (await store.events.due(T0)).items] == [2]

    async def test_a_write_that_is_begun_or_moved_again_stays_as_it_is(self, store: Store) -> None:
        fence = await lease(store)
        writes = store.writes
        calls: Calls = [
            lambda: writes.begin(write(), now=T0, fence=fence),
            lambda: writes.move("step/1", DOUBT, now=T0, fence=fence),
            lambda: writes.recover(now=T0, fence=fence),
            lambda: writes.move("step/1", SURE, now=T0, fence=fence),
            lambda: writes.move("step/1", MissedRead(clean=True, next_read_at=T0), now=T0),
            lambda: writes.put_aside(
                write("step/2"), WriteState.EXPIRED, reason="no", now=T0, fence=fence
            ),
            lambda: store.states.keep(MEMO, b"1", fence=fence),
        ]
        await _twice(store, calls)

    async def test_a_reading_is_counted_each_time(self, store: Store) -> None:
        fence = await lease(store)
        await store.writes.begin(write(), now=T0, fence=fence)
        await store.writes.move("step/1", DOUBT, now=T0, fence=fence)
        for _ in range(2):
            await store.writes.move("step/1", MissedRead(clean=True, next_read_at=T0), now=T0)
        row = await store.writes.get("step/1")
        assert row is not None
        assert (row.reads, row.clean_reads) == (2, 2)

    async def test_a_login_that_is_changed_again_stays_as_it_is(self, store: Store) -> None:
        first = await store.credentials.replace(credential())
        await store.credentials.intend(first, intent(), reserve_bytes=64)
        logins = store.credentials
        calls: Calls = [
            logins.make_room,
            lambda: logins.mark_sent(first, "i1"),
            lambda: logins.set_status(first, LoginState.DEAD, reason="x", now=LATER),
            lambda: logins.expire(first, now=T0),
            lambda: logins.note_level(first, "read"),
            lambda: logins.reseal(first, msgspec.structs.replace(first, sealed=b"other")),
            lambda: logins.clear_intent(first, "i1"),
            lambda: store.set_vault_check(b"proof", expected=None),
            lambda: logins.remove(ME, "default", CredentialKind.OAUTH2),
        ]
        await _twice(store, calls)

    async def test_a_new_generation_is_stored_once(self, store: Store) -> None:
        first = await store.credentials.replace(credential())
        await raised(Conflict, store.credentials.replace(credential()))
        await store.credentials.intend(first, intent(), reserve_bytes=64)
        await store.credentials.store_result(credential(2), "i1")
        await raised(Conflict, store.credentials.store_result(credential(2), "i1"))

    async def test_accounts_and_what_is_known_of_users_stay_as_they_are(
        self, store: Store
    ) -> None:
        accounts = store.accounts
        ada = Account(id=ME, username="ada", name="Ada", app="default")
        user = StoredUser(id="7", username="u", body=b"{}", fetched_at=T0)
        calls: Calls = [
            lambda: accounts.put(ada),
            lambda: accounts.rename(ME, "a"),
            lambda: accounts.cache_users([user]),
            lambda: accounts.opt_out(StoredOptOut(account_id=ME, user_id="7", at=T0)),
            lambda: accounts.opt_in(ME, "7"),
            lambda: accounts.set_mark(Mark(account_id=ME, step="label", at=T0)),
            lambda: accounts.clear_mark(ME, "label"),
            lambda: accounts.remove(ME),
        ]
        await _twice(store, calls)

    async def test_an_invitation_is_used_once(self, store: Store) -> None:
        fence = await lease(store)
        invited = store.invitations
        for name in ("01", "02"):
            await invited.add(
                Invitation(
                    id=name, secret_hash=b"h", app="default", created_at=T0, expires_at=LATER
                )
            )
        assert await invited.hold("01", "a", before="", until=LATER, now=T0) is not None
        assert await invited.hold("01", "a", before="", until=LATER, now=T0) is None
        ada = Account(id=ME, username="ada", name="Ada", app="default")
        await invited.redeem("01", "a", ada, credential(), [event()], now=T0, fence=fence)
        again = invited.redeem("01", "a", ada, credential(), [event()], now=T0, fence=fence)
        await raised(InvitationRefused, again)
        calls: Calls = [
            lambda: invited.free("01", "a"),
            invited.free_all,
            lambda: invited.revoke("02", now=T0),
        ]
        await _twice(store, calls)

    async def test_roles_and_progress_stay_as_they_are(self, store: Store) -> None:
        fence = await lease(store)
        gap = GapRow(source="s", account_id=ME, since=T0, until=LATER)
        number = await store.progress.open_gap(gap)
        closed = msgspec.structs.replace(gap, id=number, state="closed")
        row = ScheduleRow(id="w", account_id=ME, spec="0 8 * * *", next_at=LATER)
        here = Checkpoint(source="mentions", account_id=ME, cursor="9")
        report = StatusReport(part="runner", state="running", at=T0)
        progress = store.progress
        calls: Calls = [
            lambda: progress.set_checkpoint(here, fence=fence),
            lambda: progress.change_gap(closed),
            lambda: progress.fire(row, [event("tick/1", kind="tick")], fence=fence),
            lambda: progress.report([report]),
            lambda: store.leases.renew(fence, ttl=HOUR),
            lambda: forget(store, gaps=LATER + HOUR),
            progress.clear_reports,
            store.changed,
            lambda: store.leases.release(fence),
        ]
        await _twice(store, calls)

    async def test_money_is_added_each_time(self, store: Store) -> None:
        for _ in range(2):
            await store.ledger.book([Booking(account_id=ME, at=T0, reads_usd=Decimal("0.1"))])
        (entry,) = await store.ledger.spent(ME, since=T0)
        assert (entry.reads_usd, entry.calls) == (Decimal("0.2"), 2)

    async def test_what_was_asked_before_the_end_is_done_and_a_second_end_is_none(
        self, store: Store
    ) -> None:
        await store.events.append([event()])
        await store.close()
        await store.close()


async def _twice(store: Store, calls: Calls) -> None:
    for call in calls:
        await call()
        before = await _everything(store)
        await call()
        assert await _everything(store) == before


async def _everything(store: Store) -> list[Any]:
    return [
        await store.events.listing(),
        await store.events.dead(),
        await store.events.counts(),
        await store.events.due(LATER),
        await store.states.read("bot", "n"),
        await store.states.memo(MEMO),
        await store.writes.listing(),
        await store.credentials.listing(),
        await store.vault_check(),
        await store.accounts.listing(),
        await store.accounts.cached_users(["7"], since=T0),
        await store.accounts.opted_out(ME, "7"),
        await store.accounts.marks(ME),
        await store.invitations.listing(),
        await store.progress.checkpoint("mentions", ME),
        await store.progress.gaps(),
        await store.progress.schedules(ME),
        await store.progress.reports(),
        await store.leases.holder("runner"),
    ]
