"""The journal of writes: every way from SENDING to an end."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from botkit.errors import Conflict, LeaseLost
from botkit.model.answers import SentAnswer
from botkit.model.records import (
    EventState,
    Fence,
    KeepFor,
    MemoKey,
    MissedRead,
    RunDead,
    RunDone,
    RunEnd,
    RunParked,
    WriteMove,
    WritePolicy,
    WriteState,
)
from tests.storage.conformance.bench import (
    ME,
    T0,
    Suite,
    done,
    event,
    forget,
    lease,
    letter,
    raised,
    write,
)

if TYPE_CHECKING:
    from datetime import datetime

    from botkit.model.records import StoredWrite
    from botkit.ports import Store

__all__ = ["WritesConformance"]

S = timedelta(seconds=1)
LOST = Fence("runner", "tester", 99)


class WritesConformance(Suite):
    """`store.writes`."""

    async def test_writes_are_found_by_their_event(self, store: Store) -> None:
        fence = await lease(store)
        for number, key in enumerate(("post/1/1", "post/2/1", "")):
            await store.writes.begin(write(f"w{number}", event_key=key), now=T0, fence=fence)
        assert [one.id for one in await store.writes.listing(event_key="post/2/1")] == ["w1"]
        assert await store.writes.listing(event_key="post/2/1", account_id="2") == []
        assert await store.writes.listing(event_key="") == []

    async def test_each_time_that_an_answer_is_sent_is_kept_for_two_days(
        self, store: Store
    ) -> None:
        fence, hour = await lease(store), timedelta(hours=1)
        await store.writes.begin(write("w0"), now=T0, fence=fence)
        for number in (1, 2, 1):
            answer = write(f"w{number}", thread=f"7/{number}")
            await store.writes.begin(answer, now=T0 + number * hour, fence=fence)
        sent = [
            SentAnswer(account_id=ME, thread=f"7/{number}", at=T0 + number * hour)
            for number in (1, 2)
        ]
        assert await store.writes.answers(since=T0) == sent
        assert await store.writes.answers(since=T0 + 2 * hour) == sent[1:]
        never = KeepFor(**dict.fromkeys(KeepFor.__struct_fields__, timedelta(days=36500)))
        day = timedelta(days=2)
        assert (await store.prune(never, now=T0 + hour + day))["answers"] == 0
        assert (await store.prune(never, now=T0 + 2 * hour + day))["answers"] == 1
        assert await store.writes.answers(since=T0) == sent[1:]

    async def test_writes_that_are_not_final_are_counted(self, store: Store) -> None:
        fence = await lease(store)
        for number in range(3):
            await store.writes.begin(write(f"w{number}"), now=T0, fence=fence)
        sure = WriteMove(to=WriteState.CONFIRMED, result_id="9", result=b"{}")
        await store.writes.move("w0", sure, now=T0, fence=fence)
        await store.writes.move("w1", WriteMove(to=WriteState.UNCERTAIN), now=T0, fence=fence)
        found = await store.writes.unfinished()
        assert dict(found) == {WriteState.SENDING: 1, WriteState.UNCERTAIN: 1}

    async def test_a_write_begins_once_and_is_sending(self, store: Store) -> None:
        fence = await lease(store)
        new = write(
            policy=WritePolicy.HOLD,
            cost_usd=Decimal("0.010"),
            expires_at=T0 + S,
            run=2,
            target="t",
        )
        begun = await store.writes.begin(new, now=T0, fence=fence)
        assert begun.fresh
        assert begun.state is WriteState.SENDING
        for field in (
            *("id", "account_id", "operation", "target", "body", "event_key", "run", "handler"),
            *("text", "text_hash", "interaction", "policy", "cost_usd", "expires_at"),
        ):
            assert getattr(begun, field) == getattr(new, field)
        assert (begun.created_at, begun.first_sent_at, begun.last_sent_at) == (T0, T0, T0)
        (attempt,) = begun.attempts
        assert (attempt.n, attempt.started, attempt.epoch) == (1, T0, fence.epoch)
        again = await store.writes.begin(write(text="other"), now=T0 + S, fence=fence)
        assert not again.fresh
        assert (again.text, again.state, again.last_sent_at) == ("hi", WriteState.SENDING, T0)

    async def test_a_write_does_not_begin_without_the_lease(self, store: Store) -> None:
        await raised(LeaseLost, store.writes.begin(write(), now=T0, fence=LOST))
        assert await store.writes.get("step/1") is None

    async def test_a_write_put_aside_was_never_attempted(self, store: Store) -> None:
        fence = await lease(store)
        aside = store.writes.put_aside
        await aside(write(), WriteState.REJECTED, reason="no", now=T0, fence=fence)
        row = await _get(store)
        assert (row.state, row.reason, row.created_at) == (WriteState.REJECTED, "no", T0)
        assert (row.attempts, row.first_sent_at) == ((), None)
        begun = await store.writes.begin(write(), now=T0 + S, fence=fence)
        assert not begun.fresh
        await raised(
            LeaseLost,
            aside(write("step/2"), WriteState.EXPIRED, reason="dry", now=T0, fence=LOST),
        )
        assert await store.writes.get("step/2") is None

    async def test_putting_aside_changes_nothing_but_a_queued_write(self, store: Store) -> None:
        fence = await lease(store)
        aside = store.writes.put_aside
        await store.writes.begin(write(), now=T0, fence=fence)
        await aside(write(), WriteState.REJECTED, reason="no", now=T0 + S, fence=fence)
        assert (await _get(store)).state is WriteState.SENDING
        await store.writes.move(
            "step/1", WriteMove(to=WriteState.QUEUED, reason="429"), now=T0 + S, fence=fence
        )
        await aside(write(), WriteState.REJECTED, reason="no", now=T0 + S, fence=fence)
        row = await _get(store)
        assert (row.state, row.reason, len(row.attempts)) == (WriteState.REJECTED, "no", 1)

    async def test_a_confirmed_write_returns_what_it_returned(self, store: Store) -> None:
        fence = await lease(store)
        await store.writes.begin(write(), now=T0, fence=fence)
        first = WriteMove(to=WriteState.CONFIRMED, result_id="77", result=b'{"id":"77"}')
        await store.writes.move("step/1", first, now=T0 + S, fence=fence)
        other = WriteMove(to=WriteState.CONFIRMED, result_id="78", result=b"{}")
        await store.writes.move("step/1", other, now=T0 + S)
        again = await store.writes.begin(write(text="changed"), now=T0 + 2 * S, fence=fence)
        assert not again.fresh
        assert (again.state, again.result_id) == (WriteState.CONFIRMED, "77")
        assert again.result == b'{"id":"77"}'
        (attempt,) = again.attempts
        assert (attempt.outcome, attempt.ended) == ("confirmed", T0 + S)
        assert await store.writes.owner_of(ME, "77") == "step/1"
        assert await store.writes.owner_of("2", "77") is None
        assert await store.writes.owner_of(ME, "") is None

    async def test_a_refused_write_stays_refused(self, store: Store) -> None:
        fence = await lease(store)
        await store.writes.begin(write(), now=T0, fence=fence)
        await store.writes.move(
            "step/1",
            WriteMove(to=WriteState.REJECTED, reason="403 duplicate"),
            now=T0 + S,
            fence=fence,
        )
        again = await store.writes.begin(write(), now=T0 + S, fence=fence)
        assert (again.fresh, again.state) == (False, WriteState.REJECTED)
        assert again.reason == "403 duplicate"
        await raised(
            Conflict,
            store.writes.move(
                "step/1", WriteMove(to=WriteState.QUEUED, reason=""), now=T0 + S, fence=fence
            ),
        )

    async def test_a_write_that_surely_did_not_happen_is_sent_again(self, store: Store) -> None:
        fence = await lease(store)
        await store.writes.begin(write(), now=T0, fence=fence)
        await store.writes.move(
            "step/1", WriteMove(to=WriteState.QUEUED, reason="429"), now=T0 + S, fence=fence
        )
        queued = await _get(store)
        assert (queued.state, queued.reason) == (WriteState.QUEUED, "429")
        again = await store.writes.begin(write(text="newer"), now=T0 + 9 * S, fence=fence)
        assert (again.fresh, again.state) == (True, WriteState.SENDING)
        assert again.text == "newer"
        assert (again.first_sent_at, again.last_sent_at) == (T0, T0 + 9 * S)
        assert [(a.n, a.outcome) for a in again.attempts] == [(1, "429"), (2, "")]

    async def test_a_queued_write_expires_when_its_event_is_over(self, store: Store) -> None:
        fence = await lease(store)
        keys = ("waits", "dead", "done", "dropped", "forgotten", "done/sending", "again")
        recorded = [event(key) for key in keys if key != "forgotten"]
        seqs = dict(
            zip((e.key for e in recorded), await store.events.append(recorded), strict=True)
        )
        for key in keys:
            await store.writes.begin(write(key, event_key=key), now=T0, fence=fence)
            if key != "done/sending":
                back = WriteMove(to=WriteState.QUEUED, reason="429")
                await store.writes.move(key, back, now=T0, fence=fence)
        items = {item.key: item for item in (await store.events.due(T0)).items}
        dropped = RunDone(seq=seqs["dropped"] or 0, state=EventState.DROPPED, note="no")
        ends: list[RunEnd] = [done(seqs[key] or 0) for key in ("done", "done/sending", "again")]
        ends += [dropped, RunDead(seq=seqs["dead"] or 0, letter=letter(items["dead"]))]
        await store.events.settle(ends, fence=fence)
        await store.events.revive(ME, "again", new_run=True)
        expired = await store.writes.expire_moot()
        assert sorted(expired) == ["again", "done", "dropped", "forgotten"]
        row = await _get(store, "done")
        assert row.state is WriteState.EXPIRED
        assert row.reason == "the event has ended, and its last run did not ask for it again"
        assert await store.writes.expire_moot() == []

    async def test_what_unfinished_events_did_goes_with_a_handler_that_is_renamed(
        self, store: Store
    ) -> None:
        fence = await lease(store)
        seqs = await store.events.append([event("a"), event("b"), event("over")])
        old, new = (f"{ME}/b#0/{name}/createPosts//0" for name in ("bot.greet", "greet"))
        await store.writes.begin(
            write(old, event_key="b", handler="bot.greet"), now=T0, fence=fence
        )
        await _doubt(store, old, T0, fence)
        parked = RunParked(seq=seqs[1] or 0, waiting_for=f"write/{old}", until=None)
        await store.events.settle([parked], fence=fence)
        for key in ("a", "over"):
            await store.states.keep(_memo(key, "bot.greet"), b"paid", fence=fence)
        await store.events.settle([done(seqs[2] or 0)], fence=fence)
        for _ in range(2):
            gone = await store.take_over_handlers(["greet"], {"bot.greet": "greet"}, fence=fence)
            assert gone == []
        assert await store.states.memo(_memo("a", "greet")) == b"paid"
        assert await store.states.memo(_memo("a", "bot.greet")) is None
        assert await store.states.memo(_memo("over", "bot.greet")) == b"paid"
        assert await store.writes.get(old) is None
        row = await _get(store, new)
        assert (row.handler, row.state, len(row.attempts)) == ("greet", WriteState.UNCERTAIN, 1)
        assert await store.events.unpark(f"write/{new}") == 1
        await raised(LeaseLost, store.take_over_handlers([], {}, fence=LOST))

    async def test_an_unfinished_event_of_a_handler_that_is_gone_is_held(
        self, store: Store
    ) -> None:
        fence = await lease(store)
        await store.events.append([event(key) for key in ("kept", "sent", "queued", "other")])
        await store.states.keep(_memo("kept", "greet"), b"paid", fence=fence)
        for key in ("sent", "queued"):
            write_id = f"{ME}/{key}#0/greet/createPosts//0"
            await store.writes.begin(
                write(write_id, event_key=key, handler="greet"), now=T0, fence=fence
            )
        back = WriteMove(to=WriteState.QUEUED, reason="429")
        await store.writes.move(write_id, back, now=T0, fence=fence)
        for _ in range(2):
            (gone,) = await store.take_over_handlers(["hello"], {}, fence=fence)
            assert (gone.name, gone.keys) == ("greet", ("kept", "sent"))
            due = [item.key for item in (await store.events.due(T0)).items]
            assert due == ["queued", "other"]
        (held,) = await store.events.get("kept")
        assert held.waiting_for == "handler/greet"
        assert await store.take_over_handlers(["hello"], {"greet": "hello"}, fence=fence) == []
        due = [item.key for item in (await store.events.due(T0)).items]
        assert due == ["kept", "sent", "queued", "other"]
        assert await store.states.memo(_memo("kept", "hello")) == b"paid"

    async def test_handlers_that_are_gone_are_told_in_the_order_of_their_names(
        self, store: Store
    ) -> None:
        fence = await lease(store)
        await store.events.append([event(key) for key in ("a", "b")])
        for key, handler in (("a", "zebra"), ("b", "ant")):
            await store.states.keep(_memo(key, handler), b"paid", fence=fence)
        gone = await store.take_over_handlers(["hello"], {}, fence=fence)
        assert [(one.name, one.keys) for one in gone] == [("ant", ("b",)), ("zebra", ("a",))]

    async def test_a_dead_letter_of_a_handler_that_is_gone_is_held_when_it_is_revived(
        self, store: Store
    ) -> None:
        fence = await lease(store)
        keys = ("kept", "sent", "refused", "plain")
        await store.events.append([event(key) for key in keys])
        await store.states.keep(_memo("kept", "greet"), b"paid", fence=fence)
        for key, state in (("sent", WriteState.UNCERTAIN), ("refused", WriteState.REJECTED)):
            write_id = f"{ME}/{key}#0/greet/createPosts//0"
            new = write(write_id, event_key=key, handler="greet")
            await store.writes.begin(new, now=T0, fence=fence)
            await store.writes.move(write_id, WriteMove(to=state), now=T0, fence=fence)
        dead = [
            RunDead(seq=item.seq, letter=letter(item, handler="greet"))
            for item in (await store.events.due(T0)).items
        ]
        await store.events.settle(dead, fence=fence)

        async def revived() -> list[str]:
            for key in keys:
                assert await store.events.revive(ME, key)
            due = [item.key for item in (await store.events.due(T0)).items]
            await store.events.settle(dead, fence=fence)
            return due

        assert await revived() == [*keys]  # no start has said yet which handlers there are
        await store.take_over_handlers(["greet"], {}, fence=fence)
        assert await revived() == [*keys]
        await store.take_over_handlers(["hello"], {}, fence=fence)
        assert await revived() == ["refused", "plain"]
        assert await store.events.revive(ME, "kept")
        (held,) = await store.events.get("kept")
        assert held.waiting_for == "handler/greet"
        assert await store.events.revive(ME, "sent", new_run=True)
        assert [item.key for item in (await store.events.due(T0)).items] == ["sent"]

    async def test_reading_counts_stand_in_the_row(self, store: Store) -> None:
        fence = await lease(store)
        await store.writes.begin(write(), now=T0, fence=fence)
        await _doubt(store, "step/1", T0 + 5 * S, fence)
        uncertain = await _get(store)
        assert (uncertain.state, uncertain.next_read_at) == (WriteState.UNCERTAIN, T0 + 5 * S)
        for clean, at, again in ((False, 5, 15), (True, 15, 60), (True, 60, None)):
            next_read_at = None if again is None else T0 + again * S
            missed = MissedRead(clean=clean, next_read_at=next_read_at)
            await store.writes.move("step/1", missed, now=T0 + at * S)
        counted = await _get(store)
        assert (counted.reads, counted.clean_reads) == (3, 2)
        assert counted.first_clean_at == T0 + 15 * S
        assert counted.last_clean_at == T0 + 60 * S
        assert counted.next_read_at is None

    async def test_absent_is_sent_again_with_new_counts(self, store: Store) -> None:
        fence = await lease(store)
        await store.writes.begin(write(), now=T0, fence=fence)
        await _doubt(store, "step/1", T0 + S, fence)
        await store.writes.move("step/1", MissedRead(clean=True, next_read_at=T0), now=T0 + S)
        await store.writes.move(
            "step/1", WriteMove(to=WriteState.ABSENT, reason="not there"), now=T0 + S
        )
        await store.writes.move(
            "step/1", WriteMove(to=WriteState.QUEUED, reason="absent"), now=T0 + S
        )
        again = await store.writes.begin(write(), now=T0 + 2 * S, fence=fence)
        assert (again.reads, again.clean_reads, again.first_clean_at) == (0, 0, None)
        assert again.next_read_at is None

    async def test_a_read_that_comes_after_the_end_changes_nothing(self, store: Store) -> None:
        fence = await lease(store)
        await store.writes.begin(write(), now=T0, fence=fence)
        await store.writes.move(
            "step/1",
            WriteMove(to=WriteState.CONFIRMED, result_id="7", result=b"{}"),
            now=T0,
            fence=fence,
        )
        before = await _get(store)
        await store.writes.move("step/1", MissedRead(clean=True, next_read_at=T0 + S), now=T0 + S)
        assert await _get(store) == before

    async def test_a_confirmed_write_cannot_become_anything_else(self, store: Store) -> None:
        fence = await lease(store)
        await store.writes.begin(write(), now=T0, fence=fence)
        await store.writes.move(
            "step/1",
            WriteMove(to=WriteState.CONFIRMED, result_id="7", result=b"{}"),
            now=T0,
            fence=fence,
        )
        writes = store.writes
        for attempt in (
            writes.move(
                "step/1", WriteMove(to=WriteState.REJECTED, reason="x"), now=T0, fence=fence
            ),
            writes.move(
                "step/1", WriteMove(to=WriteState.QUEUED, reason="x"), now=T0, fence=fence
            ),
            writes.move(
                "step/1",
                WriteMove(to=WriteState.UNCERTAIN, reason="x", next_read_at=T0),
                now=T0,
                fence=fence,
            ),
            writes.move("step/1", WriteMove(to=WriteState.UNRESOLVED, reason="x"), now=T0),
        ):
            await raised(Conflict, attempt)
        assert (await _get(store)).state is WriteState.CONFIRMED

    async def test_a_write_that_is_not_on_record_is_a_conflict(self, store: Store) -> None:
        writes = store.writes
        for attempt in (
            writes.move(
                "none", WriteMove(to=WriteState.CONFIRMED, result_id="7", result=b"{}"), now=T0
            ),
            writes.move("none", WriteMove(to=WriteState.REJECTED, reason="x"), now=T0),
            writes.move("none", MissedRead(clean=True, next_read_at=None), now=T0),
        ):
            await raised(Conflict, attempt)

    async def test_what_was_being_sent_when_the_process_ended_is_uncertain(
        self, store: Store
    ) -> None:
        fence = await lease(store)
        for name in ("a", "b", "c"):
            await store.writes.begin(write(name), now=T0, fence=fence)
        await store.writes.move(
            "a",
            WriteMove(to=WriteState.CONFIRMED, result_id="7", result=b"{}"),
            now=T0,
            fence=fence,
        )
        await _doubt(store, "b", T0 + 5 * S, fence)
        await raised(LeaseLost, store.writes.recover(now=T0 + S, fence=LOST))
        found = await store.writes.recover(now=T0 + S, fence=fence)
        assert [(row.id, row.state) for row in found] == [
            ("b", WriteState.UNCERTAIN),
            ("c", WriteState.UNCERTAIN),
        ]
        assert [row.next_read_at for row in found] == [T0 + 5 * S, T0 + S]
        assert found[1].attempts[0].ended == T0 + S
        assert (await store.writes.begin(write("c"), now=T0 + S, fence=fence)).fresh is False

    async def test_a_person_can_decide(self, store: Store) -> None:
        fence = await lease(store)
        await store.writes.begin(write(), now=T0, fence=fence)
        await _doubt(store, "step/1", T0, fence)
        await store.writes.move(
            "step/1", WriteMove(to=WriteState.UNRESOLVED, reason="hold"), now=T0
        )
        assert (await _get(store)).state is WriteState.UNRESOLVED
        await store.writes.move(
            "step/1", WriteMove(to=WriteState.EXPIRED, reason="gave up"), now=T0
        )
        row = await _get(store)
        assert (row.state, row.reason, row.next_read_at) == (WriteState.EXPIRED, "gave up", None)

    async def test_the_listing_is_newest_first_by_state_and_account(self, store: Store) -> None:
        fence = await lease(store)
        for name, account in (("a", ME), ("b", "2"), ("c", ME)):
            await store.writes.begin(write(name, account_id=account), now=T0, fence=fence)
        await store.writes.move(
            "a", WriteMove(to=WriteState.REJECTED, reason="no"), now=T0, fence=fence
        )
        listing = store.writes.listing
        assert [row.id for row in await listing()] == ["c", "b", "a"]
        assert [row.id for row in await listing(account_id=ME)] == ["c", "a"]
        assert [row.id for row in await listing(states=[WriteState.REJECTED])] == ["a"]
        both = [WriteState.REJECTED, WriteState.SENDING]
        assert [row.id for row in await listing(states=both, limit=2)] == ["c", "b"]

    async def test_an_interaction_counts_as_answered_when_it_may_have_been(
        self, store: Store
    ) -> None:
        fence = await lease(store)
        await _one_of_each(store, fence)

        async def answers(**more: str) -> set[str]:
            found = await store.writes.rivals(write("new", **more), since=T0 + S)
            assert found.same_text == ()
            return {row.id for row in found.answers}

        happened = {"sending", "confirmed", "uncertain", "unresolved"}
        assert await answers(interaction="1") == happened
        assert await answers(interaction="2") == set()
        assert await answers(interaction="1", account_id="2") == set()
        assert await answers(interaction="") == set()

    async def test_the_same_text_is_found_while_it_is_young(self, store: Store) -> None:
        fence = await lease(store)
        await _one_of_each(store, fence)

        async def same(since: datetime = T0, **more: str) -> set[str]:
            new = write("new", **({"interaction": "", "text_hash": "h1"} | more))
            found = await store.writes.rivals(new, since=since)
            assert found.answers == ()
            return {row.id for row in found.same_text}

        happened = {"sending", "confirmed", "uncertain", "unresolved"}
        assert await same(target="reply/1") == happened
        assert await same(target="reply/1", since=T0 + S) == set()
        assert await same(target="reply/2") == set()
        assert await same(target="reply/1", text_hash="h2") == set()
        assert await same(target="reply/1", text_hash="") == set()
        assert await same(target="reply/1", account_id="2") == set()

    async def test_a_write_is_no_rival_of_itself(self, store: Store) -> None:
        fence = await lease(store)
        await _one_of_each(store, fence)
        found = await store.writes.rivals(write("confirmed"), since=T0)
        others = {"sending", "uncertain", "unresolved"}
        assert {row.id for row in found.answers} == others
        assert {row.id for row in found.same_text} == others

    async def test_only_final_writes_are_forgotten_and_only_old_ones(self, store: Store) -> None:
        fence = await lease(store)
        await _one_of_each(store, fence)
        assert (await forget(store, writes=T0))["writes"] == 0
        assert (await forget(store, writes=T0 + S))["writes"] == 3
        left = {row.id for row in await store.writes.listing()}
        assert left == {"sending", "uncertain", "unresolved", "queued", "absent"}


async def _get(store: Store, write_id: str = "step/1") -> StoredWrite:
    row = await store.writes.get(write_id)
    assert row is not None
    return row


def _memo(key: str, handler: str) -> MemoKey:
    return MemoKey(account_id=ME, event_key=key, run=0, handler=handler, name="model")


async def _doubt(store: Store, write_id: str, next_read_at: datetime, fence: Fence) -> None:
    doubt = WriteMove(to=WriteState.UNCERTAIN, reason="reset", next_read_at=next_read_at)
    await store.writes.move(write_id, doubt, now=T0, fence=fence)


async def _one_of_each(store: Store, fence: Fence) -> None:
    names = ("confirmed", "rejected", "uncertain", "unresolved", "queued", "absent", "expired")
    writes = store.writes
    for name in ("sending", *names):
        await writes.begin(write(name), now=T0, fence=fence)
    await writes.move(
        "confirmed",
        WriteMove(to=WriteState.CONFIRMED, result_id="7", result=b"{}"),
        now=T0,
        fence=fence,
    )
    await writes.move(
        "rejected", WriteMove(to=WriteState.REJECTED, reason="no"), now=T0, fence=fence
    )
    await writes.move(
        "uncertain",
        WriteMove(to=WriteState.UNCERTAIN, reason="?", next_read_at=T0),
        now=T0,
        fence=fence,
    )
    await writes.move("queued", WriteMove(to=WriteState.QUEUED, reason="429"), now=T0, fence=fence)
    for name, state in (
        ("unresolved", WriteState.UNRESOLVED),
        ("absent", WriteState.ABSENT),
        ("expired", WriteState.EXPIRED),
    ):
        await writes.move(name, WriteMove(to=state, reason="x"), now=T0)
