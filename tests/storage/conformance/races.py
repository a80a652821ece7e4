"""What must hold when several processes, or many tasks of one, want the same thing at once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from botkit.errors import Conflict, LeaseLost
from botkit.model.bookings import Booking
from botkit.model.hearing import Checkpoint
from botkit.model.records import RunDead, StateChange, WriteMove, WriteState
from botkit.model.tokens import CredentialKind
from botkit.model.users import Account
from tests.storage.conformance.bench import (
    ME,
    T0,
    Suite,
    credential,
    done,
    event,
    forget,
    intent,
    lease,
    letter,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from botkit.ports import Store
    from tests.storage.conformance.bench import OpenRival, SuiteClock

__all__ = ["RacesConformance"]

RIVALS = 16
TTL = timedelta(seconds=10)


class RacesConformance(Suite):
    """Sixteen rivals, one winner."""

    async def test_one_of_sixteen_rivals_gets_the_lease(self, open_rival: OpenRival) -> None:
        async with _rivals(open_rival) as rivals:
            fences = await asyncio.gather(
                *(
                    rival.leases.acquire("runner", f"rival {n}", ttl=TTL)
                    for n, rival in enumerate(rivals)
                )
            )
            assert len([fence for fence in fences if fence is not None]) == 1

    async def test_one_of_sixteen_rivals_gets_each_epoch(
        self, open_rival: OpenRival, clock: SuiteClock
    ) -> None:
        async with _rivals(open_rival) as rivals:
            epochs = list[int]()
            for _ in range(5):
                fences = await asyncio.gather(
                    *(
                        rival.leases.acquire("runner", f"rival {n}", ttl=TTL)
                        for n, rival in enumerate(rivals)
                    )
                )
                epochs.extend(fence.epoch for fence in fences if fence is not None)
                clock.move(TTL)
            assert epochs == [1, 2, 3, 4, 5]

    async def test_one_of_sixteen_rivals_may_spend_a_token(self, open_rival: OpenRival) -> None:
        async with _rivals(open_rival) as rivals:
            row = await rivals[0].credentials.replace(credential())

            async def spend(store: Store, name: str) -> None:
                await store.credentials.intend(row, intent(name), reserve_bytes=2048)
                await store.credentials.mark_sent(row, name)
                await store.credentials.store_result(credential(2, sealed=name.encode()), name)

            attempts = [spend(rival, f"i{n}") for n, rival in enumerate(rivals)]
            assert await _winners(attempts, Conflict) == 1
            stored = await rivals[-1].credentials.get(ME, "default", CredentialKind.OAUTH2)
            assert stored is not None
            assert (stored.gen, stored.intent) == (2, None)

    async def test_one_of_sixteen_grants_becomes_the_next_generation(
        self, open_rival: OpenRival
    ) -> None:
        async with _rivals(open_rival) as rivals:
            grants = [
                rival.credentials.replace(credential(1, username=f"u{n}"))
                for n, rival in enumerate(rivals)
            ]
            assert await _winners(grants, Conflict) == 1

    async def test_one_event_in_sixteen_inboxes_is_one_event(self, open_rival: OpenRival) -> None:
        async with _rivals(open_rival) as rivals:
            given = await asyncio.gather(*(rival.events.append([event()]) for rival in rivals))
            assert len([seqs for seqs in given if seqs != [None]]) == 1
            assert len((await rivals[0].events.due(T0)).items) == 1

    async def test_one_of_sixteen_runs_of_a_step_sends(self, open_rival: OpenRival) -> None:
        async with _rivals(open_rival) as rivals:
            fence = await lease(rivals[0])
            begun = await asyncio.gather(
                *(rival.writes.begin(write(), now=T0, fence=fence) for rival in rivals)
            )
            assert len([row for row in begun if row.fresh]) == 1

    async def test_one_of_two_moves_of_a_write_stands(self, open_rival: OpenRival) -> None:
        async with _rivals(open_rival, 8) as rivals:
            fence = await lease(rivals[0])
            await rivals[0].writes.begin(write(), now=T0, fence=fence)
            moves = [
                rival.writes.move(
                    "step/1",
                    WriteMove(to=WriteState.CONFIRMED, result_id=str(n), result=b"%d" % n),
                    now=T0,
                )
                for n, rival in enumerate(rivals)
            ]
            await asyncio.gather(*moves)
            row = await rivals[0].writes.get("step/1")
            assert row is not None
            assert row.result == row.result_id.encode()

    async def test_no_money_is_lost(self, open_rival: OpenRival) -> None:
        async with _rivals(open_rival) as rivals:
            cent = Decimal("0.01")
            await asyncio.gather(
                *(
                    r.ledger.book([Booking(account_id=ME, at=T0, reads_usd=cent, writes_usd=cent)])
                    for r in rivals
                )
            )
            (entry,) = await rivals[0].ledger.spent(ME, since=T0)
            assert (entry.reads_usd, entry.calls) == (Decimal("0.16"), 16)

    async def test_one_of_sixteen_accounts_gets_the_alias(self, open_rival: OpenRival) -> None:
        async with _rivals(open_rival) as rivals:
            for n in range(RIVALS):
                account = Account(id=f"{n}", username=f"u{n}", name="", app="default")
                await rivals[0].accounts.put(account)
            named = [rival.accounts.rename(f"{n}", "boss") for n, rival in enumerate(rivals)]
            assert await _winners(named, Conflict) == 1

    async def test_one_of_sixteen_rivals_revives_an_event_or_drops_it(
        self, open_rival: OpenRival
    ) -> None:
        async with _rivals(open_rival) as rivals:
            fence = await lease(rivals[0])
            (seq,) = await rivals[0].events.append([event()])
            assert seq is not None
            (item,) = (await rivals[0].events.due(T0)).items
            await rivals[0].events.settle([RunDead(seq=seq, letter=letter(item))], fence=fence)
            revived = await asyncio.gather(
                *(rival.events.revive(ME, item.key) for rival in rivals)
            )
            assert sum(revived) == 1
            dropped = await asyncio.gather(
                *(rival.events.drop(ME, item.key, f"{n}") for n, rival in enumerate(rivals))
            )
            assert sum(dropped) == 1
            assert (await rivals[0].events.counts())["dropped"] == 1

    async def test_one_of_sixteen_keys_becomes_the_stores(self, open_rival: OpenRival) -> None:
        async with _rivals(open_rival) as rivals:
            found = await asyncio.gather(
                *(r.set_vault_check(b"%d" % n, expected=None) for n, r in enumerate(rivals))
            )
            assert set(found) == {await rivals[0].vault_check()}

    async def test_sixteen_rivals_forget_each_event_once(self, open_rival: OpenRival) -> None:
        async with _rivals(open_rival) as rivals:
            fence = await lease(rivals[0])
            seqs = await rivals[0].events.append([event(f"e{n}") for n in range(41)])
            ends = [done(seq) for seq in seqs if seq is not None]
            await rivals[0].events.settle(ends, fence=fence)
            forgotten = await asyncio.gather(
                *(forget(rival, events=T0 + timedelta(days=1)) for rival in rivals)
            )
            assert sum(counts["events"] for counts in forgotten) == 40

    async def test_no_change_of_state_is_lost(self, open_rival: OpenRival) -> None:
        async with _rivals(open_rival, 4) as rivals:
            fence = await lease(rivals[0])
            seqs = await rivals[0].events.append([event(f"e{n}") for n in range(12)])

            async def count(store: Store, seq: int) -> None:
                while True:
                    row = await store.states.read("bot", "count")
                    value = int(row.value) + 1 if row else 1
                    change = StateChange(
                        scope="bot",
                        key="count",
                        value=str(value).encode(),
                        expected_rev=row.rev if row else 0,
                    )
                    try:
                        await store.events.settle([done(seq, changes=(change,))], fence=fence)
                    except Conflict:
                        continue
                    return

            await asyncio.gather(
                *(count(rivals[n % 4], seq) for n, seq in enumerate(seqs) if seq is not None)
            )
            row = await rivals[1].states.read("bot", "count")
            assert row is not None
            assert (row.value, row.rev) == (b"12", 12)

    async def test_a_new_holder_fences_the_old_one_out(
        self, open_rival: OpenRival, clock: SuiteClock
    ) -> None:
        async with _rivals(open_rival, 2) as (old, new):
            stale = await old.leases.acquire("runner", "old", ttl=TTL)
            assert stale is not None
            clock.move(TTL)
            fresh = await new.leases.acquire("runner", "new", ttl=TTL)
            assert fresh is not None
            assert await _winners([old.events.append([event()], fence=stale)], LeaseLost) == 0
            assert await new.events.append([event()], fence=fresh) != [None]

    async def test_what_one_handle_wrote_another_reads_and_hears_of(
        self, open_rival: OpenRival
    ) -> None:
        async with _rivals(open_rival, 2) as (one, other):
            await one.changed()
            await other.changed()
            here = Checkpoint(source="mentions", account_id=ME, cursor="17")
            await one.progress.set_checkpoint(here)
            assert await other.progress.checkpoint("mentions", ME) == here
            assert await other.changed()
            assert not await other.changed()
            assert not await one.changed()

    async def test_a_job_that_fails_takes_nothing_from_its_neighbours(self, store: Store) -> None:
        fence = await lease(store)
        seqs = await store.events.append([event(f"e{n}") for n in range(20)])
        stale = StateChange(scope="bot", key="x", value=b"1", expected_rev=5)
        outcomes = await asyncio.gather(
            *(
                store.events.settle(
                    [done(seq, changes=(stale,) if n % 3 == 0 else ())], fence=fence
                )
                for n, seq in enumerate(seqs)
                if seq is not None
            ),
            *(store.events.append([event(f"f{n}")]) for n in range(20)),
            return_exceptions=True,
        )
        failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert len(failed) == 7
        assert all(isinstance(outcome, Conflict) for outcome in failed)
        assert len((await store.events.due(T0)).items) == 7 + 20

    async def test_a_caller_reads_what_it_has_written(self, store: Store) -> None:
        async def write_and_read(n: int) -> bool:
            await store.events.append([event(f"e{n}")])
            return bool(await store.events.get(f"e{n}"))

        assert all(await asyncio.gather(*(write_and_read(n) for n in range(200))))


def _rivals(open_rival: OpenRival, count: int = RIVALS) -> _Rivals:
    return _Rivals(open_rival, count)


class _Rivals:
    """Several handles on one store."""

    def __init__(self, open_rival: OpenRival, count: int) -> None:
        self._open = open_rival
        self._count = count
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> list[Store]:
        return [await self._stack.enter_async_context(self._open()) for _ in range(self._count)]

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


async def _winners(attempts: Sequence[Awaitable[object]], loss: type[Exception]) -> int:
    """How many went through; every other one must have lost in the expected way."""
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    lost = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert all(isinstance(outcome, loss) for outcome in lost), lost
    return len(outcomes) - len(lost)
