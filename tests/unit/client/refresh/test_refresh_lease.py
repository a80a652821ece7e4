"""The lease of a refresh: two machines, one store, and every order in which things may happen."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from botkit.client.refresh.refresh_lock import Tenure
from botkit.errors import LeaseLost, OutcomeUnknown, Parked, StoreUnavailable
from botkit.model.tokens import LoginState
from tests.unit.client.fakes import GREETER, World
from tests.unit.client.hosts import Host
from tests.unit.client.keeping import EXPIRED, LAST_MINUTE, TOKEN, running, sent_intent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from botkit.model.records import CredentialRow

TTL = timedelta(seconds=60)
NAME = "refresh:1999/default"


@pytest.fixture
async def row(world: World) -> CredentialRow:
    return await world.log_in(left=LAST_MINUTE)


@pytest.fixture
def a(world: World) -> Host:
    return Host(world, "a")


@pytest.fixture
def b(world: World) -> Host:
    return Host(world, "b")


class Freeze:
    """A host stands still at a point, until it is woken."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._woken = asyncio.Event()
        self.reached = False
        self.fault: Exception | None = None

    async def __call__(self) -> None:
        self.reached = self._host.frozen = True
        await self._woken.wait()
        if self.fault is not None:
            raise self.fault

    def wake(self) -> None:
        self._host.frozen = False
        self._woken.set()


# ---- the lock ------------------------------------------------------------------------------------


async def test_one_machine_holds_it_at_a_time_and_the_next_waits(
    world: World, row: CredentialRow, a: Host, b: Host
) -> None:
    seen: list[str] = []

    async def hold(host: Host) -> None:
        async with host.lock()(row) as held:
            assert held.fence is not None
            seen.append(f"{held.fence.owner} {held.fence.epoch}")
            await world.clock.sleep(5.0)
            seen.append("out")

    holding = asyncio.gather(hold(a), hold(b))
    await world.clock.advance(12.0)
    await holding
    assert seen == ["a 1", "out", "b 2", "out"]
    assert await world.real_store.leases.holder(NAME) is None


async def test_it_is_renewed_for_as_long_as_it_is_held(
    world: World, row: CredentialRow, a: Host, b: Host
) -> None:
    async with a.lock()(row) as held:
        await world.clock.advance(10 * TTL)
        held.check()
        with pytest.raises(StoreUnavailable, match="A refreshes the login of @greeter"):
            async with b.lock()(row, wait=False):
                pass


async def test_whoever_waits_too_long_gives_up_and_takes_nothing(
    world: World, row: CredentialRow, a: Host, b: Host
) -> None:
    async with a.lock()(row):
        waiting = asyncio.get_running_loop().create_task(b.lock()(row).__aenter__())
        await world.clock.advance(91.0)
        with pytest.raises(StoreUnavailable, match="nothing was sent"):
            await waiting
        assert await world.real_store.leases.holder(NAME) == "a"


async def test_the_lease_of_a_process_known_to_have_ended_is_taken_at_once(
    world: World, row: CredentialRow, b: Host
) -> None:
    await world.real_store.leases.acquire(NAME, "a", ttl=TTL)
    b.dead.add("a")
    async with b.lock()(row, wait=False) as held:
        assert held.fence is not None
        assert held.fence.epoch == 2


async def test_a_holder_whose_lease_grew_old_does_not_send(
    world: World, row: CredentialRow, a: Host
) -> None:
    async with a.lock(Tenure(ttl_s=20.0, renew_s=5.0))(row) as held:
        a.frozen = True
        await world.clock.advance(9.0)
        held.check()
        await world.clock.advance(2.0)
        with pytest.raises(LeaseLost, match="was not renewed for 11 s"):
            held.check()


async def test_the_lease_is_taken_over_when_its_time_is_over_and_not_before(
    world: World, row: CredentialRow, a: Host, b: Host
) -> None:
    async with a.lock()(row) as held:
        a.frozen = True
        await world.clock.advance(59.0)
        with pytest.raises(StoreUnavailable):
            async with b.lock()(row, wait=False):
                pass
        await world.clock.advance(2.0)
        async with b.lock()(row, wait=False) as theirs:
            assert held.fence is not None
            assert theirs.fence is not None
            assert (held.fence.epoch, theirs.fence.epoch) == (1, 2)
            a.frozen = False
            await world.clock.advance(16.0)  # a hears of it, and its block goes on
    assert await world.real_store.leases.holder(NAME) is None


# ---- every order of events -----------------------------------------------------------------------


async def _frozen_at(
    world: World, host: Host, point: str, *, left: timedelta = LAST_MINUTE
) -> tuple[Freeze, Callable[[], Awaitable[str]]]:
    """`host` refreshes and stands still after that call of the store, or over X's answer."""
    await world.log_in(left=left)
    freeze = Freeze(host)
    if point == "answer":
        world.peer.hold = freeze
    else:
        world.pauses[point] = freeze
    kept = host.keeper()
    asking = asyncio.get_running_loop().create_task(kept.access())
    await world.clock.at_rest()
    assert freeze.reached
    world.peer.hold = None

    async def ends() -> str:
        freeze.wake()
        await world.clock.advance(1.0)
        return await asking

    return freeze, ends


@pytest.mark.parametrize("point", ["credentials.get", "credentials.intend"])
async def test_who_was_frozen_before_the_mark_finds_its_writes_refused_and_takes_over(
    world: World, a: Host, b: Host, point: str
) -> None:
    _, ends = await _frozen_at(world, a, point)
    asking = asyncio.get_running_loop().create_task(b.keeper().access())
    await world.clock.advance(TTL + timedelta(seconds=2))
    assert await asking == "at-2"
    with pytest.raises(Parked):  # its own access token is over: it looks again soon
        await ends()
    assert (world.refreshes, world.peer.reused) == (["rt-1"], 0)
    assert ((await world.row()).status, (await world.row()).intent) == (LoginState.OK, None)


async def test_who_was_frozen_before_it_read_the_login_takes_over_what_the_other_got(
    world: World, a: Host, b: Host
) -> None:
    _, ends = await _frozen_at(world, a, "leases.acquire")
    asking = asyncio.get_running_loop().create_task(b.keeper().access())
    await world.clock.advance(TTL + timedelta(seconds=2))
    assert [await asking, await ends()] == ["at-2", "at-2"]
    assert world.refreshes == ["rt-1"]


async def test_who_was_frozen_after_the_mark_sends_nothing_and_says_so(
    world: World, a: Host, b: Host
) -> None:
    _, ends = await _frozen_at(world, a, "credentials.mark_sent", left=timedelta(minutes=3))
    # Due and not over: what was marked as sent is left alone by whoever comes after.
    context = running(world, **b.terms())
    other = await context.__aenter__()
    await world.clock.advance(TTL + timedelta(seconds=5))
    assert other.states[-1] is LoginState.UNCERTAIN
    assert await other.access() == "at-1"
    assert await ends() == "at-1"
    assert world.refreshes == []
    assert (await world.row()).intent is None  # it was surely not spent
    await world.clock.advance(timedelta(minutes=3))
    assert (world.refreshes, await other.access()) == (["rt-1"], "at-2")
    await context.__aexit__(None, None, None)


async def test_an_answer_that_comes_after_the_lease_was_lost_is_stored_and_ends_the_doubt(
    world: World, a: Host, b: Host
) -> None:
    _, ends = await _frozen_at(world, a, "answer", left=timedelta(minutes=10))
    async with running(world, **b.terms()) as other:
        await world.clock.advance(TTL + timedelta(seconds=5))
        assert other.states == [LoginState.OK, LoginState.UNCERTAIN]
        assert (await world.row()).status is LoginState.UNCERTAIN
        await ends()
        row = await world.row()
        assert (row.gen, row.status, row.intent) == (2, LoginState.OK, None)
        await other.keeper.reload()  # as a bot does when the store has changed
        assert (other.states[-1], await other.access()) == (LoginState.OK, "at-2")
    assert world.refreshes == ["rt-1"]


async def test_a_token_that_another_machine_sent_is_not_sent_again_before_twice_the_lease(
    world: World, a: Host, b: Host
) -> None:
    _, ends = await _frozen_at(world, a, "answer", left=EXPIRED)
    async with running(world, **b.terms()) as other:
        await world.clock.advance(TTL + timedelta(seconds=55))
        assert other.states[-1] is LoginState.UNCERTAIN
        assert world.refreshes == ["rt-1"]
        assert await ends() == "at-2"
        await other.keeper.reload()
        assert await other.access() == "at-2"
    assert (world.refreshes, world.peer.reused) == (["rt-1"], 0)


async def test_a_machine_that_does_not_come_back_is_not_waited_for_longer_than_that(
    world: World, a: Host, b: Host
) -> None:
    freeze, ends = await _frozen_at(world, a, "answer", left=EXPIRED)
    async with running(world, **b.terms()) as other:
        await world.clock.advance(2 * TTL + timedelta(seconds=5))
        assert world.refreshes == ["rt-1", "rt-1"]
        assert await other.access() == "at-2"  # X had not carried out what it had from the first
    freeze.fault = OutcomeUnknown("reset", request=TOKEN, kind="reset")
    with pytest.raises(Parked):
        await ends()
    assert (await world.row()).status is LoginState.OK  # late news change nothing


async def test_an_answer_ends_the_intent_of_whoever_was_about_to_send_the_spent_token(
    world: World, a: Host, b: Host
) -> None:
    _, ends = await _frozen_at(world, a, "answer", left=EXPIRED)
    b.dead.add("a")  # wrongly: the worst that can be thought of
    freeze = Freeze(b)
    world.pauses["credentials.intend"] = freeze
    asking = asyncio.get_running_loop().create_task(b.keeper().access())
    await world.clock.at_rest()
    assert freeze.reached
    assert await ends() == "at-2"
    freeze.wake()
    with pytest.raises(Parked):
        await asking
    assert (world.refreshes, world.peer.reused) == (["rt-1"], 0)
    assert (await world.row()).gen == 2


async def test_an_answer_that_comes_after_a_second_sending_is_stored_and_taken_over(
    world: World, a: Host, b: Host
) -> None:
    freeze, ends = await _frozen_at(world, a, "answer", left=EXPIRED)
    b.dead.add("a")
    world.peer.before_answer = None
    second = Freeze(b)
    world.peer.hold = second
    asking = asyncio.get_running_loop().create_task(b.keeper().access())
    await world.clock.at_rest()
    assert second.reached
    assert world.refreshes == ["rt-1", "rt-1"]
    world.peer.hold = None
    assert await ends() == "at-2"  # X had carried out the first
    second.wake()
    assert await asking == "at-2"  # and refused the second, which finds the first one's result
    row = await world.row()
    assert (row.gen, row.status) == (2, LoginState.OK)
    assert freeze.reached


async def test_what_the_old_holder_thinks_of_a_login_does_not_overwrite_what_the_new_one_knows(
    world: World, a: Host, b: Host
) -> None:
    _, ends = await _frozen_at(world, a, "answer", left=timedelta(minutes=10))
    world.peer.plan[TOKEN] = []
    await world.clock.advance(TTL + timedelta(seconds=1))
    async with b.lock()(await world.row(), wait=False) as held:
        row = await world.row()
        await world.real_store.credentials.set_status(
            row, LoginState.DEAD, reason="handed over", now=world.clock.now(), fence=held.fence
        )
        world.peer.refresh_token = "rt-of-nobody"
        await ends()
        assert (await world.row()).reason == "handed over"


async def test_a_store_that_fails_at_the_end_does_not_cost_the_result(
    world: World, a: Host
) -> None:
    await world.log_in(left=EXPIRED)
    world.broken |= {"leases.release", "leases.renew"}
    assert await a.keeper().access() == "at-2"
    assert (await world.row()).gen == 2


async def test_nothing_is_sent_when_the_lease_cannot_be_written(world: World, a: Host) -> None:
    await world.log_in(left=LAST_MINUTE)
    world.broken.add("leases.acquire")
    kept = a.keeper()
    assert await kept.access() == "at-1"
    assert world.refreshes == []
    world.broken.clear()
    await world.clock.advance(5.0)
    assert await kept.access() == "at-2"


async def test_the_intent_names_the_process(world: World, a: Host) -> None:
    await world.log_in(left=LAST_MINUTE)
    world.peer.plan[TOKEN] = ["lost"]
    await a.keeper(owner="rack-7/boot-1/4711/12/cafe").access()
    intent = (await world.row()).intent
    assert intent is not None
    assert (intent.owner, intent.boot_id) == ("rack-7/boot-1/4711/12/cafe", "boot-1")


async def test_what_this_process_sent_itself_is_retried_without_grace(
    world: World, a: Host
) -> None:
    row = await world.log_in(left=EXPIRED)
    mine = sent_intent(row)
    await world.real_store.credentials.intend(row, mine, reserve_bytes=10)
    await world.real_store.credentials.mark_sent(row, mine.id)
    assert await a.keeper(owner=mine.owner).access() == "at-2"
    assert (await world.row()).account_id == GREETER.id


@pytest.mark.parametrize(
    ("started", "at_least_s", "at_most_s"),
    [
        pytest.param(timedelta(days=-1), 0, 0, id="long ago"),
        pytest.param(timedelta(seconds=-100), 15, 25, id="a while ago"),
        pytest.param(timedelta(days=1), 115, 125, id="by a clock that is ahead"),
    ],
)
async def test_a_token_that_another_process_sent_is_left_to_it_for_the_grace_at_most(
    world: World, a: Host, started: timedelta, at_least_s: float, at_most_s: float
) -> None:
    row = await world.log_in(left=EXPIRED)
    theirs = msgspec.structs.replace(sent_intent(row), started=world.clock.now() + started)
    await world.real_store.credentials.intend(row, theirs, reserve_bytes=10)
    await world.real_store.credentials.mark_sent(row, theirs.id)
    begun = world.clock.monotonic()
    kept = a.keeper()
    with contextlib.suppress(Parked):
        await kept.access()
    while not world.refreshes:
        assert world.clock.monotonic() - begun <= at_most_s
        await world.clock.advance(1.0)
        with contextlib.suppress(Parked):
            await kept.access()
    assert world.clock.monotonic() - begun >= at_least_s
    assert await kept.access() == "at-2"
