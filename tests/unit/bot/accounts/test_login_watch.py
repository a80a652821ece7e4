"""Each change of a login becomes one event, one report, and one look at the access."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from botkit.bot.accounts.login_watch import LoginWatch
from botkit.client.logins.oauth1_fallback import StandIn
from botkit.client.logins.oauth2_login import LoginStatus
from botkit.errors import MissingScope, StoreUnavailable
from botkit.leases.lease import Lease
from botkit.model.events import AccountState
from botkit.model.hearing import Checkpoint
from botkit.model.tokens import CredentialKind, LoginState
from botkit.model.users import Account
from botkit.runtime.life.status import Reports
from botkit.sandbox import VirtualClock
from tests.unit.sources.fakes import stored_cursor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

ME = Account(id="1", username="greeter")
OTHER = Account(id="2", username="other", app="second")
SINCE = datetime(2026, 11, 25, 12, tzinfo=UTC)


def status(state: LoginState, **more: Any) -> LoginStatus:
    values: dict[str, Any] = {
        "account_id": "1",
        "username": "greeter",
        "app": "default",
        "status": state,
        "since": SINCE,
        "gen": 1,
        "left_s": None,
        "last_success": None,
    }
    return LoginStatus(**values | more)


class FakeStore:
    """Checkpoints, and how many events wait for a login."""

    def __init__(self) -> None:
        self.progress = self.events = self.leases = self
        self.cursors: dict[tuple[str, str], Checkpoint] = {}
        self.parked = {"1": 2}

    async def checkpoint(self, source: str, account_id: str) -> Checkpoint | None:
        return self.cursors.get((source, account_id))

    async def unpark(self, cause: str, *, account_id: str) -> int:
        assert cause == "login"
        return self.parked.pop(account_id, 0)


class Desk:
    """A watch with everything around it, and what came of it."""

    def __init__(self, store: FakeStore | None = None, *, tells: bool = True) -> None:
        self.clock = VirtualClock()
        self.store: Any = store or FakeStore()
        self.reports = Reports(self.store, self.clock, Lease(self.store, self.clock, owner="test"))
        self.watch = LoginWatch(
            accounts={"1": ME, "2": OTHER},
            may=frozenset({"post"}),
            tells=tells,
            store=self.store,
            clock=self.clock,
            reports=self.reports,
        )
        self.told: list[AccountState] = []
        self.lacks = False
        self.rescans = 0
        self.poked: list[str] = []
        self.broken = 0

    async def record(
        self,
        events: Sequence[Any],
        *,
        account_id: str,
        source: str,
        checkpoint: Checkpoint | None = None,
    ) -> int:
        if self.broken:
            self.broken -= 1
            raise StoreUnavailable("full")
        assert checkpoint is not None
        self.store.cursors[checkpoint.source, checkpoint.account_id] = checkpoint
        assert {event.account_id for event in events} == {account_id}
        self.told.extend(events)
        return len(events)

    async def credential(self, operation: str, *, account_id: str) -> CredentialKind:
        if self.lacks:
            raise MissingScope(operation=operation, have=(), need=("tweet.write",), cure="setup")
        return CredentialKind.OAUTH2

    def rescan(self) -> None:
        self.rescans += 1

    async def hears(self, *changes: LoginStatus) -> None:
        for change in changes:
            self.watch.changed(change)
        async with self.running():
            await self.clock.at_rest()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        work = self.watch.run(  # type: ignore[arg-type]
            self, self, self.rescan, lambda account: self.poked.append(account.username)
        )
        task = asyncio.get_running_loop().create_task(work)
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    @property
    def turns(self) -> list[tuple[str, str, str]]:
        return [(each.account_id, each.before, each.status) for each in self.told]

    @property
    def states(self) -> dict[str, str]:
        return {part: each.state for part, each in self.reports.current.items()}


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_login_that_is_fine_is_no_news(desk: Desk) -> None:
    await desk.hears(status(LoginState.OK), status(LoginState.OK, gen=2))
    assert desk.told == []
    assert desk.states == {"login/greeter": "OK"}


async def test_each_change_is_one_event_with_its_reason_and_next_step(desk: Desk) -> None:
    dead = status(LoginState.DEAD, reason="revoked", next_step="botkit setup", gen=3)
    await desk.hears(status(LoginState.OK), dead, dead, status(LoginState.OK, gen=4))
    assert desk.turns == [("1", "OK", "DEAD"), ("1", "DEAD", "OK")]
    event = desk.told[0]
    assert (event.reason, event.next_step, event.gen) == ("revoked", "botkit setup", 3)
    assert (event.username, event.app, event.credential) == (
        "greeter",
        "default",
        "OAuth2UserToken",
    )
    assert event.since == event.at == SINCE
    assert event.key == ("account_state/default/OAuth2UserToken/3/DEAD/2026-11-25T12:00:00+00:00")
    assert event.lane == "account_state/default/OAuth2UserToken"


async def test_what_was_told_by_an_earlier_process_is_not_told_again() -> None:
    dead = status(LoginState.DEAD, reason="revoked")
    store = FakeStore()
    first, second = Desk(store), Desk(store)
    await first.hears(dead)
    await second.hears(dead)
    assert (len(first.told), second.told) == (1, [])
    await second.hears(status(LoginState.DEAD, since=SINCE + timedelta(minutes=1)))
    assert second.told == []
    later = status(LoginState.DEAD, reason="again", since=SINCE + timedelta(hours=1), gen=2)
    await second.hears(later)
    assert second.turns == [("1", "DEAD", "DEAD")]


async def test_what_stores_hold_of_an_event_that_was_told_is_understood() -> None:
    place = "account_state/default/OAuth2UserToken"
    store = FakeStore()
    store.cursors[place, ME.id] = Checkpoint(
        source=place, account_id=ME.id, cursor=stored_cursor(place)
    )
    desk = Desk(store)
    await desk.hears(status(LoginState.DEAD, gen=3))
    assert desk.told == []
    await desk.hears(status(LoginState.DEAD, gen=4))
    assert desk.turns == [("1", "DEAD", "DEAD")]
    assert store.cursors[place, ME.id].cursor == stored_cursor(place).replace("3", "4")


async def test_the_kinds_of_one_account_are_told_apart(desk: Desk) -> None:
    await desk.hears(
        status(LoginState.DEAD),
        status(LoginState.DEAD, kind=CredentialKind.OAUTH1),
    )
    assert [each.credential for each in desk.told] == ["OAuth2UserToken", "UserToken"]
    assert desk.states == {"login/greeter": "DEAD", "login/greeter/oauth1": "DEAD"}


async def test_an_apps_bearer_is_told_to_each_account_of_the_app(desk: Desk) -> None:
    await desk.hears(
        status(
            LoginState.CONFIG,
            kind=CredentialKind.APP_ONLY,
            account_id="",
            username="",
            app="second",
        )
    )
    assert [(each.account_id, each.username) for each in desk.told] == [("2", "other")]
    assert desk.states == {"app/second": "CONFIG"}


async def test_an_account_that_the_bot_does_not_act_for_has_no_events(desk: Desk) -> None:
    await desk.hears(status(LoginState.DEAD, account_id="9", username="nobody"))
    assert desk.told == []


async def test_without_a_handler_nothing_is_recorded() -> None:
    desk = Desk(tells=False)
    await desk.hears(status(LoginState.DEAD))
    assert desk.told == []
    assert desk.states == {"login/greeter": "DEAD"}


async def test_a_store_that_cannot_take_it_is_tried_until_it_can(desk: Desk) -> None:
    desk.broken = 6
    desk.watch.changed(status(LoginState.DEAD))
    async with desk.running():
        await desk.clock.advance(timedelta(minutes=5))
        desk.watch.changed(status(LoginState.OK))
        await desk.clock.at_rest()
    assert desk.turns == [("1", "OK", "DEAD"), ("1", "DEAD", "OK")]


async def test_access_that_does_not_reach_any_more_is_said_once_and_so_is_its_cure(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.lacks = True
    await desk.hears(status(LoginState.OK), status(LoginState.OK, gen=2))
    assert desk.states["access/greeter"] == "too little"
    desk.lacks = False
    await desk.hears(status(LoginState.OK, gen=3))
    assert desk.states["access/greeter"] == "enough"
    assert "".join(capsys.readouterr()).count("tweet.write") >= 1


async def test_a_pair_that_stands_in_is_in_the_status(desk: Desk) -> None:
    desk.watch.stood_in(StandIn(account_id="1", username="greeter", is_on=True, why="revoked"))
    assert desk.states == {"fallback/greeter": "on"}
    desk.watch.stood_in(StandIn(account_id="1", username="greeter", is_on=False))
    assert desk.states == {"fallback/greeter": "off"}


async def test_a_login_that_is_fine_again_wakes_what_waited_for_it(desk: Desk) -> None:
    await desk.hears(status(LoginState.DEAD))
    assert desk.rescans == 0
    await desk.hears(status(LoginState.OK), status(LoginState.OK))
    assert desk.rescans == 1


async def test_sources_are_told_of_a_login_that_is_good_again_and_of_no_other() -> None:
    desk = Desk()
    await desk.hears(status(LoginState.OK), status(LoginState.OK, gen=2))
    assert desk.poked == []
    await desk.hears(status(LoginState.DEAD, gen=2), status(LoginState.OK, gen=3))
    assert desk.poked == ["greeter"]
    app = {"account_id": "", "username": "", "app": "second", "kind": CredentialKind.APP_ONLY}
    await desk.hears(status(LoginState.CONFIG, **app), status(LoginState.OK, **app))
    assert desk.poked == ["greeter", "other"]
