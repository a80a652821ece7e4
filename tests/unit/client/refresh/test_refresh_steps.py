"""One refresh, step by step: what it heeds in the store, what it sends, what it leaves behind."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from botkit.client.logins.login_rows import sealed_for
from botkit.errors import InvalidClient
from botkit.model.tokens import LoginState, Secret
from botkit.ports.io import HttpResponse
from tests.unit.client.fakes import APPS, GREETER, MemoryRescue, World
from tests.unit.client.hosts import Host
from tests.unit.client.keeping import EXPIRED, TOKEN, WRONG_SECRET, keeper_in, sent_intent

DUE = timedelta(minutes=10)
"""A token's life at which its refresh is due, and not late."""

# ---- what it heeds -------------------------------------------------------------------------------


async def test_an_intent_that_was_never_sent_is_no_doubt_about_a_refresh_ahead_of_time(
    world: World,
) -> None:
    row = await world.log_in(left=DUE)
    await world.real_store.credentials.intend(row, sent_intent(row), reserve_bytes=10)
    async with keeper_in(world).keeper as keeper:
        assert (await keeper.settled(GREETER.id)).gen == 2
    assert world.refreshes == ["rt-1"]


async def test_an_intent_that_was_never_sent_is_not_waited_for(world: World) -> None:
    row = await world.log_in(left=EXPIRED)
    await world.real_store.credentials.intend(row, sent_intent(row), reserve_bytes=10)
    here = Host(world, "here")  # it cannot tell whether the other one lives
    assert await here.keeper().access() == "at-2"


async def test_each_token_that_another_process_sent_has_a_grace_of_its_own(world: World) -> None:
    row = await world.log_in(left=EXPIRED)
    ahead = world.clock.now() + timedelta(days=1)
    first = msgspec.structs.replace(sent_intent(row), sent=True, started=ahead)
    second = msgspec.structs.replace(first, id="i-2")
    refresher = Host(world, "here").keeper().keeper._refresher

    async def grace_s(intent: object) -> float:
        return await refresher._others_for_s(msgspec.structs.replace(row, intent=intent))

    assert await grace_s(first) == 120.0
    await world.clock.advance(100.0)
    assert await grace_s(first) == 20.0
    assert await grace_s(second) == 120.0
    await world.clock.advance(100.0)
    assert await grace_s(second) == 20.0


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (LoginState.OK, "", None),
        (LoginState.UNCERTAIN, "", "kept"),
        (LoginState.OK, "said by the leader", "kept"),
    ],
)
async def test_one_who_follows_hears_of_another_state_and_of_another_reason(
    world: World, status: LoginState, reason: str, kind: str | None
) -> None:
    seen = await world.log_in()
    now = world.clock.now()
    await world.real_store.credentials.set_status(seen, status, reason=reason, now=now)
    found = await keeper_in(world).keeper._refresher.follow(seen)
    assert (found and found.kind) == kind
    assert world.peer.calls == []


async def test_a_login_that_was_removed_before_it_is_judged_stays_as_it_was_seen(
    world: World,
) -> None:
    row = await world.log_in()
    seen = msgspec.structs.replace(
        row, intent=msgspec.structs.replace(sent_intent(row), sent=True)
    )
    await world.real_store.credentials.remove(row.account_id, row.app, row.kind)
    judged = await keeper_in(world).keeper._refresher.judge(seen, first=True)
    assert (judged.gen, judged.account_id) == (1, GREETER.id)
    assert await world.real_store.credentials.listing() == []


# ---- what it sends -------------------------------------------------------------------------------


async def test_an_app_without_a_client_secret_is_config_and_sends_nothing(world: World) -> None:
    await world.log_in(left=EXPIRED)
    bare = {"default": msgspec.structs.replace(APPS["default"], client_secret=Secret(""))}
    with pytest.raises(InvalidClient, match="no client id and secret"):
        await keeper_in(world, apps=bare).access()
    assert world.peer.calls == []


async def test_a_refresh_is_a_write_that_is_waited_for_a_minute(world: World) -> None:
    await world.log_in(left=EXPIRED)
    await keeper_in(world).access()
    [call] = world.peer.named(TOKEN)
    assert (call.method, call.timeout_s, call.writes) == ("POST", 60.0, True)


# ---- what it leaves behind -----------------------------------------------------------------------


@pytest.mark.parametrize("status", [LoginState.OK, LoginState.UNCERTAIN])
async def test_a_login_is_ok_since_its_doubt_ended_and_a_refresh_without_doubt_changes_no_date(
    world: World, status: LoginState
) -> None:
    reason = "" if status is LoginState.OK else "the refresh was not granted: 401"
    row = await world.log_in(left=DUE, status=status, reason=reason)
    await world.clock.advance(60.0)
    async with keeper_in(world).keeper as keeper:
        await keeper.settled(GREETER.id)
    new = await world.row()
    now = world.clock.now()
    assert new.since == (row.since if status is LoginState.OK else now)
    assert (new.gen, new.status, new.reason, new.last_success) == (2, LoginState.OK, "", now)


async def test_a_login_that_works_again_forgets_the_keys_that_were_wrong(world: World) -> None:
    await world.log_in(left=EXPIRED)
    world.peer.plan[TOKEN] = [WRONG_SECRET]
    with pytest.raises(InvalidClient):
        await keeper_in(world).access()
    assert (await world.row()).config_fingerprint != ""
    right = {"default": msgspec.structs.replace(APPS["default"], client_secret=Secret("new"))}
    assert await keeper_in(world, apps=right).access() == "at-2"
    assert (await world.row()).config_fingerprint == ""


@pytest.mark.parametrize("size", [16 * 1024 - 1, 16 * 1024, 20_000])
async def test_of_an_answer_that_cannot_be_read_sixteen_kib_are_kept(
    world: World, size: int
) -> None:
    await world.log_in(left=DUE)
    page = HttpResponse(status=200, headers={"content-type": "text/html"}, body=b"\xff" * size)
    world.peer.plan[TOKEN] = [page]
    rescue = MemoryRescue()
    async with keeper_in(world, rescue=rescue).keeper as keeper:
        await keeper.settled(GREETER.id)
    [kept] = rescue.entries
    opened = world.vault.open(kept.row.sealed, **sealed_for(kept.row))
    assert opened["raw"].reveal().encode("latin-1") == page.body[: 16 * 1024]
