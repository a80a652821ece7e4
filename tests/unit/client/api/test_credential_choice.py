"""Which credential a call gets, whose rate window it counts in, and when it is chosen anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from botkit.client.api.credential_choice import CredentialChooser
from botkit.errors import Parked, TransportError, Unauthorized, WrongCredential
from botkit.model.tokens import CredentialKind, Secret
from botkit.protocol.api import push_requests, requests
from tests.unit.client.fakes import APPS, GREETER, json_answer
from tests.unit.client.keeping import EXPIRED, TOKEN, WRONG_SECRET, keeper_in

if TYPE_CHECKING:
    from tests.unit.client.fakes import World

BOB = msgspec.structs.replace(GREETER, id="7", username="bob")
POST = requests.create_post("hi")
OAUTH2, OAUTH1, APP_ONLY = (
    CredentialKind.OAUTH2,
    CredentialKind.OAUTH1,
    CredentialKind.APP_ONLY,
)
BARE = json_answer(401, {"title": "Unauthorized", "status": 401})


def chooser_in(world: World, **more: Any) -> CredentialChooser:
    return CredentialChooser(keeper_in(world, **more).keeper, app="default")


async def test_an_account_has_its_own_rate_window_and_shares_the_one_of_its_app(
    world: World,
) -> None:
    await world.log_in()
    await world.log_in(account=BOB)
    chooser = chooser_in(world)
    as_app = msgspec.structs.replace(push_requests.list_subscriptions(), as_app=True)
    mine, theirs = [await chooser.choose(POST, one.id) for one in (GREETER, BOB)]
    assert [(one.kind, one.owner, one.account_id) for one in (mine, theirs)] == [
        (OAUTH2, GREETER.id, GREETER.id),
        (OAUTH2, BOB.id, BOB.id),
    ]
    for account_id in (GREETER.id, BOB.id, ""):
        shared = await chooser.choose(as_app, account_id)
        assert (shared.kind, shared.owner, shared.app) == (APP_ONLY, "app/default", "default")
        assert shared.account_id == account_id


async def test_a_call_as_the_app_needs_the_keys_of_the_accounts_own_app(world: World) -> None:
    apps = {**APPS, "second": msgspec.structs.replace(APPS["default"], api_key="")}
    await world.log_in(account=msgspec.structs.replace(BOB, app="second"))
    chooser = chooser_in(world, apps=apps)
    as_app = msgspec.structs.replace(push_requests.list_subscriptions(), as_app=True)
    with pytest.raises(WrongCredential):
        await chooser.choose(as_app, BOB.id)
    assert (await chooser.choose(as_app, "")).app == "default"


async def test_a_choice_is_remembered_until_any_login_changes_and_for_its_own_calls_only(
    world: World,
) -> None:
    await world.log_in()
    keeper = keeper_in(world).keeper
    chooser = CredentialChooser(keeper, app="default")
    assert chooser.chosen(POST, GREETER.id) is None
    chosen = await chooser.choose(POST, GREETER.id)
    assert chooser.chosen(requests.create_post("another text"), GREETER.id) == chosen
    assert chooser.chosen(POST, BOB.id) is None
    assert chooser.chosen(requests.delete_post("1"), GREETER.id) is None
    assert chooser.chosen(msgspec.structs.replace(POST, as_app=True), GREETER.id) is None
    await keeper.mark_dead(GREETER.id, "revoked on X")
    assert chooser.chosen(POST, GREETER.id) is None


async def test_what_is_remembered_of_choices_stays_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botkit.client.api.credential_choice._MOST_CHOSEN", 2)
    await world.log_in()
    chooser = chooser_in(world)
    for request in (POST, requests.delete_post("1"), requests.get_me()):
        await chooser.choose(request, GREETER.id)
    assert len(chooser._chosen) == 1
    assert chooser.chosen(requests.get_me(), GREETER.id) is not None


async def test_a_new_pair_signs_and_the_old_one_does_not_any_more(world: World) -> None:
    row = await world.log_in_1a(level="read-write")
    keeper = keeper_in(world).keeper
    chooser = CredentialChooser(keeper, app="default")
    caller = await chooser.choose(POST, GREETER.id)
    assert caller.kind is OAUTH1
    assert 'oauth_token="t-1"' in await chooser.signature(caller, POST, "https://api.x.com/")
    sealed = world.vault.seal(
        {"token": "t-2", "token_secret": "ts-2"},
        account_id=row.account_id,
        app=row.app,
        kind=row.kind,
        gen=2,
    )
    await world.real_store.credentials.replace(msgspec.structs.replace(row, gen=2, sealed=sealed))
    await keeper.reload()
    assert 'oauth_token="t-2"' in await chooser.signature(caller, POST, "https://api.x.com/")


@pytest.mark.parametrize(
    ("answer", "ends"),
    [(WRONG_SECRET, True), ("connect", False), (json_answer(503, {}), False)],
)
async def test_a_401_is_final_where_the_keys_are_wrong_and_else_may_pass(
    world: World, answer: Any, *, ends: bool
) -> None:
    await world.log_in(left=EXPIRED) if ends else await world.log_in()
    world.peer.plan[TOKEN] = [answer]
    chooser = chooser_in(world)
    caller = await chooser.choose(POST, GREETER.id)
    error = Unauthorized("no", status=401)
    renewing = chooser.renew(caller, Secret("at-1"), BARE, error)
    if ends:
        with pytest.raises(Parked) as parked:
            await renewing
        assert parked.value.waiting_for == "login"
    else:
        assert await renewing is False


async def test_a_call_whose_token_cannot_be_had_was_not_sent(world: World) -> None:
    world.peer.plan["POST /oauth2/token"] = [json_answer(503, {}), WRONG_SECRET]
    chooser = chooser_in(world)
    caller = await chooser.choose(requests.get_usage(), "")
    with pytest.raises(TransportError, match="bearer token cannot be had") as caught:
        await chooser.token(caller)
    assert type(caught.value) is TransportError
    with pytest.raises(Parked):
        await chooser.token(caller)


async def test_a_choice_is_checked_again_by_all_that_it_needs(world: World) -> None:
    await world.log_in()
    await world.log_in(account=BOB)
    keeper = keeper_in(world).keeper
    chooser = CredentialChooser(keeper, app="default")
    caller = await chooser.choose(POST, GREETER.id)
    assert await chooser.check_again(POST, GREETER.id, caller)
    assert not await chooser.check_again(POST, BOB.id, caller)
    await keeper.mark_dead(GREETER.id, "revoked on X")
    with pytest.raises(Parked):
        await chooser.check_again(POST, GREETER.id, caller)
