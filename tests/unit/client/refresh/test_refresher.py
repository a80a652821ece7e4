"""One refresh: every failure point of the rotating token that concerns one process."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from botkit.client.logins.login_rows import sealed_for
from botkit.client.logins.oauth2_login import NOT_GRANTED
from botkit.errors import InvalidClient, InvalidGrant, Parked, TransportError
from botkit.model.tokens import CredentialKind, LoginState, Secret
from botkit.ports.io import HttpResponse
from tests.unit.client.fakes import APPS, GREETER, MemoryRescue, World, invalid, json_answer
from tests.unit.client.keeping import (
    EXPIRED,
    LAST_MINUTE,
    TOKEN,
    WRONG_SECRET,
    keeper_in,
    running,
    sent_intent,
)

# ---- F1, F2, F11: nothing was sent -----------------------------------------------------------


async def test_an_intent_that_was_never_sent_is_refreshed_as_if_new(world: World) -> None:
    row = await world.log_in(left=LAST_MINUTE)
    await world.real_store.credentials.intend(row, sent_intent(row), reserve_bytes=10)
    kept = keeper_in(world)
    assert await kept.access() == "at-2"
    assert LoginState.UNCERTAIN not in kept.states


async def test_a_connect_that_fails_leaves_no_trace_and_is_tried_again_later_and_later(
    world: World,
) -> None:
    await world.log_in(left=EXPIRED)
    world.peer.plan[TOKEN] = ["connect"] * 4
    async with running(world) as kept:
        with pytest.raises(TransportError) as caught:
            await kept.access()
        assert type(caught.value) is TransportError
        row = await world.row()
        assert (row.intent, row.status) == (None, LoginState.OK)
        await world.clock.advance(3.0)
        assert world.peer.plan[TOKEN] == ["connect"] * 2
        await world.clock.advance(20.0)
        assert world.refreshes == ["rt-1"]
        assert await kept.access() == "at-2"
    assert set(kept.states) == {LoginState.OK}


@pytest.mark.parametrize("step", ["credentials.intend", "credentials.mark_sent"])
async def test_nothing_is_spent_while_the_store_cannot_take_the_answer(
    world: World, step: str
) -> None:
    await world.log_in(left=EXPIRED)
    world.broken.add(step)
    async with running(world) as kept:
        with pytest.raises(Parked) as caught:
            await kept.access()
        assert caught.value.waiting_for == "login"
        await world.clock.advance(30.0)
        assert world.refreshes == []
        world.broken.clear()
        await world.clock.advance(timedelta(minutes=2))
        assert world.refreshes == ["rt-1"]
        assert await kept.access() == "at-2"


async def test_a_store_that_cannot_be_read_blocks_the_refresh_and_not_the_process(
    world: World,
) -> None:
    await world.log_in(left=LAST_MINUTE)
    kept = keeper_in(world)
    await kept.keeper.holdings(GREETER.id)
    world.broken.add("credentials.get")
    assert await kept.access() == "at-1"
    assert world.refreshes == []


# ---- F3 to F6: the answer is lost ------------------------------------------------------------


@pytest.mark.parametrize("fault", ["lost", "reset"])
async def test_a_lost_answer_is_said_at_once_and_the_old_token_is_used_on_then_one_late_retry(
    world: World, fault: str
) -> None:
    await world.log_in()
    world.peer.plan[TOKEN] = [fault]
    async with running(world) as kept:
        await world.clock.advance(timedelta(minutes=101))
        assert kept.states[-1] is LoginState.UNCERTAIN
        assert "botkit setup --account greeter" in kept.changes[-1].next_step
        row = await world.row()
        assert (row.status, row.intent is not None and row.intent.sent) == (
            LoginState.UNCERTAIN,
            True,
        )
        await world.clock.advance(timedelta(minutes=16))
        assert await kept.access() == "at-1"
        assert world.refreshes == ["rt-1"]
        await world.clock.advance(timedelta(minutes=2))
        assert world.refreshes == ["rt-1", "rt-1"]
        if fault == "reset":
            assert (kept.states[-1], await kept.access()) == (LoginState.OK, "at-2")
            assert world.peer.reused == 0
        else:
            assert kept.states[-1] is LoginState.DEAD
            assert "lost" in kept.changes[-1].reason
            with pytest.raises(InvalidGrant, match="botkit setup --account greeter"):
                await kept.access()
        await world.clock.advance(timedelta(minutes=30))
        assert len(world.refreshes) == 2


async def test_at_start_an_intent_that_was_sent_is_uncertain_and_left_alone(world: World) -> None:
    row = await world.log_in(left=timedelta(minutes=30))
    await world.real_store.credentials.intend(row, sent_intent(row), reserve_bytes=10)
    await world.real_store.credentials.mark_sent(row, "i-1")
    async with running(world) as kept:
        assert kept.states == [LoginState.UNCERTAIN]
        assert await kept.access() == "at-1"
        await world.clock.advance(timedelta(minutes=27))
        assert world.refreshes == []
        await world.clock.advance(timedelta(minutes=2))
        assert (world.refreshes, await kept.access()) == (["rt-1"], "at-2")
    row = await world.row()
    assert (row.status, row.reason, row.intent) == (LoginState.OK, "", None)


async def test_an_uncertain_login_whose_token_is_refused_is_tried_now(world: World) -> None:
    row = await world.log_in(left=timedelta(hours=1))
    await world.real_store.credentials.intend(row, sent_intent(row), reserve_bytes=10)
    await world.real_store.credentials.mark_sent(row, "i-1")
    kept = keeper_in(world)
    fresh = await kept.keeper.report_unauthorized(GREETER.id, Secret("at-1"))
    assert fresh == Secret("at-2")
    assert world.refreshes == ["rt-1"]


async def test_a_late_retry_that_is_lost_too_is_tried_again_with_growing_pauses(
    world: World,
) -> None:
    await world.log_in(left=EXPIRED)
    world.peer.plan[TOKEN] = ["reset"] * 3
    async with running(world) as kept:
        with pytest.raises(Parked):
            await kept.access()
        await world.clock.advance(timedelta(minutes=12))
        assert len(world.refreshes) == 4
        assert await kept.access() == "at-2"


@pytest.mark.parametrize(
    "answer",
    [
        json_answer(500, {}),
        json_answer(502, {}),
        json_answer(503, {}),
        HttpResponse(
            status=200, headers={"content-type": "text/html"}, body=b"<html>login</html>"
        ),
        json_answer(200, []),
        json_answer(200, {"token_type": "bearer"}),
        json_answer(200, {"token_type": "mac", "access_token": "x"}),
        json_answer(408, {"title": "Request Timeout"}),
        json_answer(425, {"title": "Too Early"}),
        *(
            _REFUSED := [
                HttpResponse(status=403, headers={}, body=b"<html>blocked</html>"),
                json_answer(401, {"title": "Unauthorized"}),
                json_answer(404, {"title": "Not Found"}),
                json_answer(
                    400, {"error": "invalid_request", "error_description": "Valeur refusee"}
                ),
            ]
        ),
    ],
)
async def test_what_cannot_be_told_is_uncertain_and_overwrites_nothing(
    world: World, answer: HttpResponse
) -> None:
    await world.log_in(left=timedelta(minutes=10))
    world.peer.plan[TOKEN] = [answer]
    kept = keeper_in(world, rescue=(rescue := MemoryRescue()))
    async with kept.keeper:
        assert await kept.access() == "at-1"
    assert kept.states[-1] is LoginState.UNCERTAIN
    row = await world.row()
    assert row.gen == 1
    assert row.reason.startswith(NOT_GRANTED) == (row.intent is None) == (answer in _REFUSED)
    assert (await world.tokens())["refresh_token"] == "rt-1"
    unread = [entry for entry in rescue.entries if entry.unread_answer]
    assert len(unread) == (answer.status < 300)
    if unread:
        row = unread[0].row
        assert row.intent is None
        opened = world.vault.open(row.sealed, **sealed_for(row))
        assert opened["raw"].reveal().encode() == answer.body


@pytest.mark.parametrize("answer", _REFUSED)
async def test_a_refusal_without_a_known_reason_is_looked_at_again_soon_and_good_is_said_at_once(
    world: World, answer: HttpResponse
) -> None:
    await world.log_in(left=timedelta(minutes=40))
    world.peer.plan[TOKEN] = [answer, answer]
    async with running(world) as kept:
        await world.clock.advance(timedelta(minutes=25))
        assert kept.states[-1] is LoginState.OK
        assert set(kept.states) == {LoginState.OK, LoginState.UNCERTAIN}
        told = next(change for change in kept.changes if change.status is LoginState.UNCERTAIN)
        assert told.reason.startswith("the refresh was not granted: ")
        assert told.next_step == "botkit accounts check greeter"
        assert await kept.access() == "at-2"
    assert world.refreshes == ["rt-1"] * 3
    row = await world.row()
    assert (row.status, row.intent) == (LoginState.OK, None)


async def test_a_refusal_that_lasts_is_asked_about_less_often_and_then_costs_no_more(
    world: World,
) -> None:
    await world.log_in(left=timedelta(minutes=10))
    world.peer.plan[TOKEN] = [json_answer(401, {"title": "Unauthorized"})] * 100
    async with running(world):
        await world.clock.advance(timedelta(hours=1))
        assert 11 <= len(world.refreshes) <= 18


async def test_a_check_looks_at_a_refused_login_at_once(world: World) -> None:
    reason = "the refresh was not granted: POST /2/oauth2/token: 401 Unauthorized."
    await world.log_in(status=LoginState.UNCERTAIN, reason=reason)
    async with keeper_in(world).keeper as keeper:
        assert (await keeper.settled(GREETER.id)).status is LoginState.OK
    assert world.refreshes == ["rt-1"]


async def test_a_token_that_is_dead_after_a_refusal_is_not_called_lost(world: World) -> None:
    reason = "the refresh was not granted: POST /2/oauth2/token: 401 Unauthorized."
    await world.log_in(status=LoginState.UNCERTAIN, reason=reason, left=EXPIRED)
    world.peer.refresh_token = "rt-2"
    async with keeper_in(world).keeper as keeper:
        await keeper.settled(GREETER.id)
    row = await world.row()
    assert row.status is LoginState.DEAD
    assert "answer to a refresh was lost" not in row.reason


async def test_a_refusal_that_quotes_the_token_does_not_show_it(world: World) -> None:
    await world.log_in(left=timedelta(minutes=10), refresh_token="rt-secret")
    world.peer.plan[TOKEN] = [invalid("The token rt-secret is odd.")]
    async with keeper_in(world).keeper as keeper:
        await keeper.settled(GREETER.id)
    assert "The token (the token) is odd." in (await world.row()).reason


async def test_what_a_refresh_is_answered_late_is_read(world: World) -> None:
    await world.log_in(left=timedelta(minutes=10))
    async with keeper_in(world).keeper as keeper:
        await keeper.settled(GREETER.id)
    assert [call.reads_late for call in world.peer.named(TOKEN)] == [True]


async def test_a_redirect_does_not_say_that_nothing_was_done(world: World) -> None:
    await world.log_in(left=timedelta(minutes=10))
    world.peer.plan[TOKEN] = ["redirect"]
    async with running(world) as kept:
        assert await kept.access() == "at-1"
        await world.clock.advance(timedelta(minutes=5))
        assert (len(world.peer.named(TOKEN)), kept.states[-1]) == (1, LoginState.UNCERTAIN)


# ---- F5: put off -----------------------------------------------------------------------------


@pytest.mark.parametrize("retry_after", ["120", "Thu, 11 Dec 2025 12:02:00 GMT"])
async def test_a_503_with_retry_after_is_waited_for_and_tried_once(
    world: World, retry_after: str
) -> None:
    await world.log_in(left=EXPIRED)
    world.peer.plan[TOKEN] = [json_answer(503, {}, retry_after=retry_after)]
    async with running(world) as kept:
        with pytest.raises(Parked) as caught:
            await kept.access()
        assert caught.value.until is not None
        wait = caught.value.until - world.clock.now()
        assert timedelta(seconds=118) <= wait <= timedelta(seconds=123)
        assert (await world.row()).intent is None
        await world.clock.advance(110.0)
        assert len(world.refreshes) == 1
        await world.clock.advance(15.0)
        assert (len(world.refreshes), await kept.access()) == (2, "at-2")


async def test_a_second_503_counts_as_a_lost_answer(world: World) -> None:
    await world.log_in(left=EXPIRED)
    world.peer.plan[TOKEN] = [json_answer(503, {}, retry_after="5")] * 2
    async with running(world) as kept:
        await world.clock.advance(30.0)
        assert len(world.refreshes) == 2
        assert kept.states[-1] is LoginState.UNCERTAIN


async def test_a_wait_that_x_asks_for_ends_before_the_old_token_does(world: World) -> None:
    await world.log_in(left=timedelta(minutes=10))
    world.peer.plan[TOKEN] = [json_answer(503, {}, retry_after="900")]
    async with running(world) as kept:
        await world.clock.advance(timedelta(minutes=8, seconds=30))
        assert (len(world.refreshes), await kept.access()) == (2, "at-2")


async def test_a_429_spends_nothing_and_waits_longer_each_time(world: World) -> None:
    await world.log_in(left=EXPIRED)
    world.peer.plan[TOKEN] = [json_answer(429, {})] * 2
    async with running(world) as kept:
        with pytest.raises(Parked):
            await kept.access()
        await world.clock.advance(70.0)
        assert len(world.refreshes) == 2
        await world.clock.advance(100.0)
        assert len(world.refreshes) == 2
        await world.clock.advance(40.0)
        assert (len(world.refreshes), await kept.access()) == (3, "at-2")
    assert set(kept.states) == {LoginState.OK}


async def test_a_429_ahead_of_time_leaves_no_intent_behind(world: World) -> None:
    # An intent that stays would be taken for a token that another process may have spent.
    await world.log_in(left=timedelta(minutes=10))
    world.peer.plan[TOKEN] = [json_answer(429, {})]
    async with running(world) as kept:
        while not world.refreshes:
            await world.clock.advance(30.0)
        assert (await world.row()).intent is None
        assert await kept.access() == "at-1"


# ---- F7: the store does not take the result --------------------------------------------------


async def test_a_result_that_the_store_refuses_serves_on_is_rescued_and_stored_when_it_can(
    world: World,
) -> None:
    await world.log_in(left=EXPIRED)
    world.broken.add("credentials.store_result")
    rescue = MemoryRescue()
    async with running(world, rescue=rescue) as kept:
        assert await kept.access() == "at-2"
        assert not kept.changes[-1].saved
        assert [entry.row.gen for entry in rescue.entries] == [2]
        assert b"rt-2" not in msgspec.json.encode(rescue.entries)
        await world.clock.advance(60.0)
        assert (await world.row()).gen == 1
        world.broken.clear()
        await world.clock.advance(timedelta(minutes=2))
        assert ((await world.row()).gen, rescue.entries) == (2, [])
        assert kept.changes[-1].saved
    assert world.refreshes == ["rt-1"]


async def test_a_login_that_was_renewed_meanwhile_is_taken_over_for_the_unsaved_one(
    world: World,
) -> None:
    await world.log_in(left=EXPIRED)
    world.broken.add("credentials.store_result")
    async with running(world) as kept:
        assert await kept.access() == "at-2"
        world.broken.clear()
        await world.log_in(gen=2)
        await world.log_in(gen=3, access_token="at-3", refresh_token="rt-3")
        await world.clock.advance(timedelta(minutes=2))
        assert await kept.access() == "at-3"
        assert kept.changes[-1].saved


async def test_a_rescued_result_is_given_to_the_store_at_the_next_start(world: World) -> None:
    await world.log_in(left=EXPIRED)
    world.broken.add("credentials.store_result")
    rescue = MemoryRescue()
    kept = keeper_in(world, rescue=rescue)
    assert await kept.access() == "at-2"
    await kept.keeper.close()
    assert len(rescue.entries) == 1
    world.broken.clear()
    async with running(world, rescue=rescue) as again:
        assert ((await world.row()).gen, rescue.entries) == (2, [])
        assert await again.access() == "at-2"
    assert world.refreshes == ["rt-1"]


async def test_a_rescued_result_is_used_even_while_the_store_still_refuses_it(
    world: World,
) -> None:
    await world.log_in(left=EXPIRED)
    world.broken.add("credentials.store_result")
    rescue = MemoryRescue()
    await keeper_in(world, rescue=rescue).access()
    async with running(world, rescue=rescue) as again:
        assert await again.access() == "at-2"
        assert not again.changes[-1].saved
        world.broken.clear()
    assert world.refreshes == ["rt-1"]
    assert (await world.row()).gen == 2


async def test_a_short_command_uses_a_rescued_result_too(world: World) -> None:
    await world.log_in(left=EXPIRED)
    world.broken.add("credentials.store_result")
    rescue = MemoryRescue()
    await keeper_in(world, rescue=rescue).access()
    world.broken.clear()
    assert await keeper_in(world, rescue=rescue).access() == "at-2"
    assert ((await world.row()).gen, rescue.entries) == (2, [])
    assert world.refreshes == ["rt-1"]


async def test_whatever_is_asked_first_a_rescued_result_is_found_and_no_doubt_is_said(
    world: World,
) -> None:
    await world.log_in(left=timedelta(minutes=10))
    world.broken.add("credentials.store_result")
    rescue = MemoryRescue()
    await keeper_in(world, rescue=rescue).keeper.settled(GREETER.id)
    world.broken.clear()
    again = keeper_in(world, rescue=rescue)
    await again.keeper.holdings(GREETER.id)
    assert (await again.keeper.settled(GREETER.id)).gen == 2
    assert again.states == [LoginState.OK]


async def test_an_old_store_that_was_put_back_while_running_spends_nothing(world: World) -> None:
    await world.log_in(left=EXPIRED)
    kept = keeper_in(world)
    assert await kept.access() == "at-2"
    await world.real_store.credentials.remove(GREETER.id, "default", CredentialKind.OAUTH2)
    await world.log_in()
    await world.clock.advance(timedelta(minutes=119, seconds=30))
    assert await kept.access() == "at-2"
    await world.clock.advance(60.0)
    with pytest.raises(Parked):
        await kept.access()
    assert world.refreshes == ["rt-1"]


async def test_the_end_tries_the_store_once_more(world: World) -> None:
    await world.log_in(left=EXPIRED)
    world.broken.add("credentials.store_result")
    rescue = MemoryRescue()
    rescue.broken = True
    kept = keeper_in(world, rescue=rescue)
    assert await kept.access() == "at-2"
    world.broken.clear()
    await kept.keeper.close()
    assert (await world.row()).gen == 2


# ---- F14, F15: refused -----------------------------------------------------------------------


async def test_a_refused_token_is_dead_with_the_command_and_is_not_sent_again(
    world: World,
) -> None:
    await world.log_in(left=EXPIRED, refresh_token="rt-old")
    async with running(world) as kept:
        for _ in range(3):
            with pytest.raises(InvalidGrant, match="botkit setup --account greeter"):
                await kept.access()
        await world.clock.advance(timedelta(hours=5))
    assert world.refreshes == ["rt-old"]
    assert kept.states[-1] is LoginState.DEAD
    row = await world.row()
    assert (row.status, row.intent) == (LoginState.DEAD, None)


async def test_a_refused_token_with_a_newer_one_in_the_store_is_replaced_by_it(
    world: World,
) -> None:
    await world.log_in(left=EXPIRED, refresh_token="rt-old")

    async def setup_runs_meanwhile(request: object) -> None:
        await world.log_in(gen=2, refresh_token="rt-1", access_token="at-1")

    world.peer.before_answer = setup_runs_meanwhile  # type: ignore[assignment]
    kept = keeper_in(world)
    assert await kept.access() == "at-1"
    assert kept.states[-1] is LoginState.OK
    assert kept.changes[-1].gen == 2


async def test_a_result_of_ours_never_overwrites_a_newer_login(world: World) -> None:
    await world.log_in(left=EXPIRED)

    async def setup_runs_meanwhile(request: object) -> None:
        await world.log_in(gen=2, refresh_token="rt-new", access_token="at-new")

    world.peer.before_answer = setup_runs_meanwhile  # type: ignore[assignment]
    kept = keeper_in(world)
    assert await kept.access() == "at-new"
    assert (await world.tokens())["refresh_token"] == "rt-new"


async def test_a_newer_login_in_the_store_is_taken_instead_of_a_refresh(world: World) -> None:
    await world.log_in(left=LAST_MINUTE)
    kept = keeper_in(world)
    await kept.keeper.holdings(GREETER.id)
    await world.log_in(gen=2, access_token="at-new")
    assert await kept.access() == "at-new"
    assert world.refreshes == []


async def test_a_login_that_was_removed_is_no_login(world: World) -> None:
    await world.log_in(left=EXPIRED)
    kept = keeper_in(world)
    await kept.keeper.holdings(GREETER.id)
    await world.real_store.credentials.remove(GREETER.id, "default", CredentialKind.OAUTH2)
    with pytest.raises(InvalidGrant):
        await kept.access()
    with pytest.raises(InvalidGrant, match="has no OAuth"):
        await kept.access()
    assert world.refreshes == []


async def test_a_wrong_secret_is_config_leaves_the_token_unspent_and_the_old_one_in_use(
    world: World,
) -> None:
    await world.log_in(left=timedelta(minutes=10))
    world.peer.plan[TOKEN] = [WRONG_SECRET] * 9
    async with running(world) as kept:
        assert kept.states[-1] is LoginState.CONFIG
        assert await kept.access() == "at-1"
        await world.clock.advance(timedelta(minutes=11))
        with pytest.raises(InvalidClient):
            await kept.access()
    assert world.refreshes == ["rt-1"]
    row = await world.row()
    assert (row.status, row.intent) == (LoginState.CONFIG, None)
    assert row.config_fingerprint
    world.peer.plan.clear()
    async with running(world) as same:
        with pytest.raises(InvalidClient):
            await same.access()
        assert len(world.refreshes) == 1
    corrected = {"default": msgspec.structs.replace(APPS["default"], client_secret=Secret("new"))}
    async with running(world, apps=corrected) as other:
        await world.clock.at_rest()
        assert await other.access() == "at-2"
    assert (await world.row()).status is LoginState.OK


@pytest.mark.parametrize(
    "apps", [{}, {"default": msgspec.structs.replace(APPS["default"], client_id="")}]
)
async def test_a_login_of_an_app_without_keys_is_config_and_sends_nothing(
    world: World, apps: dict[str, Any]
) -> None:
    await world.log_in(left=EXPIRED)
    kept = keeper_in(world, apps=apps)
    with pytest.raises(InvalidClient, match="client id"):
        await kept.access()
    assert world.peer.calls == []


async def test_a_login_without_a_refresh_token_works_until_it_is_over(world: World) -> None:
    await world.log_in(left=timedelta(minutes=5), refresh_token="")
    kept = keeper_in(world)
    async with kept.keeper:
        assert await kept.access() == "at-1"
    with pytest.raises(InvalidGrant, match="no refresh token"):
        await kept.access()


async def test_a_grant_that_x_says_was_revoked_is_dead_at_once(world: World) -> None:
    await world.log_in()
    async with running(world) as kept:
        await kept.keeper.mark_dead(GREETER.id, "the user revoked the app")
        with pytest.raises(InvalidGrant, match="revoked"):
            await kept.access()
        await world.clock.advance(timedelta(hours=3))
    assert world.refreshes == []
    await world.log_in(gen=2, refresh_token="rt-1")
    await kept.keeper.reload()
    assert await kept.access() == "at-1"


async def test_a_refusal_that_is_no_refusal_of_the_token_is_told_apart(world: World) -> None:
    await world.log_in(left=EXPIRED)
    world.peer.plan[TOKEN] = [invalid("Missing required parameter [client_id].")]
    async with running(world) as kept:
        assert kept.states[-1] is LoginState.UNCERTAIN
        await world.clock.advance(timedelta(minutes=2))
        assert await kept.access() == "at-2"
