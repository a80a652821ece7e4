"""OAuth 1.0a tokens: what one refusal means, what a second one does, and what cures it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from botkit.client.logins.login_rows import keys_fingerprint
from botkit.client.logins.oauth1_logins import OAuth1Logins
from botkit.client.refresh.refresh_leader import NeverLeader
from botkit.errors import Parked, Unauthorized
from botkit.model.records import CredentialRow
from botkit.model.tokens import CredentialKind, LoginState, Secret, TokenPair
from botkit.protocol.rules.pricing import Charge
from tests.unit.client.fakes import APPS, GREETER, World, json_answer
from tests.unit.client.keeping import keeper_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from botkit.client.refresh.token_keeper import TokenKeeper

ME = "GET /2/users/me"
REQUEST_TOKEN = "POST /oauth/request_token"
OK, UNCERTAIN, DEAD, CONFIG = LoginState
HIM = json_answer(200, {"data": {"id": GREETER.id, "username": "greeter", "name": "G"}})
BARE = json_answer(401, {"title": "Unauthorized", "status": 401})
KEYS_TAKEN = json_answer(403, {"errors": [{"code": 415, "message": "Callback not approved"}]})
OTHER_KEYS = {"default": msgspec.structs.replace(APPS["default"], api_secret=Secret("new"))}
NO_KEYS = {"default": msgspec.structs.replace(APPS["default"], api_key="")}


def coded(code: int) -> Any:
    return json_answer(401, {"errors": [{"code": code, "message": "no"}]})


def refusal(*codes: int) -> Unauthorized:
    return Unauthorized("no", status=401, codes=codes)


class Held:
    """A keeper with one pair, loaded, and how it is."""

    def __init__(self, world: World, keeper: TokenKeeper, told: list[LoginState]) -> None:
        self.world = world
        self.keeper = keeper
        self.oauth1_logins = keeper.oauth1_logins
        self.told = told

    async def stored(self) -> CredentialRow:
        row = await self.world.real_store.credentials.get(
            GREETER.id, "default", CredentialKind.OAUTH1
        )
        assert row is not None
        return row

    @property
    def tokens(self) -> TokenPair:
        pair = self.oauth1_logins.get(GREETER.id)
        assert pair is not None
        return pair.tokens

    async def refused(self, *codes: int) -> None:
        await self.oauth1_logins.refused(GREETER.id, self.tokens, refusal(*codes))


@asynccontextmanager
async def held_in(world: World, *, level: str = "read-write", **more: Any) -> AsyncIterator[Held]:
    """With the task that looks again."""
    if not await world.real_store.credentials.listing():
        await world.log_in_1a(level=level)
    kept = keeper_in(world, **more)
    await kept.keeper.holdings(GREETER.id)
    held = Held(world, kept.keeper, [])
    task = asyncio.get_running_loop().create_task(kept.keeper.oauth1_logins.run())
    await world.clock.at_rest()
    yield held
    held.told = kept.states
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_one_refusal_is_a_doubt_and_a_look_that_x_answers_ends_it(world: World) -> None:
    world.peer.plan[ME] = [HIM]
    async with held_in(world) as held:
        await held.refused(89)
        row = await held.stored()
        assert (row.status, row.sealed != b"") == (UNCERTAIN, True)
        assert "code 89" in row.reason
        with pytest.raises(Parked) as parked:
            held.oauth1_logins.check_usable(GREETER.id)
        assert parked.value.until is not None
        await world.clock.advance(31)
        assert (await held.stored()).status is OK
        assert held.oauth1_logins.check_usable(GREETER.id).tokens is held.tokens
    assert held.told == [OK, UNCERTAIN, OK]


async def test_code_89_twice_is_dead(world: World) -> None:
    world.peer.plan[ME] = [coded(89)]
    async with held_in(world) as held:
        await held.refused(89)
        await held.refused(89)
        assert (await held.stored()).status is UNCERTAIN, "too soon to count"
        await world.clock.advance(31)
        row = await held.stored()
        assert (row.status, row.reason) == (
            DEAD,
            "X said twice that the token is invalid or expired (code 89)",
        )
        with pytest.raises(Parked) as parked:
            held.oauth1_logins.check_usable(GREETER.id)
        assert parked.value.until is None
        await held.refused(89)
    assert held.told == [OK, UNCERTAIN, DEAD]


async def test_the_same_call_later_is_a_second_look_where_nothing_looks_by_itself(
    world: World,
) -> None:
    await world.log_in_1a(level="read-write")
    keeper = keeper_in(world).keeper
    await keeper.holdings(GREETER.id)
    pair = await keeper.token_pair(GREETER.id)
    await keeper.oauth1_logins.refused(GREETER.id, pair, refusal(89))
    await world.clock.advance(31)
    assert await keeper.token_pair(GREETER.id) is pair
    await keeper.oauth1_logins.refused(GREETER.id, pair, refusal(89))
    with pytest.raises(Parked):
        await keeper.token_pair(GREETER.id)


@pytest.mark.parametrize(
    ("answer", "state"), [(KEYS_TAKEN, DEAD), (coded(32), CONFIG), (coded(135), UNCERTAIN)]
)
async def test_where_x_gives_no_reason_the_keys_alone_tell(
    world: World, answer: Any, state: LoginState
) -> None:
    world.peer.plan[ME] = [BARE, BARE, BARE]
    world.peer.plan[REQUEST_TOKEN] = [answer, answer]
    async with held_in(world) as held:
        await held.refused()
        await world.clock.advance(31)
        assert (await held.stored()).status is state


@pytest.mark.parametrize("code", [32, 99, 215])
async def test_codes_of_the_keys_twice_are_config_which_other_keys_clear(
    world: World, code: int
) -> None:
    world.peer.plan[ME] = [coded(code)]
    async with held_in(world) as held:
        await held.refused(code)
        await world.clock.advance(31)
        row = await held.stored()
        assert row.status is CONFIG
        assert row.config_fingerprint == keys_fingerprint(APPS["default"], row.kind)
    async with held_in(world) as again:
        assert (await again.stored()).status is CONFIG
    async with held_in(world, apps=OTHER_KEYS) as cured:
        assert (await cured.stored()).status is OK


async def test_a_refused_time_is_never_the_end_of_a_token(world: World) -> None:
    world.peer.plan[ME] = [coded(135)] * 20
    async with held_in(world) as held:
        await held.refused(135)
        await world.clock.advance(timedelta(hours=1))
        row = await held.stored()
        assert (row.status, "time" in row.reason) == (UNCERTAIN, True)
    assert 3 < len(world.peer.named(ME)) < 12, "looked at less and less often"


async def test_x_that_cannot_be_asked_proves_nothing(world: World) -> None:
    world.peer.plan[ME] = ["connect", BARE, HIM]
    world.peer.plan[REQUEST_TOKEN] = ["connect"]
    async with held_in(world) as held:
        await held.refused()
        await world.clock.advance(timedelta(minutes=5))
        assert (await held.stored()).status is OK


async def test_a_look_whose_answer_was_lost_is_booked_because_x_may_have_charged_for_it(
    world: World,
) -> None:
    spent: list[str] = []

    def note(account_id: str, _: Charge, /, *, app: str) -> None:
        spent.append(account_id)

    world.peer.plan[ME] = ["connect", "lost", HIM]
    world.peer.plan[REQUEST_TOKEN] = ["connect"]
    async with held_in(world, on_spend=note) as held:
        await held.refused()
        await world.clock.advance(timedelta(minutes=5))
    assert spent == [GREETER.id, GREETER.id]


async def test_a_dead_token_is_tried_once_an_hour_and_lives_again_when_x_takes_it(
    world: World,
) -> None:
    world.peer.plan[ME] = [coded(89), coded(89), HIM]
    async with held_in(world) as held:
        await held.refused(89)
        await world.clock.advance(timedelta(minutes=50))
        assert (await held.stored()).status is DEAD
        assert len(world.peer.named(ME)) == 1
        await world.clock.advance(timedelta(minutes=100))
        assert (await held.stored()).status is OK
    assert held.told == [OK, UNCERTAIN, DEAD, OK]


async def test_refusals_that_come_back_are_looked_at_less_and_less_often(world: World) -> None:
    world.peer.plan[ME] = [HIM] * 3
    async with held_in(world) as held:
        waits = []
        for _ in range(3):
            await held.refused()
            pair = held.oauth1_logins.get(GREETER.id)
            assert pair is not None
            waits.append(pair.gap_s)
            await world.clock.advance(timedelta(minutes=10))
        assert waits == [30.0, 60.0, 120.0]
        await world.clock.advance(timedelta(hours=2))
        await held.refused()
        assert pair.gap_s == 30.0


async def test_looks_that_settle_nothing_come_half_as_often_each_time_up_to_a_quarter_of_an_hour(
    world: World,
) -> None:
    looked_s: list[float] = []

    async def note() -> None:
        looked_s.append(world.clock.monotonic())

    world.peer.hold = note
    world.peer.plan[ME] = [coded(135)] * 7
    async with held_in(world) as held:
        await held.refused(135)
        await world.clock.advance(timedelta(minutes=50))
    gaps_s = [after - before for before, after in pairwise([0.0, *looked_s])]
    assert gaps_s == [30, 60, 120, 240, 480, 900, 900]


async def test_a_token_that_was_fine_for_an_hour_is_looked_at_as_soon_as_one_never_refused(
    world: World,
) -> None:
    await world.log_in_1a(level="read-write")
    keeper = keeper_in(world).keeper
    await keeper.holdings(GREETER.id)
    pair = keeper.oauth1_logins.get(GREETER.id)
    assert pair is not None
    gaps_s = []
    for calm_s in (0.0, 3600.0, 3600.1):
        await keeper.oauth1_logins.works(GREETER.id)
        await world.clock.advance(calm_s)
        await keeper.oauth1_logins.refused(GREETER.id, pair.tokens, refusal(89))
        gaps_s.append(pair.gap_s)
    assert gaps_s == [30, 60, 30]


async def test_a_call_of_a_doubted_token_is_put_off_until_a_second_after_the_look(
    world: World,
) -> None:
    await world.log_in_1a(level="read-write")
    await world.clock.advance(500.0)
    keeper = keeper_in(world).keeper
    await keeper.holdings(GREETER.id)
    pair = await keeper.token_pair(GREETER.id)
    await keeper.oauth1_logins.refused(GREETER.id, pair, refusal(89))
    for passed_s in (0.0, 29.0):
        await world.clock.advance(passed_s)
        with pytest.raises(Parked) as parked:
            keeper.oauth1_logins.check_usable(GREETER.id)
        assert parked.value.until == world.clock.now() + timedelta(seconds=31 - passed_s)
    await world.clock.advance(1.0)
    assert keeper.oauth1_logins.check_usable(GREETER.id).tokens is pair


async def test_the_keys_are_tried_by_a_request_for_a_token_that_nobody_authorizes(
    world: World,
) -> None:
    world.peer.plan[ME] = [BARE]
    world.peer.plan[REQUEST_TOKEN] = [KEYS_TAKEN]
    async with held_in(world) as held:
        await held.refused()
        await world.clock.advance(31)
    [call] = world.peer.named(REQUEST_TOKEN)
    signed = dict(call.headers)["Authorization"]
    assert (call.method, call.timeout_s, call.body) == ("POST", 20.0, None)
    assert 'oauth_callback="oob"' in signed
    assert "oauth_token=" not in signed


async def test_a_level_is_not_asked_for_with_a_token_that_is_not_ok(world: World) -> None:
    async with held_in(world, level="") as held:
        await held.refused(89)
        await held.oauth1_logins.learn_level(GREETER.id)
        assert world.peer.named(ME) == []


async def test_a_token_of_another_user_is_dead(world: World) -> None:
    world.peer.plan[ME] = [json_answer(200, {"data": {"id": "7", "username": "bob"}})]
    async with held_in(world) as held:
        await held.refused()
        await world.clock.advance(31)
        row = await held.stored()
        assert (row.status, "@bob" in row.reason) == (DEAD, True)


async def test_a_refusal_of_an_older_token_says_nothing_of_the_new_one(world: World) -> None:
    async with held_in(world) as held:
        old = TokenPair(token=Secret("t-0"), token_secret=Secret("ts-0"))
        await held.oauth1_logins.refused(GREETER.id, old, refusal(89))
        await held.oauth1_logins.refused("7", old, refusal(89))
        assert (await held.stored()).status is OK


async def test_what_x_says_of_a_revocation_is_the_first_sign_and_a_look_the_second(
    world: World,
) -> None:
    world.peer.plan[ME] = [BARE]
    world.peer.plan[REQUEST_TOKEN] = [KEYS_TAKEN]
    async with held_in(world) as held:
        await held.oauth1_logins.suspect(GREETER.id, "revoked on X")
        await world.clock.at_rest()
        assert (await held.stored()).status is DEAD
        await held.oauth1_logins.suspect(GREETER.id, "again")
        await held.oauth1_logins.suspect("7", "nobody")
        assert (await held.stored()).status is DEAD


async def test_a_call_that_x_takes_ends_the_doubt(world: World) -> None:
    async with held_in(world) as held:
        await held.refused()
        assert held.oauth1_logins.any_doubt
        await held.oauth1_logins.works(GREETER.id)
        await held.oauth1_logins.works("7")
        assert (await held.stored()).status is OK
        assert not held.oauth1_logins.any_doubt


async def test_an_app_without_key_and_secret_cannot_sign_and_says_so(world: World) -> None:
    async with held_in(world, apps=NO_KEYS) as held:
        row = await held.stored()
        assert (row.status, row.reason) == (CONFIG, "the app has no api_key and api_secret")
        await world.clock.advance(timedelta(hours=2))
    async with held_in(world) as held:
        assert (await held.stored()).status is OK
        await world.real_store.credentials.set_status(
            await held.stored(), DEAD, reason="x", now=world.clock.now()
        )
    async with held_in(world, apps=NO_KEYS) as held:
        assert (await held.stored()).status is DEAD


async def test_another_processs_word_is_taken_over_and_a_newer_token_too(world: World) -> None:
    async with held_in(world) as held:
        first = held.tokens
        row = await held.stored()
        now = world.clock.now()
        await world.real_store.credentials.set_status(row, DEAD, reason="seen", now=now)
        await held.keeper.reload()
        with pytest.raises(Parked):
            held.oauth1_logins.check_usable(GREETER.id)
        assert held.tokens is first
        await held.keeper.reload()
        sealed = world.vault.seal(
            {"token": "t-2", "token_secret": "ts-2"},
            account_id=row.account_id,
            app=row.app,
            kind=row.kind,
            gen=2,
        )
        await world.real_store.credentials.replace(
            msgspec.structs.replace(row, gen=2, sealed=sealed)
        )
        await held.keeper.reload()
        assert held.tokens.token == Secret("t-2")
        await world.real_store.credentials.remove(row.account_id, row.app, row.kind)
        await held.keeper.reload()
        assert held.oauth1_logins.get(GREETER.id) is None
    assert held.told == [OK, DEAD, OK, DEAD]


async def test_a_look_under_way_says_nothing_of_the_token_that_replaces_it(world: World) -> None:
    async with held_in(world) as held:
        for answer in (HIM, BARE):
            world.peer.plan[ME] = [answer]

            async def replaced() -> None:
                held.oauth1_logins.drop(GREETER.id)

            pair = held.oauth1_logins.get(GREETER.id)
            assert pair is not None
            world.peer.hold = replaced
            await held.oauth1_logins.suspect(GREETER.id, "revoked")
            await world.clock.at_rest()
            world.peer.hold = None
            assert (await held.stored()).status is UNCERTAIN
            assert held.oauth1_logins.drop(GREETER.id) is None
            await held.oauth1_logins.take(msgspec.structs.replace(await held.stored(), status=OK))


async def test_a_level_that_nobody_knows_is_asked_for_once(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.peer.plan[ME] = [HIM]
    async with held_in(world, level="") as held:
        await held.oauth1_logins.learn_level(GREETER.id)
        await held.oauth1_logins.learn_level(GREETER.id)
        await held.oauth1_logins.learn_level("7")
        assert len(world.peer.named(ME)) == 1
        assert (await held.stored()).level == ""
    assert "access_level.unknown" in "".join(capsys.readouterr())


async def test_a_level_that_x_tells_is_kept_and_told(world: World) -> None:
    world.peer.plan[ME] = [
        json_answer(200, {"data": {"id": GREETER.id, "username": "g"}}, x_access_level="read")
    ]
    async with held_in(world, level="") as held:
        await held.oauth1_logins.learn_level(GREETER.id)
        assert (await held.stored()).level == "read"
        await held.oauth1_logins.note_level(GREETER.id, "")
        await held.oauth1_logins.note_level(GREETER.id, "read")
    assert held.told == [OK, OK]


async def test_a_state_that_the_store_cannot_take_is_known_all_the_same(world: World) -> None:
    async with held_in(world) as held:
        world.broken.add("credentials.set_status")
        await held.refused(89)
        world.broken.clear()
        with pytest.raises(Parked):
            held.oauth1_logins.check_usable(GREETER.id)
        assert (await held.stored()).status is OK


async def test_a_process_that_judges_nothing_only_reads(world: World) -> None:
    async with held_in(world, role=NeverLeader()) as held:
        await held.refused(89)
        assert (await held.stored()).status is OK
        assert isinstance(held.oauth1_logins, OAuth1Logins)


async def test_a_doubt_outlives_the_process(world: World) -> None:
    async with held_in(world) as held:
        await held.refused(89)
    world.peer.plan[ME] = [coded(89), coded(89)]
    async with held_in(world) as held:
        assert held.oauth1_logins.any_doubt
        await world.clock.advance(timedelta(minutes=2))
        assert (await held.stored()).status is DEAD
