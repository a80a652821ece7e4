"""One process at a time: taking, keeping, losing and giving back the runner's lease."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from botkit.errors import LeaseLost, StoreUnavailable
from botkit.leases.lease import Lease
from botkit.sandbox.harness.clock import VirtualClock
from tests.unit.runtime.fakes import opened

if TYPE_CHECKING:
    from pathlib import Path

    from botkit.leases.owner import Lives
    from botkit.model.records import Fence


class Patient:
    """Lets virtual time run on while something waits for it."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    async def __call__(self, work: asyncio.Task[None]) -> None:
        for _ in range(200):
            await self._clock.at_rest()
            if work.done():
                break
            self._clock.jump()
        await work


def living(*names: str) -> Lives:
    async def lives(name: str) -> bool | None:
        return name in names

    return lives


async def unknown(name: str) -> bool | None:
    return None


async def test_the_holder_has_a_fence_and_gives_it_back(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with opened(tmp_path, clock) as store:
        lease = Lease(store, clock, owner="one")
        with pytest.raises(LeaseLost):
            lease.fence()
        await lease.acquire()
        assert lease.fence().owner == "one"
        await lease.release()
        await lease.release()
        with pytest.raises(LeaseLost):
            lease.fence()
        assert await store.leases.holder("runner") is None


async def test_a_second_process_is_refused_at_once_when_the_first_is_known_to_be_alive(
    tmp_path: Path,
) -> None:
    clock = VirtualClock()
    async with opened(tmp_path, clock) as store:
        await Lease(store, clock, owner="one").acquire()
        second = Lease(store, clock, owner="two", lives=living("one"))
        with pytest.raises(LeaseLost, match="One runs a bot on this store"):
            await second.acquire()
        assert clock.monotonic() == 0


async def test_a_second_process_is_refused_when_the_first_keeps_renewing(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with opened(tmp_path, clock) as store:
        first = Lease(store, clock, owner="one")
        await first.acquire()
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(first.keep())
            second = group.create_task(_refused(Lease(store, clock, owner="two")))
            await Patient(clock)(second)
            assert first.fence().owner == "one"
            keeper.cancel()


async def _refused(lease: Lease) -> None:
    with pytest.raises(LeaseLost):
        await lease.acquire()


async def test_the_lease_of_a_killed_process_is_waited_out(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with opened(tmp_path, clock) as store:
        await Lease(store, clock, owner="killed").acquire()
        second = Lease(store, clock, owner="two", lives=unknown)
        async with asyncio.TaskGroup() as group:
            await Patient(clock)(group.create_task(second.acquire()))
        assert clock.monotonic() <= 11
        assert second.fence().epoch == 2


async def test_the_lease_of_a_process_known_to_be_gone_is_taken_at_once(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with opened(tmp_path, clock) as store:
        old = Lease(store, clock, owner="gone")
        await old.acquire()
        second = Lease(store, clock, owner="two", lives=living("two"))
        await second.acquire()
        assert clock.monotonic() == 0
        assert second.fence().epoch == 2
        with pytest.raises(LeaseLost):
            await old.renew()


async def test_the_holder_stops_by_its_own_clock_before_the_store_gives_the_lease_away(
    tmp_path: Path,
) -> None:
    clock = VirtualClock()
    async with opened(tmp_path, clock) as store:
        lease = Lease(store, clock, owner="one")
        await lease.acquire()
        await clock.advance(8)
        with pytest.raises(StoreUnavailable):
            lease.fence()
        await lease.renew()
        assert lease.fence().owner == "one"
        lease.abandon()
        with pytest.raises(LeaseLost):
            lease.fence()


async def test_keeping_goes_on_while_the_store_cannot_be_used_and_ends_when_the_lease_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = VirtualClock()
    async with opened(tmp_path, clock) as store:
        lease = Lease(store, clock, owner="one")
        await lease.acquire()
        renewals: list[Fence] = []
        whole = store.leases.renew
        faults: list[Exception] = [StoreUnavailable("full"), StoreUnavailable("full")]

        async def renew(fence: Fence, **times: object) -> None:
            renewals.append(fence)
            if faults:
                raise faults.pop()
            await whole(fence, **times)  # type: ignore[arg-type]

        monkeypatch.setattr(store.leases, "renew", renew)
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(_loses(lease))
            await clock.advance(12)
            assert len(renewals) == 4
            assert lease.fence().owner == "one"
            faults.append(LeaseLost("taken"))
            await Patient(clock)(keeper)


async def _loses(lease: Lease) -> None:
    with pytest.raises(LeaseLost):
        await lease.keep()


async def test_keeping_ends_when_the_lease_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = VirtualClock()
    async with opened(tmp_path, clock) as store:
        lease = Lease(store, clock, owner="one")
        await lease.acquire()
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(lease.keep())
            await clock.at_rest()
            await lease.release()
            await Patient(clock)(keeper)
        with pytest.raises(LeaseLost):
            await lease.renew()
        await lease.acquire()

        async def renew(fence: Fence, **times: object) -> None:
            await lease.release()
            raise LeaseLost("gone")

        monkeypatch.setattr(store.leases, "renew", renew)
        async with asyncio.TaskGroup() as group:
            await Patient(clock)(group.create_task(lease.keep()))


async def test_a_lease_is_kept_beside_a_block_and_given_back_after_it(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with opened(tmp_path, clock) as store:
        lease = Lease(store, clock, owner="one")
        assert await lease.try_acquire()
        async with lease.kept():
            await clock.advance(60)
            assert lease.is_good
            assert lease.age_s <= 3
        assert await store.leases.holder("runner") is None
        assert lease.last_fence is None


async def test_a_lease_that_is_lost_does_not_end_the_block_that_it_was_kept_beside(
    tmp_path: Path,
) -> None:
    clock = VirtualClock()
    async with opened(tmp_path, clock) as store:
        lease = Lease(store, clock, owner="one")
        assert await lease.try_acquire()
        async with lease.kept():
            taken = await store.leases.acquire(
                "runner", "two", ttl=timedelta(minutes=5), ended="one"
            )
            assert taken is not None
            await clock.advance(9)
            assert not lease.is_good
            assert lease.last_fence is not None
        assert await store.leases.holder("runner") == "two"
        assert not await lease.try_acquire()
        assert lease.rival == "two"


async def test_a_store_that_fails_at_the_end_of_the_block_is_no_error_of_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(fence: Fence) -> None:
        raise StoreUnavailable("full")

    clock = VirtualClock()
    async with opened(tmp_path, clock) as store:
        lease = Lease(store, clock, owner="one")
        assert await lease.try_acquire()
        monkeypatch.setattr(store.leases, "release", fails)
        async with lease.kept():
            pass
        assert lease.last_fence is None


async def test_a_taking_that_is_cancelled_leaves_nothing_taken(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with opened(tmp_path, clock) as store:
        lease = Lease(store, clock, owner="one")
        taking = asyncio.get_running_loop().create_task(lease.try_acquire())
        await clock.sleep(0)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        assert await store.leases.holder("runner") is None
        assert await Lease(store, clock, owner="two").try_acquire()
