"""One login attempt: bound, single use, exchanged once, pinned, and stored before it is told."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec
import pytest

from botkit.client.logins.context import LoginContext
from botkit.client.logins.endpoints import AppKeys, Endpoints
from botkit.client.signin.attempt import LoginWish
from botkit.client.signin.oauth2_attempt import OAuth2Attempt
from botkit.errors import (
    AuthError,
    AuthorizationDenied,
    ConfigError,
    Conflict,
    InvalidClient,
    InvalidGrant,
    LoginExpired,
    MalformedAnswer,
    ServerError,
    StateMismatch,
    StoreUnavailable,
    TransportError,
    WrongAccount,
)
from botkit.model.tokens import CredentialKind, LoginState
from botkit.storage.sealed_header import sealed_alike
from botkit.storage.vault.vault import Vault
from tests.unit.client.fakes import APPS, GREETER, SCOPES, World, json_answer
from tests.unit.client.keeping import TOKEN, WRONG_SECRET

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping


REDIRECT = "http://127.0.0.1:8765/callback"
ME = "GET /2/users/me"


class _Groups:
    def __init__(self, world: World) -> None:
        self.credentials = world.credentials
        self.accounts = world.accounts
        self.ledger = world.ledger


def context(
    world: World,
    *,
    apps: Mapping[str, AppKeys] = APPS,
    endpoints: Endpoints = Endpoints(),  # noqa: B008 - it is frozen
) -> LoginContext:
    return LoginContext(
        store=_Groups(world),  # type: ignore[arg-type]
        vault=world.vault,
        transport=world.peer,
        clock=world.clock,
        entropy=world.entropy,
        apps=apps,
        endpoints=endpoints,
    )


def attempt_in(world: World, *, keep: Any = None, **wish: Any) -> OAuth2Attempt:
    wish.setdefault("scopes", SCOPES)
    return OAuth2Attempt(context(world), LoginWish(redirect_uri=REDIRECT, **wish), keep=keep)


def asked(attempt: OAuth2Attempt) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(attempt.url).query))


def redirect(attempt: OAuth2Attempt, **other: str) -> str:
    return urlencode({"state": asked(attempt)["state"], "code": "code-1", **other})


async def stored_nothing(world: World) -> bool:
    return (
        await world.real_store.credentials.listing() == []
        and await world.real_store.accounts.listing() == []
    )


async def test_the_address_asks_for_what_is_wanted_with_a_challenge_of_its_own(
    world: World,
) -> None:
    attempts = [attempt_in(world) for _ in range(50)]
    first = asked(attempts[0])
    assert attempts[0].url.startswith("https://x.com/i/oauth2/authorize?")
    assert (first["response_type"], first["client_id"], first["redirect_uri"]) == (
        "code",
        "app:id+%&~",
        REDIRECT,
    )
    assert first["code_challenge_method"] == "S256"
    assert "scope=" + quote(" ".join(SCOPES)) in attempts[0].url
    assert len({asked(attempt)["code_challenge"] for attempt in attempts}) == 50
    assert len({asked(attempt)["state"] for attempt in attempts}) == 50


async def test_the_right_redirect_stores_a_sealed_login_and_says_what_was_granted(
    world: World,
) -> None:
    world.peer.scope = "tweet.read users.read offline.access"
    attempt = attempt_in(world)
    login = await attempt.finish(redirect(attempt))
    assert (login.account, login.missing) == (GREETER, ("tweet.write",))
    row = await world.row()
    assert row == login.row
    assert (row.gen, row.status, row.user_id, row.scopes) == (
        1,
        LoginState.OK,
        GREETER.id,
        ("tweet.read", "users.read", "offline.access"),
    )
    assert row.access_until == world.clock.now() + timedelta(hours=2)
    assert (await world.tokens())["refresh_token"] == "rt-2"
    assert await world.real_store.accounts.get("greeter") == GREETER
    [call] = world.peer.named(TOKEN)
    form = dict(parse_qsl((call.body or b"").decode()))
    assert (form["code"], form["redirect_uri"]) == ("code-1", REDIRECT)
    assert 43 <= len(form["code_verifier"]) <= 128
    assert "client_secret" not in form
    assert dict(call.headers)["Authorization"].startswith("Basic ")
    assert call.reads_late


@pytest.mark.parametrize(
    "query",
    [
        "",
        "code=code-1",
        "state=&code=code-1",
        "state=other&code=code-1",
        "error=access_denied",
        "error=access_denied&state=other",
        "state={state}&state={state}&code=code-1",
        "state={state}&code=code-1&code=code-2",
        "state={state}",
        "state={state}&code=code-1&error=access_denied",
    ],
)
async def test_a_redirect_that_is_not_this_attempts_is_refused_and_the_true_one_still_counts(
    world: World, query: str
) -> None:
    attempt = attempt_in(world)
    with pytest.raises(StateMismatch):
        await attempt.finish(query.format(state=asked(attempt)["state"]))
    assert world.peer.calls == []
    assert not attempt.is_over
    assert (await attempt.finish(redirect(attempt))).account == GREETER


async def test_fifty_forgeries_do_not_end_the_login(world: World) -> None:
    attempt = attempt_in(world)
    for number in range(50):
        with pytest.raises(StateMismatch):
            await attempt.finish(f"state=forged-{number}&code=evil")
    assert (await attempt.finish(redirect(attempt))).account == GREETER


async def test_two_equal_redirects_at_once_make_one_exchange(world: World) -> None:
    attempt = attempt_in(world)
    query = redirect(attempt)
    ends = await asyncio.gather(
        attempt.finish(query), attempt.finish(query), return_exceptions=True
    )
    assert [isinstance(end, StateMismatch) for end in ends] == [False, True]
    assert len(world.peer.named(TOKEN)) == 1
    assert attempt.is_over


async def test_a_refusal_with_the_right_state_ends_the_attempt(world: World) -> None:
    attempt = attempt_in(world)
    with pytest.raises(AuthorizationDenied):
        await attempt.finish(f"error=access_denied&state={quote(asked(attempt)['state'])}")
    with pytest.raises(StateMismatch):
        await attempt.finish(redirect(attempt))
    assert world.peer.calls == []


async def test_after_ten_minutes_no_redirect_counts(world: World) -> None:
    attempt = attempt_in(world)
    await world.clock.advance(timedelta(minutes=10))
    assert attempt.is_over
    with pytest.raises(LoginExpired, match="ten minutes"):
        await attempt.finish(redirect(attempt))
    assert world.peer.calls == []


async def test_a_lost_exchange_is_never_tried_again(world: World) -> None:
    world.peer.plan[TOKEN] = ["lost"]
    attempt = attempt_in(world)
    with pytest.raises(AuthError, match="Start again"):
        await attempt.finish(redirect(attempt))
    assert len(world.peer.named(TOKEN)) == 1
    assert await stored_nothing(world)


async def test_a_code_that_was_answered_with_a_redirect_is_never_sent_again(world: World) -> None:
    world.peer.plan[TOKEN] = ["redirect"]
    attempt = attempt_in(world)
    with pytest.raises(AuthError, match="303") as caught:
        await attempt.finish(redirect(attempt))
    assert caught.value.hint == "Look. Then start again."
    assert len(world.peer.named(TOKEN)) == 1
    assert await stored_nothing(world)


async def test_what_x_answered_in_vain_is_told_with_the_way_on(world: World) -> None:
    world.peer.plan[TOKEN] = [json_answer(503, {})]
    attempt = attempt_in(world)
    with pytest.raises(ServerError) as caught:
        await attempt.finish(redirect(attempt))
    assert caught.value.hint == "Nothing was stored: start again."


async def test_scopes_without_a_refresh_token_are_no_offline_access(world: World) -> None:
    granted = {"token_type": "bearer", "access_token": "at-1", "scope": " ".join(SCOPES)}
    world.peer.plan[TOKEN] = [json_answer(200, granted)]
    attempt = attempt_in(world)
    login = await attempt.finish(redirect(attempt))
    assert login.missing == ("offline.access",)
    assert "offline.access" not in login.row.scopes


async def test_an_exchange_that_was_not_sent_is_tried_again_within_the_codes_life(
    world: World,
) -> None:
    world.peer.plan[TOKEN] = ["connect"] * 4
    attempt = attempt_in(world)
    finishing = asyncio.get_running_loop().create_task(attempt.finish(redirect(attempt)))
    await world.clock.advance(25.0)
    assert (await finishing).account == GREETER


async def test_an_exchange_that_can_never_be_sent_ends(world: World) -> None:
    world.peer.plan[TOKEN] = ["connect"] * 9
    attempt = attempt_in(world)
    finishing = asyncio.get_running_loop().create_task(attempt.finish(redirect(attempt)))
    await world.clock.advance(25.0)
    with pytest.raises(TransportError):
        await finishing


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (WRONG_SECRET, InvalidClient),
        (json_answer(200, {"token_type": "bearer"}), MalformedAnswer),
        (
            json_answer(
                400,
                {
                    "error": "invalid_request",
                    "error_description": "Value passed for the redirect uri did not match the uri"
                    " of the authorization code.",
                },
            ),
            InvalidGrant,
        ),
    ],
)
async def test_a_refused_exchange_stores_nothing(
    world: World, answer: Any, error: type[Exception]
) -> None:
    world.peer.plan[TOKEN] = [answer]
    attempt = attempt_in(world)
    with pytest.raises(error):
        await attempt.finish(redirect(attempt))
    assert await stored_nothing(world)


async def test_a_used_code_stores_nothing(world: World) -> None:
    attempt = attempt_in(world)
    with pytest.raises(InvalidGrant):
        await attempt.finish(redirect(attempt, code="code-of-another"))
    assert await stored_nothing(world)


@pytest.mark.parametrize("wanted", ["@Greeter", "greeter", "1999"])
async def test_the_wished_account_may_be_named_in_any_way(world: World, wanted: str) -> None:
    attempt = attempt_in(world, account=wanted)
    assert (await attempt.finish(redirect(attempt))).account == GREETER


async def test_another_account_than_the_wished_one_is_refused_unless_confirmed(
    world: World,
) -> None:
    attempt = attempt_in(world, account="ada")
    with pytest.raises(WrongAccount, match=r"@greeter .* @ada was wanted"):
        await attempt.finish(redirect(attempt))
    assert await stored_nothing(world)
    world.peer.codes.add("code-1")
    attempt = attempt_in(world, account="ada", confirmed=True)
    assert (await attempt.finish(redirect(attempt))).account == GREETER


async def test_the_login_of_a_known_account_that_consented_by_mistake_is_kept_for_it(
    world: World,
) -> None:
    row = await world.log_in()
    await world.real_store.accounts.rename(GREETER.id, "shop")
    kept: list[object] = []

    async def keep(account: object, row: object) -> Any:
        kept.append(row)
        raise AssertionError("an invitation would be used up by another account's login")

    attempt = attempt_in(world, keep=keep, account="ada")
    with pytest.raises(
        WrongAccount, match=r"@greeter \(id 1999\) .*@ada was wanted; the new"
    ) as no:
        await attempt.finish(redirect(attempt))
    assert (no.value.kept, "nothing was stored" in no.value.message) == ("greeter", False)
    found = await world.row()
    assert (found.gen, found.status) == (row.gen + 1, LoginState.OK)
    assert (await world.tokens())["refresh_token"] == "rt-2"
    account = await world.real_store.accounts.get(GREETER.id)
    assert account is not None
    assert account.alias == "shop"
    assert kept == []


async def test_a_login_that_was_moved_to_another_machine_is_not_taken_back_by_mistake(
    world: World,
) -> None:
    row = await world.log_in(status=LoginState.DEAD, reason="handed over on 2026-11-30")
    attempt = attempt_in(world, account="ada")
    with pytest.raises(WrongAccount, match=r"X ended the login of @greeter that was moved"):
        await attempt.finish(redirect(attempt))
    assert await world.row() == row


@pytest.mark.parametrize("says", [None, False, True])
async def test_a_further_account_is_added_only_when_a_person_said_so(
    world: World, *, says: bool | None
) -> None:
    await world.real_store.accounts.put(msgspec.structs.replace(GREETER, id="7", username="ada"))
    asked_about: list[str] = []

    async def may_add(user: Any) -> bool:
        asked_about.append(user.username)
        return bool(says)

    wish: dict[str, Any] = {"adds": False, "may_add": None if says is None else may_add}
    attempt = attempt_in(world, **wish)
    if says:
        assert (await attempt.finish(redirect(attempt))).account == GREETER
    else:
        with pytest.raises(WrongAccount, match=r"this store acts for @ada; nothing") as refused:
            await attempt.finish(redirect(attempt))
        assert "--account greeter" in refused.value.hint
        assert await world.real_store.credentials.listing() == []
    assert asked_about == ([] if says is None else ["greeter"])


@pytest.mark.parametrize("wish", [{"account": "greeter"}, {"confirmed": True}, {"adds": True}])
async def test_an_account_that_was_named_or_is_to_be_added_is_taken(
    world: World, wish: dict[str, Any]
) -> None:
    await world.real_store.accounts.put(msgspec.structs.replace(GREETER, id="7", username="ada"))
    attempt = attempt_in(world, **{"adds": False, **wish})
    assert (await attempt.finish(redirect(attempt))).account == GREETER


@pytest.mark.parametrize("known", [[], [GREETER.id]])
async def test_the_first_account_and_a_known_one_need_no_word(
    world: World, known: list[str]
) -> None:
    for account_id in known:
        await world.real_store.accounts.put(msgspec.structs.replace(GREETER, id=account_id))
    attempt = attempt_in(world, adds=False)
    assert (await attempt.finish(redirect(attempt))).account == GREETER


async def test_the_stored_user_id_counts_more_than_a_name_that_went_to_somebody_else(
    world: World,
) -> None:
    await world.real_store.accounts.put(msgspec.structs.replace(GREETER, id="7"))
    attempt = attempt_in(world, account="greeter")
    with pytest.raises(WrongAccount):
        await attempt.finish(redirect(attempt))


async def test_a_renewed_login_takes_the_next_generation_over_a_dead_one(world: World) -> None:
    row = await world.log_in(status=LoginState.DEAD, reason="revoked")
    attempt = attempt_in(world)
    login = await attempt.finish(redirect(attempt))
    assert (login.row.gen, login.row.status, login.row.reason) == (row.gen + 1, LoginState.OK, "")


async def test_a_refresh_that_comes_between_does_not_lose_the_new_login(world: World) -> None:
    await world.log_in()

    async def refresh_meanwhile(request: object) -> None:
        world.peer.before_answer = None
        await world.log_in(gen=2)

    attempt = attempt_in(world)
    world.peer.before_answer = refresh_meanwhile
    assert (await attempt.finish(redirect(attempt))).row.gen == 3
    assert (await world.tokens())["access_token"] == "at-2"


async def test_a_store_that_cannot_take_a_login_is_found_before_the_code_is_spent(
    world: World,
) -> None:
    row = await world.log_in()
    world.broken.add("credentials.make_room")
    attempt = attempt_in(world)
    finishing = asyncio.get_running_loop().create_task(attempt.finish(redirect(attempt)))
    await world.clock.advance(10.0)
    with pytest.raises(StoreUnavailable):
        await finishing
    assert world.peer.calls == []
    assert await world.row() == row


async def test_a_key_that_was_changed_while_the_person_consented_is_the_one_it_is_sealed_with(
    world: World,
) -> None:
    key, check = bytes(range(32)), {"account_id": "", "app": "", "kind": "check", "gen": 0}
    proof = Vault(key, deployment=world.real_store.store_id).seal({"k": "v"}, **check)
    attempt = OAuth2Attempt(
        msgspec.structs.replace(context(world), renew_key=_renewal(world, key)),
        LoginWish(redirect_uri=REDIRECT, scopes=SCOPES),
    )
    await world.real_store.set_vault_check(proof, expected=None)
    login = await attempt.finish(redirect(attempt))
    assert sealed_alike(proof, login.row.sealed)
    # Who still has the old one stores nothing.
    world.vault = Vault(bytes(32), deployment=world.real_store.store_id)
    with pytest.raises(Conflict, match="key was changed"):
        await world.log_in(gen=2)


def _renewal(world: World, key: bytes) -> Callable[[], Awaitable[None]]:
    async def renew() -> None:
        world.vault.learn(key, previous=bytes(32))

    return renew


async def test_a_grant_without_offline_access_is_stored_without_a_refresh_token(
    world: World,
) -> None:
    world.peer.plan[TOKEN] = [
        json_answer(200, {"token_type": "bearer", "access_token": "at-1", "scope": "tweet.read"})
    ]
    attempt = attempt_in(world)
    login = await attempt.finish(redirect(attempt))
    assert "offline.access" in login.missing
    assert await world.tokens() == {"access_token": "at-1"}


@pytest.mark.parametrize(
    "apps", [{}, {"default": msgspec.structs.replace(APPS["default"], client_id="")}]
)
async def test_an_app_without_keys_is_named_before_anything_is_shown(
    world: World, apps: dict[str, AppKeys]
) -> None:
    with pytest.raises(ConfigError, match="client id"):
        OAuth2Attempt(context(world, apps=apps), LoginWish(redirect_uri=REDIRECT, scopes=SCOPES))


async def test_no_secret_of_a_login_is_logged(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    attempt = attempt_in(world)
    state = asked(attempt)["state"]
    await attempt.finish(redirect(attempt))
    out = "".join(capsys.readouterr())
    assert "authorized" in out
    for secret in ("at-2", "rt-2", "code-1", state):
        assert secret not in out
    assert (await world.row()).kind is CredentialKind.OAUTH2


@pytest.mark.parametrize("broken", [False, True])
async def test_telling_whose_the_login_is_is_booked_and_a_full_disk_costs_no_login(
    world: World, *, broken: bool
) -> None:
    if broken:
        world.broken.add("ledger.book")
    attempt = attempt_in(world)
    assert (await attempt.finish(redirect(attempt))).account.id == GREETER.id
    entries = await world.real_store.ledger.spent(GREETER.id, since=world.clock.now())
    assert [entry.reads_usd for entry in entries] == ([] if broken else [Decimal("0.010")])
