"""The OAuth 1.0a token that goes on where the OAuth 2.0 login has ended."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from botkit.client.api.limiter import Limiter
from botkit.client.api.x_api import XApi
from botkit.client.logins.oauth1_fallback import StandIn, stand_in_of
from botkit.client.logins.oauth2_login import HANDED_OVER
from botkit.errors import (
    Forbidden,
    MissingScope,
    OutcomeUnknown,
    Parked,
    TransportError,
    Unauthorized,
)
from botkit.model.tokens import CredentialKind, LoginState
from botkit.protocol.api import requests
from tests.unit.client.fakes import GREETER, World, invalid, json_answer
from tests.unit.client.keeping import EXPIRED, TOKEN, WRONG_SECRET, keeper_in

if TYPE_CHECKING:
    from botkit.model.records import CredentialRow

CREATE = "POST /2/tweets"
POSTED = json_answer(201, {"data": {"id": "1", "text": "hi"}}, x_access_level="read-write")
BARE = json_answer(401, {"title": "Unauthorized", "status": 401})
SPENT = invalid("Value passed for the token was invalid.")
OAUTH2, OAUTH1 = CredentialKind.OAUTH2, CredentialKind.OAUTH1


class Both:
    """An account with both kinds, and a way to X."""

    def __init__(self, world: World, **more: Any) -> None:
        self.world = world
        self.told: list[StandIn] = []
        self.kept = keeper_in(world, on_fallback=self.told.append, **more)
        self.keeper = self.kept.keeper
        self.x = XApi(self.keeper, limiter=Limiter(clock=world.clock, entropy=world.entropy))

    async def post(self) -> Any:
        return await self.x.send(requests.create_post("hi"), account_id=GREETER.id)

    def proofs(self) -> list[str]:
        return [
            dict(call.headers)["Authorization"].partition(" ")[0]
            for call in self.world.peer.named(CREATE)
        ]

    @property
    def turns(self) -> list[bool]:
        return [change.is_on for change in self.told]


async def both_in(world: World, *, left: timedelta | None = None, level: str = "", **more: Any):
    await (world.log_in() if left is None else world.log_in(left=left))
    await world.log_in_1a(level=level)
    both = Both(world, **more)
    await both.keeper.holdings(GREETER.id)
    return both


async def test_while_both_live_oauth2_speaks(world: World) -> None:
    world.peer.plan[CREATE] = [POSTED]
    both = await both_in(world)
    await both.post()
    assert both.proofs() == ["Bearer"]
    assert both.told == []


async def test_after_its_death_the_pair_signs_and_both_turns_are_said_once(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.peer.plan[CREATE] = [POSTED] * 3
    both = await both_in(world)
    await both.keeper.mark_dead(GREETER.id, "revoked on X")
    await both.post()
    await both.post()
    assert both.told == [
        StandIn(account_id=GREETER.id, username="greeter", is_on=True, why="revoked on X")
    ]
    assert await both.x.credential("createPosts", account_id=GREETER.id) is OAUTH1
    await world.log_in(gen=2)
    await both.keeper.reload()
    await both.post()
    assert both.proofs() == ["OAuth", "OAuth", "Bearer"]
    assert both.turns == [True, False]
    out = "".join(capsys.readouterr())
    assert (out.count("oauth1_fallback.started"), out.count("oauth1_fallback.ended")) == (1, 1)


async def test_a_401_with_a_dead_login_goes_on_by_the_pair_within_the_same_call(
    world: World,
) -> None:
    world.peer.plan[CREATE] = [BARE, POSTED]
    world.peer.plan[TOKEN] = [SPENT]
    both = await both_in(world)
    assert (await both.post()).data["id"] == "1"
    assert both.proofs() == ["Bearer", "OAuth"]


async def test_a_second_401_by_the_pair_is_an_error_and_a_doubt(world: World) -> None:
    world.peer.plan[CREATE] = [BARE, BARE]
    world.peer.plan[TOKEN] = [SPENT]
    both = await both_in(world)
    with pytest.raises(Unauthorized):
        await both.post()
    pair = both.keeper.oauth1_logins.get(GREETER.id)
    assert pair is not None
    assert pair.row.status is LoginState.UNCERTAIN
    assert both.proofs() == ["Bearer", "OAuth"]
    with pytest.raises(Parked):
        await both.post()


async def test_a_write_whose_answer_is_lost_is_left_to_be_settled(world: World) -> None:
    world.peer.plan[CREATE] = ["lost"]
    both = await both_in(world)

    async def dies() -> None:
        await both.keeper.mark_dead(GREETER.id, "revoked on X")

    world.peer.hold = dies
    with pytest.raises(OutcomeUnknown):
        await both.post()
    assert both.proofs() == ["Bearer"]


@pytest.mark.parametrize("answer", [WRONG_SECRET, "connect"])
async def test_a_login_that_is_over_and_cannot_be_renewed_is_stood_in_for(
    world: World, answer: Any
) -> None:
    world.peer.plan[TOKEN] = [answer]
    world.peer.plan[CREATE] = [POSTED, POSTED]
    both = await both_in(world, left=EXPIRED)
    await both.post()
    assert both.proofs() == ["OAuth"]
    assert both.turns == [True]
    await both.x.ready(requests.create_post("hi"), account_id=GREETER.id)
    await both.post()
    assert both.proofs() == ["OAuth", "OAuth"]


async def test_where_the_operator_forbids_it_all_waits(world: World) -> None:
    both = await both_in(world, fallback=False)
    await both.keeper.mark_dead(GREETER.id, "revoked on X")
    with pytest.raises(Parked) as parked:
        await both.post()
    assert parked.value.waiting_for == "login"
    assert both.told == []
    assert world.peer.named(CREATE) == []


async def test_nothing_stands_in_for_a_login_that_lives_on_elsewhere(world: World) -> None:
    both = await both_in(world)
    await both.keeper.mark_dead(GREETER.id, f"{HANDED_OVER} on 2026-11-25")
    with pytest.raises(Parked):
        await both.post()


async def test_a_pair_whose_level_is_too_low_does_not_stand_in(world: World) -> None:
    both = await both_in(world, level="read")
    await both.keeper.mark_dead(GREETER.id, "revoked on X")
    with pytest.raises(Parked):
        await both.post()


async def test_a_pair_of_low_level_does_not_end_the_wait_for_the_token_endpoint(
    world: World,
) -> None:
    world.peer.plan[TOKEN] = ["connect"]
    both = await both_in(world, left=EXPIRED, level="read")
    with pytest.raises(TransportError):
        await both.post()


async def test_a_dead_pair_does_not_stand_in(world: World) -> None:
    both = await both_in(world)
    await both.keeper.mark_dead(GREETER.id, "revoked on X")
    pair = both.keeper.oauth1_logins.get(GREETER.id)
    assert pair is not None
    for _ in range(2):
        await both.keeper.oauth1_logins.refused(
            GREETER.id, pair.tokens, Unauthorized("no", status=401, codes=(89,))
        )
        await world.clock.advance(31)
    with pytest.raises(Parked):
        await both.post()
    assert both.turns == [True, False]


# ---- the second look, right before the bytes -------------------------------------------------


async def changed_before_the_bytes(both: Both, change: Any) -> None:
    """Let something happen to the logins while the connection is being made."""
    peer = both.world.peer
    plain = peer.send

    async def send(request: Any, *, before_bytes: Any = None) -> Any:
        if request.name == CREATE:
            peer.send = plain  # type: ignore[method-assign]
            await change()
        return await plain(request, before_bytes=before_bytes)

    peer.send = send  # type: ignore[method-assign]


async def test_a_login_that_died_meanwhile_sends_nothing(world: World) -> None:
    await world.log_in()
    both = Both(world)

    async def dies() -> None:
        await both.keeper.mark_dead(GREETER.id, "revoked on X")

    await changed_before_the_bytes(both, dies)
    with pytest.raises(Parked) as parked:
        await both.post()
    assert parked.value.waiting_for == "login"
    assert world.peer.named(CREATE) == []


async def test_a_new_grant_with_fewer_scopes_sends_nothing(world: World) -> None:
    await world.log_in()
    both = Both(world)

    async def shrinks() -> None:
        await world.log_in(gen=2, scopes=("tweet.read", "users.read", "offline.access"))
        await both.keeper.reload()

    await changed_before_the_bytes(both, shrinks)
    with pytest.raises(MissingScope, match=r"needs the scope tweet\.write") as denied:
        await both.post()
    assert "It was authorized on" in denied.value.message
    assert "`botkit setup --account greeter`" in denied.value.cure
    assert world.peer.named(CREATE) == []


async def test_where_another_credential_may_send_it_that_one_does_once(world: World) -> None:
    world.peer.plan[CREATE] = [POSTED, POSTED]  # the peer takes one for the try that is stopped
    both = await both_in(world)

    async def dies() -> None:
        await both.keeper.mark_dead(GREETER.id, "revoked on X")

    await changed_before_the_bytes(both, dies)
    await both.post()
    assert both.proofs() == ["OAuth"]


async def test_a_change_that_does_not_concern_it_does_not_stop_it(world: World) -> None:
    world.peer.plan[CREATE] = [POSTED, POSTED]
    await world.log_in()
    await world.log_in_1a(level="read-write")
    both = Both(world)
    other = msgspec.structs.replace(GREETER, id="7", username="bob")

    async def elsewhere() -> None:
        await world.log_in(account=other)
        await both.keeper.reload()

    await changed_before_the_bytes(both, elsewhere)
    await both.post()
    await both.keeper.mark_dead(GREETER.id, "revoked on X")
    await both.keeper.reload()

    async def level_changes() -> None:
        await both.keeper.oauth1_logins.note_level(GREETER.id, "read-write-directmessages")

    await changed_before_the_bytes(both, level_changes)
    await both.post()
    assert both.proofs() == ["Bearer", "OAuth"]


# ---- permissions of a pair -------------------------------------------------------------------


async def test_xs_refusal_for_the_level_names_the_time_of_the_grant_and_the_command(
    world: World,
) -> None:
    await world.log_in_1a()
    world.peer.plan[CREATE] = [
        json_answer(
            403,
            {
                "title": "Forbidden",
                "status": 403,
                "type": "https://api.twitter.com/2/problems/oauth1-permissions",
            },
            x_access_level="read",
        )
    ]
    both = Both(world)
    with pytest.raises(Forbidden, match="whatever X's console says now") as refused:
        await both.post()
    assert "botkit setup --oauth1 --account greeter" in str(refused.value)
    assert (await both.x.kinds(GREETER.id))[OAUTH1] == ("read",)


# ---- beside a running bot --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grant", "pair", "words"),
    [
        ({"status": LoginState.DEAD}, {}, "on"),
        ({"status": LoginState.CONFIG}, {}, "on"),
        ({"status": LoginState.OK}, {}, ""),
        ({"status": LoginState.DEAD}, {"status": LoginState.DEAD}, ""),
        ({"status": LoginState.DEAD, "reason": HANDED_OVER}, {}, ""),
        ({"status": LoginState.CONFIG, "access_until": timedelta(hours=1)}, {}, ""),
        (None, {}, ""),
        ({"status": LoginState.DEAD}, None, ""),
    ],
)
async def test_what_is_said_of_it_from_the_store_alone(
    world: World, grant: dict[str, Any] | None, pair: dict[str, Any] | None, words: str
) -> None:
    now = world.clock.now()
    rows: list[CredentialRow] = []
    if grant is not None:
        until = grant.pop("access_until", timedelta(0))
        row = await world.log_in()
        rows.append(msgspec.structs.replace(row, access_until=now + until, **grant))
    if pair is not None:
        rows.append(msgspec.structs.replace(await world.log_in_1a(), **pair))
    assert stand_in_of(rows, allowed=True, now=now).startswith(words)
    assert bool(stand_in_of(rows, allowed=True, now=now)) is bool(words)
    if words:
        assert "fallback = false" in stand_in_of(rows, allowed=False, now=now)


async def test_logins_of_an_app_that_the_account_has_left_are_used_no_more(world: World) -> None:
    both = await both_in(world)
    await world.real_store.accounts.put(msgspec.structs.replace(GREETER, app="second"))
    await both.keeper.reload()
    assert both.keeper.statuses() == ()
    assert set(await both.keeper.holdings(GREETER.id)) <= {CredentialKind.APP_ONLY}
    assert (await world.row()).status is LoginState.OK
    await world.real_store.accounts.put(GREETER)
    await both.keeper.reload()
    assert {OAUTH1, OAUTH2} <= set(await both.keeper.holdings(GREETER.id))
