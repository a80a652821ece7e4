"""No for now: what has to wait waits, nothing is lost, and it goes on when the cause is gone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from botkit import Actions, Bot, GrantRevoked, Mention
from botkit.bot.compose_client import apps_of, open_the_vault
from botkit.client.logins.context import LoginContext
from botkit.model.records import EventState
from botkit.model.tokens import LoginState
from botkit.sandbox import Process, Sandbox, SandboxTransport
from botkit.sandbox.harness.clock import SeededEntropy
from botkit.sandbox.world.grants import TokenUse
from botkit.storage import open_store


async def waits_for(process: Process) -> list[str]:
    waiting = await process.store.events.listing(state=EventState.WAITING)
    return sorted(event.waiting_for for event in waiting)


async def authorize_anew(sandbox: Sandbox, process: Process, bot: Bot) -> None:
    """What `botkit setup` does beside a running bot, on a connection of its own."""
    home = process.home
    settings = await asyncio.to_thread(home.settings)
    async with open_store(home.store_url, clock=sandbox.clock, create=False) as store:
        context = LoginContext(
            store=store,
            vault=await open_the_vault(settings, store),
            transport=SandboxTransport(sandbox.server, sandbox.clock),
            clock=sandbox.clock,
            entropy=SeededEntropy("again"),
            apps=apps_of(settings),
        )
        await home.authorize(context, bot.scopes)


async def states(process: Process) -> list[LoginState]:
    return [row.status for row in await process.store.credentials.listing()]


async def test_out_of_credit_the_mentions_wait_and_are_answered_once_after_the_top_up(
    sandbox, bot
):
    ada, bob = sandbox.user("ada"), sandbox.user("bob")

    async with sandbox.running(bot) as process:
        sandbox.faults.out_of_credit()
        await ada.posts("@greeter hello")
        await bob.posts("@greeter hello")
        assert set(await waits_for(process)) == {"credits"}
        assert await process.store.events.dead() == []
        await sandbox.advance(timedelta(minutes=40))
        assert sandbox.posts_by("greeter") == []
        sandbox.faults.out_of_credit(on=False)
        await sandbox.advance(timedelta(minutes=20))
        await sandbox.settle()

    assert sandbox.replies_to(ada) == ["Hello @ada!"]
    assert sandbox.replies_to(bob) == ["Hello @bob!"]


async def test_out_of_credit_a_restart_after_the_top_up_goes_on_at_once(sandbox, bot):
    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        sandbox.faults.out_of_credit()
        await ada.posts("@greeter hello")
    sandbox.faults.out_of_credit(on=False)

    async with sandbox.running(bot):
        assert sandbox.replies_to(ada) == ["Hello @ada!"]


async def test_when_the_budget_of_the_day_is_spent_the_rest_waits_until_midnight(
    sandbox, bot, tmp_path: Path
):
    home = tmp_path / "sandbox" / "greeter"
    home.mkdir(parents=True)
    (home / "botkit.toml").write_text("[budget]\nday_usd = 0.025\n")
    evening = sandbox.clock.now().replace(hour=23, minute=30)
    midnight = evening + timedelta(minutes=30)
    sandbox.clock.set(evening)
    ada, bob = sandbox.user("ada"), sandbox.user("bob")

    async with sandbox.running(bot) as process:
        await ada.posts("@greeter hello")
        await bob.posts("@greeter hello")
        assert await waits_for(process) == ["budget"]
        await sandbox.advance(timedelta(minutes=29))
        assert sandbox.replies_to(bob) == []
        await sandbox.settle()
        assert sandbox.clock.now() >= midnight

    assert sandbox.replies_to(ada) == ["Hello @ada!"]
    assert sandbox.replies_to(bob) == ["Hello @bob!"]


async def test_the_budget_is_not_forgotten_by_a_restart(sandbox, bot, tmp_path: Path):
    home = tmp_path / "sandbox" / "greeter"
    home.mkdir(parents=True)
    (home / "botkit.toml").write_text("[budget]\nday_usd = 0.025\n")
    ada, bob = sandbox.user("ada"), sandbox.user("bob")
    async with sandbox.running(bot) as process:
        await ada.posts("@greeter hello")
        await process.crash()

    async with sandbox.running(bot) as process:
        await bob.posts("@greeter hello")
        assert await waits_for(process) == ["budget"]

    assert sandbox.replies_to(ada) == ["Hello @ada!"]
    assert sandbox.replies_to(bob) == []


async def test_a_revoked_login_makes_events_wait_until_the_next_setup(sandbox, bot):
    ada, me = sandbox.user("ada"), sandbox.user("greeter")

    async with sandbox.running(bot) as process:
        await me.revokes()
        await ada.posts("@greeter hello")
        await sandbox.advance(timedelta(minutes=30))
        assert await states(process) == [LoginState.DEAD]
        assert sandbox.replies_to(ada) == []
        assert await process.store.events.dead() == []

        await authorize_anew(sandbox, process, bot)
        await sandbox.advance(
            61
        )  # the sandbox looks once a minute, a process in service once a second
        assert await states(process) == [LoginState.OK]
        await sandbox.settle()

    assert sandbox.replies_to(ada) == ["Hello @ada!"]


async def test_an_event_that_came_before_the_login_died_goes_on_after_the_next_setup(sandbox, bot):
    ada = sandbox.user("ada")

    async with sandbox.running(bot) as process:
        # Nobody tells: X refuses the write, then the refresh.
        sandbox.faults.drop_events()
        sandbox.faults.answer("POST /2/tweets", status=401, body={"status": 401}, times=None)
        sandbox.faults.answer(
            "POST /2/oauth2/token",
            status=400,
            body={
                "error": "invalid_request",
                "error_description": "Value passed for the token was invalid.",
            },
            times=None,
        )
        await ada.posts("@greeter nothing")  # dropped
        await ada.posts("@greeter hello")
        assert await waits_for(process) == ["login"]
        assert await states(process) == [LoginState.DEAD]
        sandbox.faults.clear()

        await authorize_anew(sandbox, process, bot)
        await sandbox.advance(61)

        assert sandbox.replies_to(ada) == ["Hello @ada!"]


async def test_the_revoke_event_says_so_before_a_call_fails(sandbox):
    heard: list[GrantRevoked] = []
    bot = Bot("greeter")

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions) -> None:
        await act.reply(mention, "Hello")

    @bot.on(GrantRevoked)
    async def note(event: GrantRevoked) -> None:
        heard.append(event)

    me = sandbox.user("greeter")
    async with sandbox.running(bot) as process:
        before = sandbox.clock.now()
        await me.revokes()
        assert sandbox.clock.now() == before
        assert await states(process) == [LoginState.DEAD]
        (row,) = await process.store.credentials.listing()
        reports = {report.part: report for report in await process.store.progress.reports()}

    assert row.reason == "revoked on X"
    assert [event.user_id for event in heard] == [me.id]
    assert reports


async def test_a_suspended_account_sends_nothing_and_goes_on_when_x_lets_it(sandbox, bot):
    ada = sandbox.user("ada")

    async with sandbox.running(bot) as process:
        sandbox.faults.suspend("greeter")
        await ada.posts("@greeter hello")
        assert await waits_for(process) == ["account"]
        sandbox.faults.suspend("greeter", on=False)
        await sandbox.settle()

    assert sandbox.replies_to(ada) == ["Hello @ada!"]


async def test_a_rate_window_that_is_used_up_is_waited_out_and_nothing_is_lost(sandbox, bot):
    users = [sandbox.user(f"user{n}") for n in range(5)]
    sandbox.faults.rate_limit("POST /2/tweets", reset_in_s=600, times=2)

    async with sandbox.running(bot) as process:
        for user in users:
            await user.posts("@greeter hello")
        await sandbox.settle()
        assert await process.store.events.dead() == []

    assert [sandbox.replies_to(user) for user in users] == [[f"Hello @user{n}!"] for n in range(5)]


@pytest.mark.parametrize("reset_in_s", [None, 30])
async def test_a_429_with_or_without_a_time_is_no_failure_of_the_handler(sandbox, bot, reset_in_s):
    ada = sandbox.user("ada")
    sandbox.faults.rate_limit("POST /2/tweets", reset_in_s=reset_in_s, times=4)

    async with sandbox.running(bot) as process:
        await ada.posts("@greeter hello")
        await sandbox.settle()
        (event,) = [one for one in await process.store.events.listing() if one.kind == "mention"]

    assert sandbox.replies_to(ada) == ["Hello @ada!"]
    assert event.attempts == 0


def refreshes(sandbox: Sandbox) -> list[TokenUse]:
    """What came to X's token endpoint."""
    return [use for use in sandbox.world.grants.log if use.grant_type == "refresh_token"]


async def test_a_lost_answer_to_a_refresh_from_the_alarm_to_the_next_login_without_a_restart(
    sandbox, bot
):
    def stamp(_logger: Any, _name: str, line: Any) -> Any:
        return {**line, "at": sandbox.clock.now()}

    ada, bob = sandbox.user("ada"), sandbox.user("bob")
    begun = sandbox.clock.now()
    with capture_logs(processors=[stamp]) as lines:
        async with sandbox.running(bot) as process:
            sandbox.faults.lose_answer("POST /2/oauth2/token")
            while not refreshes(sandbox):
                await sandbox.advance(60)
            (first,) = refreshes(sandbox)
            (alarm,) = [line for line in lines if line["event"] == "login.state_changed"]
            assert (alarm["status"], alarm["log_level"]) == ("UNCERTAIN", "warning")
            assert alarm["at"] - first.at < timedelta(seconds=5)
            assert "botkit setup --account greeter" in alarm["next_step"]
            assert await states(process) == [LoginState.UNCERTAIN]

            await ada.posts("@greeter hello")
            await sandbox.settle()
            assert sandbox.replies_to(ada) == ["Hello @ada!"]
            await sandbox.advance(begun + timedelta(minutes=117) - sandbox.clock.now())
            assert refreshes(sandbox) == [first]

            await sandbox.advance(timedelta(minutes=2))
            _, second = refreshes(sandbox)
            assert (second.outcome, second.token_hash) == ("refused", first.token_hash)
            assert second.at >= begun + timedelta(minutes=118)
            assert await states(process) == [LoginState.DEAD]
            await sandbox.advance(timedelta(hours=3))
            assert refreshes(sandbox) == [first, second]
            reports = {one.part: one for one in await process.store.progress.reports()}
            assert reports["login/greeter"].state == "DEAD"
            assert "botkit setup --account greeter" in reports["login/greeter"].detail

            await bob.posts("@greeter hello")
            await sandbox.advance(60)
            assert await waits_for(process) == ["login"]
            await authorize_anew(sandbox, process, bot)
            await sandbox.advance(61)
            assert await states(process) == [LoginState.OK]
            await sandbox.settle()
            assert sandbox.replies_to(bob) == ["Hello @bob!"]
