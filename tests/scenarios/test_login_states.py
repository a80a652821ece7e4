"""Two logins of one account, how each is, and what a bot hears and does of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from botkit import AccountState, Actions, Bot
from botkit.client.upkeep.revoke import revoke_login
from botkit.model.records import EventState, WriteState
from botkit.model.tokens import CredentialKind, LoginState
from botkit.sandbox import Process, Sandbox
from tests.scenarios.logins import surroundings_of, write_settings

OAUTH2, OAUTH1 = CredentialKind.OAUTH2, CredentialKind.OAUTH1
OK, UNCERTAIN, DEAD, CONFIG = LoginState
MINUTE = timedelta(minutes=1)


async def state_of(process: Process, kind: CredentialKind) -> LoginState:
    row = await process.store.credentials.get(process.account_id, "default", kind)
    assert row is not None
    return row.status


async def waiting(process: Process) -> list[str]:
    events = await process.store.events.listing(state=EventState.WAITING)
    return [event.waiting_for for event in events]


async def parts(process: Process) -> dict[str, str]:
    await process._runtime.runtime._reports.flush()
    return {report.part: report.state for report in await process.store.progress.reports()}


@pytest.fixture
def heard() -> list[AccountState]:
    return []


@pytest.fixture
def watcher(bot: Bot, heard: list[AccountState]) -> Bot:
    """The bot that greets, and notes the states of its logins."""

    @bot.on(AccountState)
    async def note(event: AccountState) -> None:
        heard.append(event)

    return bot


def told(heard: list[AccountState]) -> list[tuple[str, str, str]]:
    return [(event.credential, event.before, event.status) for event in heard]


# ---- OAuth 1.0a goes on ----------------------------------------------------------------------


async def test_when_the_oauth2_login_dies_writes_go_on_by_the_oauth1_pair(
    sandbox: Sandbox, watcher: Bot, heard: list[AccountState]
) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(watcher, oauth1=True) as process:
        sandbox.faults.revoke("greeter", only="oauth2")
        await ada.posts("@greeter hello")
        await sandbox.settle()
        assert await state_of(process, OAUTH2) is DEAD
        assert (await parts(process))["fallback/greeter"] == "on"
    assert sandbox.replies_to(ada) == ["Hello @ada!"]
    assert told(heard) == [("OAuth2UserToken", "OK", "DEAD")]


async def test_the_operator_can_forbid_it(sandbox: Sandbox, bot: Bot, tmp_path: Path) -> None:
    write_settings(tmp_path, "[run]\nfallback = false\n")
    ada = sandbox.user("ada")
    async with sandbox.running(bot, oauth1=True) as process:
        sandbox.faults.revoke("greeter", only="oauth2")
        await ada.posts("@greeter hello")
        await sandbox.advance(MINUTE)
        assert await state_of(process, OAUTH2) is DEAD
        assert await waiting(process) == ["login"]
        assert "fallback/greeter" not in await parts(process)
    assert sandbox.replies_to(ada) == []


async def test_it_ends_with_the_next_setup(
    sandbox: Sandbox, watcher: Bot, heard: list[AccountState]
) -> None:
    async with sandbox.running(watcher, oauth1=True) as process:
        sandbox.faults.revoke("greeter", only="oauth2")
        await sandbox.user("ada").posts("@greeter hello")
        await sandbox.settle()
        async with surroundings_of(sandbox, process) as context:
            await process.home.authorize(context, watcher.scopes)
        await sandbox.advance(2 * MINUTE)
        assert (await parts(process))["fallback/greeter"] == "off"
    assert told(heard) == [
        ("OAuth2UserToken", "OK", "DEAD"),
        ("OAuth2UserToken", "DEAD", "OK"),
    ]


async def test_a_post_whose_answer_was_lost_is_not_sent_again_by_the_other_credential(
    sandbox: Sandbox, bot: Bot
) -> None:
    ada = sandbox.user("ada")
    sandbox.faults.lose_answer("POST /2/tweets")
    async with sandbox.running(bot, oauth1=True) as process:
        await ada.posts("@greeter hello")
        sandbox.faults.revoke("greeter", only="oauth2")
        await sandbox.settle()
        writes = await process.store.writes.listing(states=list(WriteState), limit=10)
    assert sandbox.replies_to(ada) == ["Hello @ada!"]
    assert [write.state for write in writes] == [WriteState.CONFIRMED]


# ---- how an OAuth 1.0a pair is ---------------------------------------------------------------


async def test_one_401_does_not_kill_a_pair_and_the_event_goes_on_by_itself(
    sandbox: Sandbox, watcher: Bot, heard: list[AccountState]
) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(watcher, scopes=(), oauth1=True) as process:
        sandbox.faults.answer("POST /2/tweets", status=401, body={"status": 401})
        await ada.posts("@greeter hello")
        await sandbox.advance(20)
        assert await state_of(process, OAUTH1) is UNCERTAIN
        assert await waiting(process) == ["login"]
        await sandbox.settle()
        assert await state_of(process, OAUTH1) is OK
    assert sandbox.replies_to(ada) == ["Hello @ada!"]
    assert told(heard) == [("UserToken", "OK", "UNCERTAIN"), ("UserToken", "UNCERTAIN", "OK")]


async def test_a_pair_that_was_revoked_is_dead_after_a_second_look_and_goes_on_after_setup(
    sandbox: Sandbox, watcher: Bot, heard: list[AccountState]
) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(watcher, scopes=(), oauth1=True) as process:
        await ada.posts("@greeter hello")
        sandbox.faults.revoke("greeter", only="oauth1")
        await sandbox.advance(20)
        assert await state_of(process, OAUTH1) is UNCERTAIN
        await sandbox.advance(MINUTE)
        assert await state_of(process, OAUTH1) is DEAD
        assert await process.store.events.dead() == []
        async with surroundings_of(sandbox, process) as context:
            await process.home.authorize_oauth1(context)
        await sandbox.advance(2 * MINUTE)
        await sandbox.settle()
        assert await state_of(process, OAUTH1) is OK
    assert sandbox.replies_to(ada) == ["Hello @ada!"]
    assert [event.status for event in heard] == ["UNCERTAIN", "DEAD", "OK"]
    assert heard[1].next_step == "botkit setup --oauth1 --account greeter"


async def test_the_wrong_api_secret_is_config_and_the_right_one_cures_it(
    sandbox: Sandbox, bot: Bot
) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(bot, scopes=(), oauth1=True) as process:
        home = process.home
    right = home.app.api_secret
    home.app.api_secret = "another"
    async with sandbox.running(bot) as process:
        home.app.api_secret = right
        await ada.posts("@greeter hello")
        await sandbox.advance(3 * MINUTE)
        assert await state_of(process, OAUTH1) is CONFIG
    async with sandbox.running(bot) as process:
        await sandbox.settle()
        assert await state_of(process, OAUTH1) is OK
    assert sandbox.replies_to(ada) == ["Hello @ada!"]


async def test_a_revoked_app_ends_both_logins_and_each_is_said_once(
    sandbox: Sandbox, watcher: Bot, heard: list[AccountState]
) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(watcher, oauth1=True) as process:
        sandbox.faults.revoke("greeter")
        await ada.posts("@greeter hello")
        await sandbox.advance(5 * MINUTE)
        assert await state_of(process, OAUTH2) is DEAD
        assert await state_of(process, OAUTH1) is DEAD
        assert await waiting(process) == ["login"]
    async with sandbox.running(watcher):
        await sandbox.advance(MINUTE)
    assert sandbox.replies_to(ada) == []
    assert sorted(told(heard)) == [
        ("OAuth2UserToken", "OK", "DEAD"),
        ("UserToken", "OK", "UNCERTAIN"),
        ("UserToken", "UNCERTAIN", "DEAD"),
    ]


# ---- the event -------------------------------------------------------------------------------


async def test_a_handler_that_writes_through_the_dead_login_waits_and_the_others_do_not(
    sandbox: Sandbox, heard: list[AccountState]
) -> None:
    bot = Bot("greeter")

    @bot.on(AccountState)
    async def note(event: AccountState, act: Actions) -> None:
        heard.append(event)
        if event.status == "OK":
            await act.post("I am back")

    async with sandbox.running(bot) as process:
        sandbox.faults.revoke("greeter")
        await sandbox.advance(MINUTE)
        assert told(heard) == [("OAuth2UserToken", "OK", "DEAD")]
        assert await waiting(process) == []
        async with surroundings_of(sandbox, process) as context:
            await process.home.authorize(context, bot.scopes)
        await sandbox.advance(2 * MINUTE)
        await sandbox.settle()
    assert sandbox.posts_by("greeter") == ["I am back"]


async def test_a_process_that_dies_between_the_state_and_the_event_tells_it_at_its_next_start(
    sandbox: Sandbox, watcher: Bot, heard: list[AccountState]
) -> None:
    async with sandbox.running(watcher) as process:
        row = await process.store.credentials.get(process.account_id, "default", OAUTH2)
        assert row is not None
        await process.store.credentials.set_status(
            row, DEAD, reason="gone", now=sandbox.clock.now()
        )
        await process.crash()
    for _ in range(2):
        async with sandbox.running(watcher):
            await sandbox.advance(MINUTE)
    assert told(heard) == [("OAuth2UserToken", "OK", "DEAD")]
    assert heard[0].reason == "gone"
    assert heard[0].next_step == "botkit setup --account greeter"
    assert heard[0].since == heard[0].at


async def test_a_login_that_is_ended_by_command_beside_the_bot_is_told_and_its_handlers_wait(
    sandbox: Sandbox, watcher: Bot, heard: list[AccountState]
) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(watcher) as process:
        row = await process.store.credentials.get(process.account_id, "default", OAUTH2)
        assert row is not None
        async with surroundings_of(sandbox, process) as context:
            assert await revoke_login(context, row)
        await sandbox.advance(2 * MINUTE)
        await ada.posts("@greeter hello")
        await sandbox.advance(10 * MINUTE)
        assert sandbox.replies_to(ada) == []
        assert await process.store.events.dead() == []
        async with surroundings_of(sandbox, process) as context:
            await process.home.authorize(context, watcher.scopes)
        await sandbox.advance(20 * MINUTE)
        await sandbox.settle()
    assert told(heard) == [
        ("OAuth2UserToken", "OK", "DEAD"),
        ("OAuth2UserToken", "DEAD", "OK"),
    ]
    assert (heard[0].reason, heard[0].next_step) == (
        "it was removed here",
        "botkit setup --account greeter",
    )
    assert sandbox.replies_to(ada) == ["Hello @ada!"]


async def test_a_new_login_that_allows_less_is_said_and_what_it_lacks_is_refused_for_good(
    sandbox: Sandbox, bot: Bot
) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(bot) as process:
        async with surroundings_of(sandbox, process) as context:
            await process.home.authorize(context, ["tweet.read", "users.read", "offline.access"])
        await sandbox.advance(2 * MINUTE)
        assert (await parts(process))["access/greeter"] == "too little"
        await ada.posts("@greeter hello")
        await sandbox.settle(may_fail=True)
        (letter,) = await process.store.events.dead()
        assert (letter.reason, "tweet.write" in letter.error) == ("refused", True)
        assert "It was authorized on" in letter.error
        async with surroundings_of(sandbox, process) as context:
            await process.home.authorize(context, bot.scopes)
        await sandbox.advance(2 * MINUTE)
        assert (await parts(process))["access/greeter"] == "enough"
    assert sandbox.replies_to(ada) == []
