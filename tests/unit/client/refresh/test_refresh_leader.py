"""One keeper of the logins for a store; whoever is not it follows, and opens no refresh token."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from botkit.client.refresh.refresh_leader import Alone, NeverLeader
from botkit.errors import InvalidGrant, LeaseLost, Parked, Unauthorized
from botkit.model.tokens import CredentialKind, LoginState, Secret
from tests.unit.client.fakes import GREETER, MemoryRescue, World
from tests.unit.client.hosts import Host
from tests.unit.client.keeping import (
    EXPIRED,
    LAST_MINUTE,
    TOKEN,
    keeper_in,
    running,
    sent_intent,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from botkit.client.logins.rescue_file import Rescued
    from botkit.client.refresh.refresh_leader import LeasedRole

KEEPER = "keeper"


@pytest.fixture
def a(world: World) -> Host:
    return Host(world, "a")


@pytest.fixture
def b(world: World) -> Host:
    return Host(world, "b")


class _ShutVault:
    """A vault that does not open what is needed to refresh."""

    def __init__(self, vault: Any) -> None:
        self._vault = vault
        self.open_access = vault.open_access

    def open(self, *args: object, **row: object) -> dict[str, str]:
        raise AssertionError("the refresh token was opened")


def _bot(world: World, host: Host, **more: Any) -> Any:
    """A keeper of logins that stays, as that of a running bot, with its heap task."""
    return running(world, **host.terms(role=host.role(stays=True), **more))


async def _through(world: World, work: Awaitable[str], seconds: float = 40.0) -> str:
    task = asyncio.ensure_future(work)  # noqa: TID251 - what is waited for moves with the clock
    await world.clock.advance(seconds)
    return await task


# ---- the role ------------------------------------------------------------------------------------


async def test_a_command_has_the_role_for_as_long_as_it_needs_it(
    world: World, a: Host, b: Host
) -> None:
    leases = world.real_store.leases
    first, second = a.role(), b.role()
    async with first() as keeps:
        async with first() as again:
            assert (keeps, again) == (True, True)
        await world.clock.advance(timedelta(minutes=5))
        async with second() as theirs:
            assert not theirs
        assert await leases.holder(KEEPER) == "a"
    assert await leases.holder(KEEPER) is None
    async with second() as theirs:
        assert theirs


async def test_one_who_enters_while_the_last_one_leaves_holds_the_role(
    world: World, a: Host
) -> None:
    leases = world.leases  # its calls stop virtual time, so that `at_rest` waits for them
    role = a.role()
    given_back, used = asyncio.Event(), asyncio.Event()
    world.pauses["leases.release"] = given_back.wait

    async def use(until: asyncio.Event) -> bool:
        async with role() as keeps:
            await until.wait()
            return keeps and await leases.holder(KEEPER) == "a"

    at_once = asyncio.Event()
    at_once.set()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(use(at_once))
        await world.clock.at_rest()
        assert not first.done()
        second = group.create_task(use(used))
        await world.clock.at_rest()
        given_back.set()
        await world.clock.at_rest()
        used.set()
    assert (first.result(), second.result()) == (True, True)
    assert await leases.holder(KEEPER) is None


async def test_a_bot_stays_in_the_role_and_gives_it_back_at_its_end(
    world: World, a: Host, b: Host
) -> None:
    leases = world.real_store.leases
    await world.log_in()
    async with _bot(world, a) as kept:
        await world.clock.advance(timedelta(minutes=5))
        assert await leases.holder(KEEPER) == "a"
        async with b.role()() as theirs:
            assert not theirs
        await kept.keeper.close()
    assert await leases.holder(KEEPER) is None


async def test_the_role_of_one_that_stands_still_goes_to_the_next_who_judges_what_it_left(
    world: World, a: Host, b: Host
) -> None:
    row = await world.log_in(left=timedelta(minutes=90))
    async with _bot(world, a) as first, _bot(world, b) as second:
        await world.real_store.credentials.intend(row, sent_intent(row), reserve_bytes=10)
        await world.real_store.credentials.mark_sent(row, "i-1")
        await world.clock.advance(10.0)
        assert second.states == [LoginState.OK]
        a.frozen = True
        await world.clock.advance(65.0)
        assert second.states[-1] is LoginState.UNCERTAIN
        assert await world.real_store.leases.holder(KEEPER) == "b"
        a.frozen = False
        await world.clock.advance(30.0)
        assert await world.real_store.leases.holder(KEEPER) == "b"
        assert first.states == [LoginState.OK]


async def test_staying_goes_on_while_the_store_cannot_be_written(world: World, a: Host) -> None:
    await world.log_in()
    world.broken.add("leases.acquire")
    async with _bot(world, a) as kept:
        assert await kept.access() == "at-1"
        world.broken.clear()
        await world.clock.advance(3.0)
        assert await world.real_store.leases.holder(KEEPER) == "a"
        world.broken.add("leases.renew")
        await world.clock.advance(20.0)
        world.broken.clear()
        await world.clock.advance(20.0)
        assert await world.real_store.leases.holder(KEEPER) == "a"


async def test_a_renewal_that_says_it_is_lost_makes_a_follower_that_tries_again(
    world: World, a: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.log_in()
    async with _bot(world, a):
        await world.real_store.leases.acquire(KEEPER, "c", ttl=timedelta(seconds=30), ended="a")
        await world.clock.advance(16.0)
        assert await world.real_store.leases.holder(KEEPER) == "c"
        await world.clock.advance(20.0)
        assert await world.real_store.leases.holder(KEEPER) == "a"


# ---- who is not the keeper -----------------------------------------------------------------------


async def test_beside_a_bot_a_command_takes_the_next_access_token_and_opens_no_refresh_token(
    world: World, a: Host, b: Host
) -> None:
    await world.log_in(left=timedelta(minutes=61))
    async with _bot(world, a):
        await world.clock.advance(timedelta(minutes=60))
        assert world.refreshes == ["rt-1"]
        world.vault = _ShutVault(world.vault)
        command = b.keeper(role=b.role())
        assert await command.access() == "at-2"
        status = await command.keeper.settled(GREETER.id)
        assert (status.gen, status.status) == (2, LoginState.OK)
        await command.keeper.close()


async def test_a_command_waits_for_the_keeper_when_there_is_no_access_token_left(
    world: World, a: Host, b: Host
) -> None:
    await world.log_in(left=EXPIRED)

    async def slowly() -> None:
        await world.clock.sleep(10.0)

    world.peer.hold = slowly
    async with _bot(world, a):
        world.vault, whole = _ShutVault(world.vault), world.vault
        command = b.keeper(role=b.role())
        assert await _through(world, command.access()) == "at-2"
        world.vault = whole
    assert world.refreshes == ["rt-1"]


async def test_a_command_does_not_wait_while_the_access_token_lives(
    world: World, a: Host, b: Host
) -> None:
    await world.log_in(left=timedelta(minutes=10))
    async with a.role()() as keeps:
        assert keeps
        command = b.keeper(role=b.role())
        status = await command.keeper.settled(GREETER.id)
        assert (status.gen, status.left_s) == (1, 600.0)
    assert world.peer.calls == []


async def test_a_keeper_that_gets_nothing_is_not_waited_for_for_ever(
    world: World, a: Host, b: Host
) -> None:
    await world.log_in(left=EXPIRED)
    async with a.role()():
        with pytest.raises(Parked) as caught:
            await _through(world, b.keeper(role=b.role()).access())
    assert caught.value.until is not None
    assert world.peer.calls == []


async def test_a_command_that_waits_refreshes_itself_once_the_keeper_is_gone(
    world: World, a: Host, b: Host
) -> None:
    await world.log_in(left=EXPIRED)
    role = a.role()
    async with role():
        asking = asyncio.get_running_loop().create_task(b.keeper(role=b.role()).access())
        await world.clock.advance(5.0)
        assert world.refreshes == []
    await world.clock.advance(2.0)
    assert await asking == "at-2"


@pytest.mark.parametrize("kind", ["dead", "gone"])
async def test_what_becomes_of_a_login_meanwhile_is_heard_of(
    world: World, a: Host, b: Host, kind: str
) -> None:
    row = await world.log_in(left=EXPIRED)
    async with a.role()():
        asking = asyncio.get_running_loop().create_task(b.keeper(role=b.role()).access())
        await world.clock.advance(5.0)
        credentials = world.real_store.credentials
        if kind == "dead":
            now = world.clock.now()
            await credentials.set_status(row, LoginState.DEAD, reason="revoked", now=now)
        else:
            await credentials.remove(row.account_id, row.app, row.kind)
        await world.clock.advance(2.0)
        with pytest.raises(InvalidGrant, match="dead"):
            await asking


async def test_a_401_that_another_process_gets_is_answered_by_the_keeper(
    world: World, a: Host, b: Host
) -> None:
    await world.log_in()
    async with _bot(world, a) as bot:
        command = b.keeper(role=b.role())
        used = Secret(await command.access())
        asking = asyncio.get_running_loop().create_task(
            command.keeper.report_unauthorized(GREETER.id, used)
        )
        await world.clock.at_rest()
        assert world.refreshes == []
        await bot.keeper.reload()  # as a bot does when the store has changed
        await world.clock.advance(2.0)
        assert await asking == Secret("at-2")
    assert world.refreshes == ["rt-1"]


async def test_one_who_follows_looks_now_and_then_and_tells_nobody_and_still_hears_a_401(
    world: World, a: Host, b: Host
) -> None:
    await world.log_in(left=timedelta(minutes=15))
    async with a.role()(), _bot(world, b) as follower:
        await world.clock.advance(timedelta(minutes=5))
        assert follower.states == [LoginState.OK]
        asking = asyncio.get_running_loop().create_task(
            follower.keeper.report_unauthorized(GREETER.id, Secret("at-1"))
        )
        await world.clock.advance(35.0)
        assert await asking is None
        assert (await world.row()).access_until < world.clock.now()  # the keeper can see it
    assert world.refreshes == []


async def test_once_rescued_tokens_were_looked_for_no_call_asks_for_the_role(
    world: World, a: Host
) -> None:
    await world.log_in()
    asked: list[str] = []

    class Counted(Alone):
        def __call__(self) -> AbstractAsyncContextManager[bool]:
            asked.append("role")
            return super().__call__()

    kept = a.keeper(role=Counted())
    await kept.access()
    before = len(asked)
    for _ in range(3):
        await kept.access()
    assert len(asked) == before


async def test_a_process_that_shall_never_refresh_follows_and_judges_nothing(
    world: World, a: Host
) -> None:
    row = await world.log_in(left=timedelta(minutes=5))
    await world.real_store.credentials.intend(row, sent_intent(row), reserve_bytes=10)
    await world.real_store.credentials.mark_sent(row, "i-1")
    whole = world.vault
    world.vault = _ShutVault(whole)
    follower = keeper_in(world, role=NeverLeader())
    world.vault = whole
    assert await follower.access() == "at-1"
    await world.clock.advance(timedelta(minutes=6))
    with pytest.raises(Parked):
        await _through(world, follower.access())
    assert world.peer.calls == []
    assert (await world.row()).status is LoginState.OK
    world.peer.plan[TOKEN] = []
    assert await a.keeper(role=a.role(), owner="other").access() == "at-2"
    await world.clock.advance(15.0)
    assert await _through(world, follower.access()) == "at-2"
    await follower.keeper.close()


async def test_a_token_that_was_rescued_is_given_to_the_store_before_the_next_is_spent(
    world: World, a: Host, b: Host
) -> None:
    await world.log_in(left=EXPIRED)
    rescue = MemoryRescue()
    world.broken.add("credentials.store_result")
    assert await a.keeper(role=a.role(), rescue=rescue).access() == "at-2"
    world.broken.clear()
    role = a.role()
    async with role():
        command = b.keeper(role=b.role(), rescue=rescue)
        asking = asyncio.get_running_loop().create_task(command.access())
        await world.clock.advance(3.0)
    await world.clock.advance(2.0)
    assert await asking == "at-2"
    assert (world.refreshes, world.peer.reused, rescue.entries) == (["rt-1"], 0, [])


async def test_a_token_that_was_rescued_and_that_the_store_still_refuses_is_used(
    world: World, a: Host, b: Host
) -> None:
    await world.log_in(left=EXPIRED)
    rescue = MemoryRescue()
    world.broken.add("credentials.store_result")
    assert await a.keeper(role=a.role(), rescue=rescue).access() == "at-2"
    async with a.role()():
        command = b.keeper(role=b.role(), rescue=rescue)
        asking = asyncio.get_running_loop().create_task(command.access())
        await world.clock.advance(3.0)
    await world.clock.advance(2.0)
    assert await asking == "at-2"
    assert (world.refreshes, world.peer.reused) == (["rt-1"], 0)


async def test_a_rescued_token_that_one_who_waited_finds_is_offered_to_the_store_at_once(
    world: World, a: Host, b: Host
) -> None:
    await world.log_in(left=EXPIRED)
    rescue = MemoryRescue()
    world.broken.add("credentials.store_result")
    assert await a.keeper(role=a.role(), rescue=rescue).access() == "at-2"
    async with AsyncExitStack() as stack:
        async with a.role()():
            bot = running(world, **b.terms(role=b.role(), rescue=rescue))
            kept = await stack.enter_async_context(bot)
            await world.clock.advance(3.0)
        await world.clock.advance(2.0)
        assert await kept.access() == "at-2"
        world.broken.clear()
        await world.clock.advance(5.0)
        assert ((await world.row()).gen, rescue.entries) == (2, [])
    assert world.refreshes == ["rt-1"]


async def test_of_two_who_ask_at_once_one_refreshes_and_both_serve(
    world: World, a: Host, b: Host
) -> None:
    await world.log_in(left=LAST_MINUTE)
    asking = asyncio.gather(a.keeper(role=a.role()).access(), b.keeper(role=b.role()).access())
    await world.clock.advance(5.0)
    assert await asking == ["at-2", "at-2"]
    assert world.refreshes == ["rt-1"]


async def test_a_lease_that_is_lost_is_no_lease(world: World, a: Host) -> None:
    role = a.role()
    async with role() as keeps:
        assert keeps
        await world.real_store.leases.acquire(KEEPER, "c", ttl=timedelta(minutes=9), ended="a")
        await world.clock.advance(60.0)
        async with role() as still:
            assert not still
        with pytest.raises(LeaseLost):
            role._lease.fence()


async def test_a_bot_ends_though_its_lease_cannot_be_given_back(world: World, a: Host) -> None:
    await world.log_in()
    async with _bot(world, a):
        a.frozen = True
    a.frozen = False
    assert await world.real_store.leases.holder(KEEPER) == "a"


async def test_a_role_that_is_taken_for_each_refresh_is_not_stayed_in(
    world: World, a: Host
) -> None:
    async def on_taken() -> None:
        raise AssertionError("taken")

    await a.role().stay(on_taken)
    assert await world.real_store.leases.holder(KEEPER) is None


async def test_who_may_lead_judges_the_tokens_that_sign_too(world: World, a: Host) -> None:
    await world.log_in_1a(level="read")
    keeper = a.keeper(role=a.role()).keeper
    pair = await keeper.token_pair(GREETER.id)
    refused = Unauthorized("no", status=401, codes=(89,))
    await keeper.oauth1_logins.refused(GREETER.id, pair, refused)
    row = await keeper.row_of(GREETER.id, CredentialKind.OAUTH1)
    assert row is not None
    assert row.status is LoginState.UNCERTAIN


@asynccontextmanager
async def _staying(role: LeasedRole) -> AsyncIterator[list[str]]:
    """Stay in the role; yield how often it was told that the role was taken."""
    told: list[str] = []

    async def on_taken() -> None:
        told.append("taken")

    task = asyncio.get_running_loop().create_task(role.stay(on_taken))
    yield told
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_role_that_was_taken_before_is_not_told_and_one_that_is_taken_again_is(
    world: World, a: Host
) -> None:
    role = a.role(stays=True)
    async with role() as keeps:
        assert keeps
    async with _staying(role) as told:
        await world.clock.advance(20.0)
        assert told == []
        await world.real_store.leases.acquire(KEEPER, "c", ttl=timedelta(seconds=30), ended="a")
        await world.clock.advance(60.0)
        assert told == ["taken"]


async def test_who_waits_for_the_role_looks_every_two_seconds_and_renews_it_every_fifteen(
    world: World, a: Host
) -> None:
    leases = world.real_store.leases
    theirs = await leases.acquire(KEEPER, "c", ttl=timedelta(minutes=9))
    async with _staying(a.role(stays=True)):
        await world.clock.advance(20.0)
        assert 10 <= world.log.count("leases.acquire") <= 11
        assert await leases.holder(KEEPER) == "c"
        await leases.release(theirs)
        await world.clock.advance(2.0)
        assert await leases.holder(KEEPER) == "a"
        await world.clock.advance(150.0)
        assert 9 <= world.log.count("leases.renew") <= 10


# ---- tokens that a process before could not store ------------------------------------------------


class _CountedRescue(MemoryRescue):
    """A rescue place that counts how often it is read."""

    reads = 0

    async def load(self) -> list[Rescued]:
        self.reads += 1
        return await super().load()


async def _rescued(world: World, host: Host) -> _CountedRescue:
    """A place with the result of a refresh that the store did not take; the store is well."""
    await world.log_in(left=timedelta(minutes=10))
    rescue = _CountedRescue()
    world.broken.add("credentials.store_result")
    await host.keeper(role=host.role(), rescue=rescue).keeper.settled(GREETER.id)
    world.broken.clear()
    assert len(rescue.entries) == 1
    rescue.reads = 0
    return rescue


async def test_one_who_follows_leaves_rescued_tokens_to_the_leader(world: World, a: Host) -> None:
    rescue = await _rescued(world, a)
    follower = keeper_in(world, role=NeverLeader(), rescue=rescue)
    assert await follower.access() == "at-1"
    assert ((await world.row()).gen, len(rescue.entries), rescue.reads) == (1, 1, 0)


async def test_of_two_who_begin_at_once_one_stores_the_rescued_tokens(
    world: World, a: Host
) -> None:
    rescue = await _rescued(world, a)
    kept = a.keeper(role=a.role(), rescue=rescue)
    await asyncio.gather(kept.keeper.reload(), kept.keeper.reload())
    assert await kept.access() == "at-2"
    assert ((await world.row()).gen, rescue.entries, rescue.reads) == (2, [], 1)
