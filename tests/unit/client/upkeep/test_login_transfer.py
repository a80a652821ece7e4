"""A login leaves for another machine whole, or not at all."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from botkit.client.logins.app_tokens import keep_bearer
from botkit.client.logins.oauth2_login import HANDED_OVER
from botkit.client.upkeep.login_transfer import hand_over, pack, take_back, take_over
from botkit.errors import ConfigError, Conflict
from botkit.model.tokens import CredentialKind, LoginState, Secret
from tests.unit.client.fakes import APPS, GREETER, World
from tests.unit.client.keeping import keeper_in, sent_intent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from botkit.client.refresh.refresh_lock import Held
    from botkit.client.upkeep.login_transfer import Parcel
    from botkit.model.records import CredentialRow

OK, UNCERTAIN, DEAD, CONFIG = LoginState
OAUTH1, OAUTH2 = CredentialKind.OAUTH1, CredentialKind.OAUTH2


async def parcel_of(world: World, *rows: CredentialRow) -> Parcel:
    async with keeper_in(world).keeper as keeper:
        return await pack(keeper, GREETER, list(rows))


async def test_an_account_without_a_login_of_its_own_has_none_that_could_leave(
    world: World,
) -> None:
    await keep_bearer(world.rows, "default", Secret("B-1"), now=world.clock.now())
    async with keeper_in(world).keeper as keeper:
        with pytest.raises(ConfigError, match="has no login that could leave"):
            await hand_over(keeper, GREETER)


async def test_a_login_comes_in_as_it_left_and_under_its_lock(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await world.log_in()
    async with keeper_in(world).keeper as keeper:
        parcel = await pack(keeper, GREETER, [row])
    doubted = tuple(
        replace(login, status=LoginState.UNCERTAIN, reason="asked") for login in parcel.logins
    )
    await world.real_store.credentials.remove(row.account_id, row.app, row.kind)
    locked: list[CredentialKind] = []
    async with keeper_in(world).keeper as keeper:
        lock = keeper.lock

        @asynccontextmanager
        async def noted(of: CredentialRow) -> AsyncIterator[Held]:
            async with lock(of) as held:
                assert await world.real_store.credentials.listing() == []
                yield held
                assert len(await world.real_store.credentials.listing()) == 1
            locked.append(of.kind)

        monkeypatch.setattr(keeper, "lock", noted)
        await take_over(keeper, replace(parcel, logins=doubted), app="default")
    came = await world.row()
    assert locked == [row.kind]
    assert (came.status, came.reason) == (LoginState.UNCERTAIN, "asked")
    assert (came.scopes, came.access_until) == (row.scopes, row.access_until)
    assert (came.granted_at, came.last_success) == (row.granted_at, row.last_success)


# ---- what may leave --------------------------------------------------------------------------


async def test_only_the_grant_is_marked_as_it_leaves_and_a_second_copy_is_refused(
    world: World,
) -> None:
    grant, pair = await world.log_in(), await world.log_in_1a(level="read")
    keeper = keeper_in(world).keeper
    assert {row.kind: row for row in await hand_over(keeper, GREETER)} == {
        OAUTH2: grant,
        OAUTH1: pair,
    }
    marked = await world.row()
    assert (marked.status, marked.reason) == (
        DEAD,
        f"{HANDED_OVER} on 2025-12-11T12:00:00Z",
    )
    assert await world.real_store.credentials.get(GREETER.id, "default", OAUTH1) == pair
    with pytest.raises(ConfigError, match="a second copy would end it") as refused:
        await hand_over(keeper, GREETER)
    assert refused.value.hint == "If that copy was never imported: --again."
    assert [row.kind for row in await hand_over(keeper, GREETER, again=True)].count(OAUTH2) == 1


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("status", [DEAD, CONFIG])
async def test_a_login_that_has_ended_is_not_fit_to_travel(
    world: World, status: LoginState, *, again: bool
) -> None:
    row = await world.log_in(status=status, reason="revoked on X")
    with pytest.raises(ConfigError, match="is not fit to travel: revoked on X") as refused:
        await hand_over(keeper_in(world).keeper, GREETER, again=again)
    assert refused.value.hint == "Cure it first: botkit accounts check greeter"
    assert await world.row() == row


@pytest.mark.parametrize("sent", [False, True])
async def test_a_login_whose_refresh_may_have_spent_its_token_does_not_leave(
    world: World, *, sent: bool
) -> None:
    row = await world.log_in()
    await world.real_store.credentials.intend(row, sent_intent(row), reserve_bytes=10)
    if sent:
        await world.real_store.credentials.mark_sent(row, "i-1")
    keeper = keeper_in(world).keeper
    if sent:
        with pytest.raises(ConfigError, match="the answer to a refresh was lost"):
            await hand_over(keeper, GREETER)
        assert (await world.row()).status is OK
    else:
        assert len(await hand_over(keeper, GREETER)) == 1


async def test_logins_of_another_app_stay(world: World) -> None:
    await world.log_in(account=replace(GREETER, app="second"))
    with pytest.raises(ConfigError, match="has no login that could leave"):
        await hand_over(keeper_in(world).keeper, GREETER)
    [row] = await world.real_store.credentials.listing()
    assert row.status is OK


async def test_a_copy_that_did_not_leave_gives_the_grant_its_state_back(world: World) -> None:
    before = await world.log_in(status=UNCERTAIN, reason="asked")
    await world.log_in_1a()
    keeper = keeper_in(world).keeper
    leaving = await hand_over(keeper, GREETER)
    await take_back(keeper, leaving)
    after = await world.row()
    assert (after.status, after.reason, after.gen) == (UNCERTAIN, "asked", before.gen)
    assert world.log.count("credentials.set_status") == 2, "nothing of the pair"


async def test_what_was_handed_over_travels_as_the_good_login_that_it_is_there(
    world: World,
) -> None:
    handed = await world.log_in(status=DEAD, reason=f"{HANDED_OVER} on a day")
    dead = replace(handed, reason="revoked on X")
    good, bad = (await parcel_of(world, handed, dead)).logins
    assert (good.status, good.reason) == (OK, "")
    assert (bad.status, bad.reason) == (DEAD, "revoked on X")
    assert "at-1" not in repr(good)
    assert good.tokens == {"access_token": "at-1", "refresh_token": "rt-1"}


# ---- what may come in ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "field"), [(OAUTH2, "client_id"), (OAUTH1, "api_key")], ids=["grant", "pair"]
)
async def test_a_login_of_another_app_does_not_come_in_and_the_key_here_is_only_begun(
    world: World, kind: CredentialKind, field: str
) -> None:
    row = await (world.log_in() if kind is OAUTH2 else world.log_in_1a())
    parcel = await parcel_of(world, row)
    for value, words in (("a-secret-by-mistake", "begins with a-secr\\."), ("", "is not set")):
        apps = {"default": replace(APPS["default"], **{field: value})}
        with pytest.raises(ConfigError, match=f"its {field} is .*{words}") as refused:
            await take_over(keeper_in(world, apps=apps).keeper, parcel, app="default")
        assert "by-mistake" not in str(refused.value)
    unused = "api_key" if kind is OAUTH2 else "client_id"
    apps = {"default": replace(APPS["default"], **{unused: "other"})}
    assert await take_over(keeper_in(world, apps=apps).keeper, parcel, app="default") == GREETER


@pytest.mark.parametrize(
    ("here_s", "status", "reason", "comes_in"),
    [
        (1, OK, "", False),
        (0, OK, "", True),
        (-1, OK, "", True),
        (1, DEAD, "revoked on X", True),
        (1, DEAD, f"{HANDED_OVER} on a day", False),
        (1, CONFIG, "other keys", False),
    ],
)
async def test_a_login_comes_in_unless_the_one_here_is_newer_and_has_not_ended(
    world: World, here_s: int, status: LoginState, reason: str, *, comes_in: bool
) -> None:
    now = world.clock.now()
    hour = timedelta(hours=1)
    row = await world.log_in(left=hour, last_success=now)
    parcel = await parcel_of(world, row)
    await world.log_in(
        gen=2,
        left=hour,
        refresh_token="rt-2",
        status=status,
        reason=reason,
        last_success=now + timedelta(seconds=here_s),
    )
    keeper = keeper_in(world).keeper
    if comes_in:
        await take_over(keeper, parcel, app="default")
        assert (await world.tokens())["refresh_token"] == "rt-1"
        assert ((await world.row()).gen, (await world.row()).status) == (3, OK)
    else:
        with pytest.raises(Conflict, match="here is newer than the one of the file"):
            await take_over(keeper, parcel, app="default")
        assert (await world.row()).gen == 2


async def test_a_login_that_was_never_used_is_as_old_as_its_grant(world: World) -> None:
    row = await world.log_in()
    parcel = await parcel_of(world, row)
    await world.log_in(gen=2, left=timedelta(hours=2, seconds=1))
    with pytest.raises(Conflict):
        await take_over(keeper_in(world).keeper, parcel, app="default")


async def test_a_file_that_is_imported_twice_does_not_hide_a_refresh_under_way(
    world: World,
) -> None:
    row = await world.log_in()
    parcel = await parcel_of(world, row)
    await world.real_store.credentials.intend(row, sent_intent(row), reserve_bytes=10)
    before = await world.row()
    assert before.intent is not None
    await take_over(keeper_in(world).keeper, parcel, app="default")
    assert await world.row() == before


@pytest.mark.parametrize("kind", [OAUTH2, OAUTH1])
async def test_what_was_handed_over_and_a_pair_are_stored_anew_when_they_come_back(
    world: World, kind: CredentialKind
) -> None:
    row = await (world.log_in() if kind is OAUTH2 else world.log_in_1a())
    keeper = keeper_in(world).keeper
    parcel = await pack(keeper, GREETER, await hand_over(keeper, GREETER))
    await take_over(keeper, parcel, app="default")
    back = await world.real_store.credentials.get(GREETER.id, "default", row.kind)
    assert back is not None
    assert (back.gen, back.status, back.reason) == (2, OK, "")


async def test_an_alias_comes_along_unless_another_account_here_has_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    parcel = await parcel_of(world, await world.log_in())
    named = replace(parcel, account=replace(GREETER, alias="shop"))
    keeper = keeper_in(world).keeper
    await take_over(keeper, named, app="default")
    found = await world.real_store.accounts.get(GREETER.id)
    assert found is not None
    assert found.alias == "shop"
    await world.real_store.accounts.put(replace(GREETER, id="7", username="ada"))
    ada = replace(parcel, account=replace(GREETER, id="7", username="ada", alias="shop"))
    await take_over(keeper, ada, app="default")
    assert "alias.not_taken_over" in "".join(capsys.readouterr())
    assert await world.real_store.credentials.get("7", "default", OAUTH2) is not None
