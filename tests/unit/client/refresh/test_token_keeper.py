"""Logins are kept alive: ahead of time, in one flight, whatever the clocks do."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from botkit.client.logins.login_rows import fingerprint
from botkit.client.refresh.refresher import Refresher
from botkit.errors import InvalidGrant, Parked
from botkit.model.records import CredentialRow
from botkit.model.tokens import CredentialKind, LoginState, Secret
from botkit.protocol.rules.pricing import Charge
from tests.unit.client.fakes import GREETER, World, json_answer
from tests.unit.client.keeping import (
    EXPIRED,
    LAST_MINUTE,
    TOKEN,
    WRONG_SECRET,
    keeper_in,
    running,
)

# ---- the ordinary way ------------------------------------------------------------------------


async def test_a_token_with_life_left_is_given_out_as_it_is(world: World) -> None:
    await world.log_in()
    async with keeper_in(world).keeper as keeper:
        assert (await keeper.access_token(GREETER.id)).reveal() == "at-1"
    assert world.peer.calls == []


async def test_the_result_is_stored_before_the_new_token_is_given_out(world: World) -> None:
    await world.log_in(left=LAST_MINUTE)
    kept = keeper_in(world)
    assert await kept.access() == "at-2"
    writes = [
        call for call in world.log if call.split(".")[1] in {"intend", "mark_sent", "store_result"}
    ]
    assert writes == ["credentials.intend", "credentials.mark_sent", "credentials.store_result"]
    row = await world.row()
    assert (row.gen, row.intent, row.status) == (2, None, LoginState.OK)
    assert row.access_until == world.clock.now() + timedelta(hours=2)
    tokens = await world.tokens()
    assert (tokens["access_token"], tokens["refresh_token"]) == ("at-2", "rt-2")
    assert "rt-1" not in tokens.values()
    assert tokens["spent"] == fingerprint(Secret("rt-1"))


async def test_the_client_proves_itself_by_basic_and_never_in_the_body(world: World) -> None:
    await world.log_in(left=LAST_MINUTE)
    await keeper_in(world).access()
    [call] = world.peer.named(TOKEN)
    assert dict(call.headers)["Authorization"].startswith("Basic ")
    assert call.body == b"grant_type=refresh_token&refresh_token=rt-1"
    assert call.url == "https://api.x.com/2/oauth2/token"


async def test_a_refresh_token_that_x_does_not_replace_stays(world: World) -> None:
    await world.log_in(left=LAST_MINUTE)
    world.peer.plan[TOKEN] = [
        json_answer(200, {"token_type": "bearer", "access_token": "at-9", "expires_in": 7200})
    ]
    kept = keeper_in(world)
    assert await kept.access() == "at-9"
    assert (await world.tokens())["refresh_token"] == "rt-1"
    assert (await world.row()).scopes == (
        "tweet.read",
        "tweet.write",
        "users.read",
        "offline.access",
    )


async def test_the_heap_task_refreshes_with_a_quarter_of_the_life_left(world: World) -> None:
    await world.log_in()
    async with running(world) as kept:
        await world.clock.advance(timedelta(minutes=79))
        assert world.refreshes == []
        await world.clock.advance(timedelta(minutes=22))
        assert world.refreshes == ["rt-1"]
        assert await kept.access() == "at-2"
        await world.clock.advance(timedelta(hours=24))
    assert 14 <= len(world.refreshes) <= 19
    assert world.peer.reused == 0
    assert set(kept.states) == {LoginState.OK}


async def test_once_stopped_the_heap_task_looks_at_a_due_login_a_second_later_and_not_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.log_in(left=timedelta(minutes=40))
    ahead_s: list[float] = []
    async with running(world) as kept:
        kept.keeper.stop()
        heap = kept.keeper._refresh_tasks._heap
        whole = heap.set

        def watched(grant: Any, due_s: float | None) -> bool:
            assert due_s is not None
            ahead_s.append(due_s - world.clock.monotonic())
            assert ahead_s[-1] > 0, "it would be taken again at once, for ever"
            return whole(grant, due_s)

        monkeypatch.setattr(heap, "set", watched)
        await world.clock.advance(timedelta(minutes=20))
    assert set(ahead_s) == {1.0}
    assert world.refreshes == []


async def test_nobody_waits_for_a_refresh_while_the_old_token_lives(world: World) -> None:
    await world.log_in(left=timedelta(minutes=10))
    go_on = asyncio.Event()
    world.peer.hold = go_on.wait
    kept = keeper_in(world)
    async with kept.keeper:
        assert await kept.access() == "at-1"
        await world.clock.at_rest()
        assert await kept.access() == "at-1"
        go_on.set()
    assert world.refreshes == ["rt-1"]
    assert await kept.access() == "at-2"


# ---- F8: one flight --------------------------------------------------------------------------


async def test_a_hundred_waiters_share_one_refresh_and_one_who_leaves_does_not_cut_it(
    world: World,
) -> None:
    await world.log_in(left=EXPIRED)
    go_on = asyncio.Event()
    world.peer.hold = go_on.wait
    kept = keeper_in(world)
    async with asyncio.TaskGroup() as group:
        waiters = [group.create_task(kept.access()) for _ in range(100)]
        await world.clock.at_rest()
        waiters[0].cancel()
        await world.clock.at_rest()
        go_on.set()
    assert world.refreshes == ["rt-1"]
    assert waiters[0].cancelled()
    assert {waiter.result() for waiter in waiters[1:]} == {"at-2"}


async def test_all_waiters_leaving_does_not_cut_a_refresh_between_bytes_and_answer(
    world: World,
) -> None:
    await world.log_in(left=EXPIRED)
    go_on = asyncio.Event()
    world.peer.hold = go_on.wait
    kept = keeper_in(world)
    waiter = asyncio.get_running_loop().create_task(kept.access())
    await world.clock.at_rest()
    waiter.cancel()
    await world.clock.at_rest()
    go_on.set()
    await kept.keeper.close()
    assert (await world.row()).gen == 2


# ---- F16: whose token ------------------------------------------------------------------------


async def test_a_new_token_of_another_user_stops_the_account(world: World) -> None:
    await world.log_in(left=LAST_MINUTE)
    world.peer.user = {**world.peer.user, "id": "666"}
    spent: list[tuple[str, Charge, str]] = []

    def note(account_id: str, charge: Charge, /, *, app: str) -> None:
        spent.append((account_id, charge, app))

    kept = keeper_in(world, check_owner=True, on_spend=note)
    async with kept.keeper:
        await kept.access()
    assert kept.states[-1] is LoginState.DEAD
    assert "another user" in kept.changes[-1].reason
    charge = Charge(each_usd=Decimal("0.010"), resources=(f"User: Read/{GREETER.id}",))
    assert spent == [(GREETER.id, charge, "default")]


@pytest.mark.parametrize("fault", [None, "lost", json_answer(401, {"title": "Unauthorized"})])
async def test_a_new_token_of_the_same_user_or_nobody_knows_goes_on(
    world: World, fault: object, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.log_in(left=LAST_MINUTE)
    if fault is not None:
        world.peer.plan["GET /2/users/me"] = [fault]
    spent: list[str] = []

    def note(account_id: str, _: Charge, /, *, app: str) -> None:
        spent.append(account_id)

    kept = keeper_in(world, check_owner=True, on_spend=note)
    async with kept.keeper:
        await kept.access()
    assert set(kept.states) == {LoginState.OK}
    # X may have charged for an answer that was lost.
    assert spent == ([GREETER.id] if fault is None or fault == "lost" else [])
    assert "refresh.crashed" not in "".join(capsys.readouterr())


# ---- F17 and rows 60 to 62: clocks -----------------------------------------------------------


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-2), timedelta(days=-20000)])
async def test_a_wall_clock_that_jumps_while_running_starts_no_storm(
    world: World, jump: timedelta
) -> None:
    await world.log_in()
    async with running(world) as kept:
        world.clock.set(world.clock.now() + jump)
        await world.clock.advance(timedelta(minutes=60))
        assert world.refreshes == []
        assert await kept.access() == "at-1"
        await world.clock.advance(timedelta(hours=2))
        assert 1 <= len(world.refreshes) <= 2


async def test_a_clock_that_is_behind_at_the_start_does_not_stretch_a_tokens_life(
    world: World,
) -> None:
    await world.log_in()
    world.clock.set(world.clock.now() - timedelta(hours=3))
    kept = keeper_in(world)
    await kept.access()
    assert kept.changes[-1].left_s == 7200.0
    assert await kept.keeper.report_unauthorized(GREETER.id, Secret("at-1")) == Secret("at-2")


async def test_after_two_days_asleep_there_is_one_refresh(world: World) -> None:
    await world.log_in()
    async with running(world) as kept:
        world.clock._elapsed += 2 * 24 * 3600  # nobody is woken: the machine was asleep
        await world.clock.advance(60.0)
        assert (world.refreshes, await kept.access()) == (["rt-1"], "at-2")


async def test_a_short_life_is_refreshed_ahead_by_the_same_share(world: World) -> None:
    await world.log_in(left=EXPIRED)
    world.peer.expires_in = "180"
    async with running(world) as kept:
        await world.clock.advance(1800.0)
        assert 11 <= len(world.refreshes) <= 15
        assert await kept.access() in world.peer.access_tokens
    assert world.peer.reused == 0


@pytest.mark.parametrize("odd", [5, 1, 0.5, 61, True, 0, -7, "abc", 10**12, []])
async def test_refreshes_are_a_minute_apart_whatever_life_x_names(
    world: World, odd: object
) -> None:
    await world.log_in(left=EXPIRED)
    world.peer.expires_in = odd
    async with running(world) as kept:
        for _ in range(60):
            await kept.access()
            await world.clock.advance(5.0)
        assert len(world.refreshes) <= 5
        assert set(kept.states[1:]) == {LoginState.OK}
        assert await kept.access() in world.peer.access_tokens
    assert world.peer.reused == 0


async def test_the_minute_counts_across_processes_and_however_short_the_stored_life(
    world: World,
) -> None:
    row = await world.log_in(last_success=world.clock.now())
    short = msgspec.structs.replace(row, access_until=world.clock.now() + timedelta(seconds=5))
    await world.real_store.credentials.replace(world.rows.sealed(_next(short), TOKENS))
    async with running(world) as kept:
        await world.clock.advance(50.0)
        assert world.refreshes == []
        with pytest.raises(Parked):
            await kept.access()
        await world.clock.advance(20.0)
        assert world.refreshes == ["rt-1"]
        assert await kept.access() == "at-2"


def _next(row: CredentialRow) -> CredentialRow:
    return msgspec.structs.replace(row, gen=row.gen + 1)


TOKENS = {"access_token": Secret("at-1"), "refresh_token": Secret("rt-1")}


async def test_an_empty_refresh_token_keeps_the_one_before(world: World) -> None:
    await world.log_in(left=EXPIRED)
    answer = {"token_type": "bearer", "access_token": "at-1", "refresh_token": ""}
    world.peer.plan[TOKEN] = [json_answer(200, answer)]
    async with keeper_in(world).keeper as keeper:
        assert (await keeper.access_token(GREETER.id)).reveal() == "at-1"
    assert (await world.row()).status is LoginState.OK
    assert (await world.tokens())["refresh_token"] == "rt-1"


async def test_a_login_that_x_refuses_for_good_names_the_likely_causes(world: World) -> None:
    await world.log_in(left=EXPIRED)
    world.peer.refresh_token = "rt-2"  # another copy of the store has refreshed it
    kept = keeper_in(world)
    async with kept.keeper:
        with pytest.raises(InvalidGrant, match=r"restored or copied.*spent by a second copy"):
            await kept.access()
    reason = (await world.row()).reason
    assert reason.startswith("X refused the code or token for good (400 invalid_request: ")
    assert "the access was taken back on X" in reason


# ---- 401 -------------------------------------------------------------------------------------


async def test_many_401s_of_one_token_start_one_refresh(world: World) -> None:
    await world.log_in()
    kept = keeper_in(world)
    reports = [kept.keeper.report_unauthorized(GREETER.id, Secret("at-1")) for _ in range(20)]
    assert set(await asyncio.gather(*reports)) == {Secret("at-2")}
    assert world.refreshes == ["rt-1"]


async def test_401s_that_go_on_start_refreshes_ever_less_often(world: World) -> None:
    await world.log_in()
    kept = keeper_in(world)
    for _ in range(60):
        used = await kept.keeper.access_token(GREETER.id)
        await kept.keeper.report_unauthorized(GREETER.id, used)
        await world.clock.advance(60.0)
    assert 3 <= len(world.refreshes) <= 9


async def test_a_401_with_a_dead_grant_says_so(world: World) -> None:
    await world.log_in(refresh_token="rt-old")
    kept = keeper_in(world)
    with pytest.raises(InvalidGrant):
        await kept.keeper.report_unauthorized(GREETER.id, Secret("at-1"))


async def test_a_401_with_a_login_that_was_removed_says_so(world: World) -> None:
    row = await world.log_in()
    keeper = keeper_in(world).keeper
    await keeper.holdings(GREETER.id)
    await world.real_store.credentials.remove(row.account_id, row.app, row.kind)
    with pytest.raises(InvalidGrant, match="it was removed"):
        await keeper.report_unauthorized(GREETER.id, Secret("at-1"))


async def test_a_401_when_the_token_endpoint_cannot_be_reached_gives_nothing_new(
    world: World,
) -> None:
    await world.log_in()
    world.peer.plan[TOKEN] = ["connect"]
    kept = keeper_in(world)
    assert await kept.keeper.report_unauthorized(GREETER.id, Secret("at-1")) is None
    assert await kept.access() == "at-1"


# ---- beside others, and the end --------------------------------------------------------------


async def test_after_the_stop_no_refresh_starts(world: World) -> None:
    await world.log_in(left=LAST_MINUTE)
    async with running(world) as kept:
        kept.keeper.stop()
        assert world.refreshes == ["rt-1"]
        await world.clock.advance(timedelta(hours=3))
        with pytest.raises(Parked):
            await kept.access()
    assert world.refreshes == ["rt-1"]


async def test_the_end_waits_for_a_refresh_up_to_the_deadline_and_no_longer(world: World) -> None:
    await world.log_in(left=EXPIRED)
    never = asyncio.Event()
    world.peer.hold = never.wait
    kept = keeper_in(world)
    waiter = asyncio.get_running_loop().create_task(kept.access())
    await world.clock.at_rest()
    closing = asyncio.get_running_loop().create_task(kept.keeper.close(deadline_s=8))
    await world.clock.advance(7.0)
    assert not closing.done()
    await world.clock.advance(2.0)
    assert closing.done()
    await closing
    never.set()
    assert await waiter == "at-2"


async def test_a_login_that_setup_renews_is_taken_over_on_reload_without_a_restart(
    world: World,
) -> None:
    await world.log_in(left=EXPIRED, refresh_token="rt-old")
    async with running(world) as kept:
        assert kept.states[-1] is LoginState.DEAD
        await world.log_in(gen=2)
        await kept.keeper.reload()
        assert (kept.states[-1], await kept.access()) == (LoginState.OK, "at-1")
        await world.clock.advance(timedelta(hours=2))
        assert world.refreshes[1:] == ["rt-1"]


async def test_a_reload_in_the_middle_of_a_refresh_does_not_call_it_lost(world: World) -> None:
    await world.log_in(left=EXPIRED)
    go_on = asyncio.Event()
    world.peer.hold = go_on.wait
    async with running(world) as kept:
        await kept.keeper.reload()
        go_on.set()
        assert await kept.access() == "at-2"
    assert set(kept.states) == {LoginState.OK}


async def test_statuses_say_what_the_operator_needs(world: World) -> None:
    await world.log_in(left=timedelta(minutes=90))
    kept = keeper_in(world)
    await kept.access()
    [status] = kept.keeper.statuses()
    assert (status.username, status.gen, status.left_s, status.saved, status.next_step) == (
        "greeter",
        1,
        5400.0,
        True,
        "",
    )


async def test_no_secret_stands_in_the_logs(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.log_in(left=EXPIRED)
    world.peer.plan[TOKEN] = ["reset", WRONG_SECRET]
    async with running(world):
        await world.clock.advance(timedelta(minutes=5))
    out = "".join(capsys.readouterr())
    assert "login.state_changed" in out
    for secret in ("rt-1", "at-1", "s:e+c", "api-secret"):
        assert secret not in out


async def test_ten_accounts_are_refreshed_side_by_side(world: World) -> None:
    await world.log_in(left=EXPIRED)
    world.peer.rotates = False
    for number in range(9):
        account = msgspec.structs.replace(GREETER, id=str(number), username=f"bot{number}")
        await world.log_in(account=account, left=EXPIRED)
    async with running(world) as kept:
        await world.clock.at_rest()
        assert len(world.refreshes) == 10
        assert all(status.left_s > 7000 for status in kept.keeper.statuses())


async def test_of_each_kind_the_account_has_its_own_row_or_none(world: World) -> None:
    oauth2, oauth1 = CredentialKind.OAUTH2, CredentialKind.OAUTH1
    keeper = keeper_in(world).keeper
    assert await keeper.row_of(GREETER.id, oauth1) is None
    assert await keeper.row_of(GREETER.id, oauth2) is None
    await world.log_in_1a()
    keeper = keeper_in(world).keeper
    row = await keeper.row_of(GREETER.id, oauth1)
    assert row is not None
    assert row.kind is oauth1
    assert await keeper.row_of(GREETER.id, oauth2) is None
    await world.log_in()
    keeper = keeper_in(world).keeper
    row = await keeper.row_of(GREETER.id, oauth2)
    assert row is not None
    assert row.kind is oauth2


async def test_the_version_grows_with_each_login_that_is_read(world: World) -> None:
    await world.log_in()
    kept = keeper_in(world)
    before = kept.keeper.version
    await kept.access()
    assert kept.keeper.version > before


async def test_a_refresh_that_crashes_is_tried_again_a_minute_later_and_no_sooner(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.log_in(left=EXPIRED)
    tried: list[float] = []

    async def crash(*args: object, **more: object) -> None:
        tried.append(world.clock.monotonic())
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Refresher, "refresh", crash)
    async with running(world):
        await world.clock.advance(timedelta(minutes=5))
    assert 3 <= len(tried) <= 6
    assert all(later - earlier >= 60 for earlier, later in pairwise(tried))


async def test_a_check_of_a_login_that_is_not_due_refreshes_nothing(world: World) -> None:
    await world.log_in(left=timedelta(minutes=70))
    async with keeper_in(world).keeper as keeper:
        assert (await keeper.settled(GREETER.id)).status is LoginState.OK
    assert world.refreshes == []


async def test_an_account_that_is_not_known_acts_through_the_default_app(world: World) -> None:
    await world.log_in()
    keeper = keeper_in(world).keeper
    assert await keeper.app_of(GREETER.id) == "default"
    assert await keeper.app_of("12345") == "default"


async def test_an_account_acts_through_its_app_whatever_is_asked_first(world: World) -> None:
    await world.log_in(account=msgspec.structs.replace(GREETER, app="other"))
    assert await keeper_in(world).keeper.app_of(GREETER.id) == "other"


async def test_a_revocation_of_an_account_that_has_no_login_is_nothing(world: World) -> None:
    kept = keeper_in(world)
    await kept.keeper.mark_dead("12345", "revoked")
    assert kept.changes == []


async def test_a_revocation_is_a_doubt_about_the_token_that_signs_too(world: World) -> None:
    await world.log_in()
    await world.log_in_1a()
    async with keeper_in(world).keeper as keeper:
        await keeper.revoked(GREETER.id, "the user revoked the app")
        assert (await world.row()).status is LoginState.DEAD
        signing = await keeper.row_of(GREETER.id, CredentialKind.OAUTH1)
        assert signing is not None
        assert signing.status is LoginState.UNCERTAIN
