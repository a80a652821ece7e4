"""What a check of logins asks of X, what it books and stores, and what it says of each login."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from botkit.client.upkeep.check import REFUSED_FRESH, Checked, check_logins
from botkit.errors import TransportError, Unauthorized
from botkit.model.tokens import CredentialKind, LoginState
from tests.unit.client.fakes import APPS, GREETER, World, invalid, json_answer
from tests.unit.client.keeping import EXPIRED, TOKEN, keeper_in

if TYPE_CHECKING:
    from botkit.model.records import CredentialRow

ME = "GET /2/users/me"
REQUEST_TOKEN = "POST /oauth/request_token"
OK, UNCERTAIN, DEAD, CONFIG = LoginState
BARE = json_answer(401, {"title": "Unauthorized", "status": 401})
CODE_89 = json_answer(401, {"errors": [{"code": 89, "message": "no"}]})
HIM = json_answer(200, {"data": {"id": GREETER.id, "username": "greeter", "name": "G"}})
BOB = json_answer(200, {"data": {"id": "7", "username": "bob", "name": "Bob"}})


class Check:
    """A check that ran: its results, and how often X may have charged for it."""

    def __init__(self) -> None:
        self.asked = 0
        self.results: list[Checked] = []

    def note(self) -> None:
        self.asked += 1

    @property
    def only(self) -> Checked:
        [found] = self.results
        return found


async def check_in(world: World, *, account: Any = GREETER, **more: Any) -> Check:
    check = Check()
    keeper = keeper_in(world, **more).keeper
    checking = asyncio.get_running_loop().create_task(
        check_logins(keeper, account, on_asked=check.note)
    )
    await world.clock.advance(6.0)
    check.results = await checking
    return check


async def stored(world: World, kind: CredentialKind) -> CredentialRow:
    row = await world.real_store.credentials.get(GREETER.id, "default", kind)
    assert row is not None
    return row


@pytest.mark.parametrize("kind", ["oauth2", "oauth1"])
@pytest.mark.parametrize(("fault", "asked"), [("connect", 0), ("lost", 1), (None, 1)])
async def test_a_check_whose_answer_was_lost_may_have_cost_as_much_as_one_with_an_answer(
    world: World, kind: str, fault: str | None, asked: int
) -> None:
    if kind == "oauth2":
        await world.log_in()
    else:
        await world.log_in_1a(level="read-write")
    world.peer.plan[ME] = [fault or HIM]
    check = await check_in(world)
    assert check.asked == asked
    assert (check.only.owner is None, check.only.error is None) == (bool(fault), not fault)
    assert check.only.status is OK, "X that cannot be asked proves nothing"


async def test_logins_of_another_app_of_the_account_are_not_checked(world: World) -> None:
    await world.log_in()
    other = msgspec.structs.replace(GREETER, app="second")
    assert (await check_in(world, account=other)).results == []
    assert world.peer.calls == []


# ---- OAuth 2.0 -------------------------------------------------------------------------------


async def test_a_token_that_x_refuses_is_renewed_once_and_asked_about_again(world: World) -> None:
    await world.log_in()
    world.peer.plan[ME] = [BARE, HIM]
    check = await check_in(world)
    assert (check.only.status, check.only.error, check.asked) == (OK, None, 1)
    assert check.only.owner is not None
    assert check.only.owner.id == GREETER.id
    assert world.refreshes == ["rt-1"]
    assert (check.only.gen, (await world.row()).gen) == (2, 2)
    proofs = [dict(call.headers)["Authorization"] for call in world.peer.named(ME)]
    assert proofs == ["Bearer at-1", "Bearer at-2"]


async def test_a_fresh_token_that_x_refuses_too_leaves_the_login_in_doubt_and_not_dead(
    world: World,
) -> None:
    await world.log_in()
    world.peer.plan[ME] = [BARE, BARE]
    check = await check_in(world)
    assert (check.only.status, check.only.reason) == (UNCERTAIN, REFUSED_FRESH)
    assert isinstance(check.only.error, Unauthorized)
    assert check.asked == 0
    assert (await world.row()).status is OK


async def test_x_is_not_asked_about_a_dead_login(world: World) -> None:
    await world.log_in(status=DEAD, reason="revoked on X")
    check = await check_in(world)
    assert (check.only.status, check.only.reason) == (DEAD, "revoked on X")
    assert (check.only.owner, check.only.error, check.asked) == (None, None, 0)
    assert world.peer.calls == []


async def test_a_login_that_x_says_is_of_another_user_is_dead_from_then_on(world: World) -> None:
    await world.log_in()
    world.peer.plan[ME] = [BOB]
    check = await check_in(world)
    reason = "X says the token is of another user, @bob (7)"
    assert (check.only.status, check.only.reason, check.asked) == (DEAD, reason, 1)
    row = await world.row()
    assert (row.status, row.reason) == (DEAD, reason)


async def test_a_grant_that_ends_at_the_check_is_a_state_and_no_error(world: World) -> None:
    await world.log_in(left=EXPIRED)
    world.peer.plan[TOKEN] = [invalid("Value passed for the token was invalid.")]
    check = await check_in(world)
    assert (check.only.status, check.only.error, check.asked) == (DEAD, None, 0)
    assert world.peer.named(ME) == []


# ---- OAuth 1.0a ------------------------------------------------------------------------------


async def test_a_pair_that_x_refuses_is_asked_about_again_five_seconds_later(
    world: World,
) -> None:
    await world.log_in_1a(level="read-write")
    world.peer.plan[ME] = [BARE, HIM]
    asked_s: list[float] = []

    async def note() -> None:
        asked_s.append(world.clock.monotonic())

    world.peer.hold = note
    check = await check_in(world)
    assert asked_s == [0.0, 5.0]
    assert (check.only.status, check.only.reason, check.asked) == (OK, "", 1)
    assert "credentials.set_status" not in world.log, "nothing has changed"


async def test_a_pair_that_x_refuses_twice_is_dead_in_the_store_too(world: World) -> None:
    before = await world.log_in_1a(level="read-write")
    world.peer.plan[ME] = [CODE_89, CODE_89]
    check = await check_in(world)
    assert (check.only.status, "said twice" in check.only.reason) == (DEAD, True)
    assert (check.only.error, check.asked) == (None, 0)
    row = await stored(world, CredentialKind.OAUTH1)
    assert (row.status, row.reason, row.since) == (DEAD, check.only.reason, check.only.since)
    assert row.since > before.since


async def test_a_pair_that_x_takes_again_is_ok_in_the_store_and_its_level_is_kept(
    world: World,
) -> None:
    row = await world.log_in_1a()
    await world.real_store.credentials.set_status(row, DEAD, reason="x", now=world.clock.now())
    world.peer.plan[ME] = [json_answer(200, {"data": world.peer.user}, x_access_level="read")]
    check = await check_in(world)
    assert (check.only.status, check.only.reason) == (OK, "")
    row = await stored(world, CredentialKind.OAUTH1)
    assert (row.status, row.level) == (OK, "read")


async def test_a_pair_stays_in_doubt_where_not_even_the_keys_can_be_tried(world: World) -> None:
    await world.log_in_1a(level="read-write")
    world.peer.plan[ME] = [BARE, BARE]
    world.peer.plan[REQUEST_TOKEN] = ["connect"]
    check = await check_in(world)
    assert (check.only.status, check.asked) == (UNCERTAIN, 0)
    assert isinstance(check.only.error, TransportError)
    assert (await stored(world, CredentialKind.OAUTH1)).status is UNCERTAIN


async def test_a_pair_of_another_user_is_dead_and_the_question_is_booked(world: World) -> None:
    await world.log_in_1a(level="read-write")
    world.peer.plan[ME] = [BOB]
    check = await check_in(world)
    assert (check.only.status, check.only.reason, check.asked) == (
        DEAD,
        "the token is of another user, @bob",
        1,
    )
    assert (await stored(world, CredentialKind.OAUTH1)).status is DEAD


async def test_a_pair_of_an_app_without_keys_is_a_fault_of_the_settings(world: World) -> None:
    await world.log_in_1a(level="read-write")
    no_keys = {"default": msgspec.structs.replace(APPS["default"], api_key="")}
    check = await check_in(world, apps=no_keys)
    assert (check.only.status, check.only.error, check.asked) == (CONFIG, None, 0)
    assert "has no api key and api secret" in check.only.reason
    assert (await stored(world, CredentialKind.OAUTH1)).status is CONFIG
    assert world.peer.calls == []
