"""`botkit status` beside whoever holds a role in the store."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from botkit.cli import main
from botkit.config import load_settings
from botkit.errors import StoreUnavailable
from botkit.model.bookings import Booking, BudgetEntry, OpenRead
from botkit.model.hearing import GapRow
from botkit.model.records import RunDead, RunParked, ScheduleRow, StatusReport
from botkit.model.tokens import LoginState
from botkit.model.users import Account
from botkit.storage import open_store
from botkit.storage.sql.ledger import SqlLedger
from botkit.system import SystemClock
from botkit.telemetry.times import rfc3339
from tests.storage.conformance.bench import event, letter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from botkit.ports import Store
    from tests.unit.cli.conftest import Desk

OK, DEAD, UNCERTAIN = LoginState.OK, LoginState.DEAD, LoginState.UNCERTAIN
COMMAND, BOT = "box/boot/4711/1/cafe", "box/boot/42/1/beef"


async def _status(*words: str, **roles: str) -> int:
    """The command's exit code, while these roles are held."""
    settings = await asyncio.to_thread(load_settings)
    async with open_store(settings.store_url, clock=SystemClock(), create=False) as store:
        for name, owner in roles.items():
            await store.leases.acquire(name, owner, ttl=timedelta(minutes=1))
        return await asyncio.to_thread(main, ["status", *words])


def test_who_refreshes_the_logins_is_named_when_it_is_not_the_runner(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.log_in()
    asyncio.run(_status(keeper=COMMAND))
    assert "keeper   process 4711 on box refreshes the logins" in capsys.readouterr().out
    asyncio.run(_status("--json", keeper=COMMAND))
    assert json.loads(capsys.readouterr().out)["keeper"] == COMMAND


def test_a_runner_that_refreshes_its_logins_is_no_news(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.log_in()
    asyncio.run(_status(keeper=BOT, runner=BOT))
    said = capsys.readouterr().out
    assert "runner   process 42 on box" in said
    assert "keeper" not in said


AT = datetime(2026, 11, 30, tzinfo=UTC)


def report(part: str, state: str, detail: str = "", code: str = "") -> StatusReport:
    return StatusReport(
        part=part, state=state, detail=detail, at=AT, data={"code": code} if code else {}
    )


async def _after(
    prepare: Callable[[Store], Awaitable[Any]], *words: str, runs: bool = True
) -> int:
    """The command's exit code once the store holds what `prepare` puts there."""
    settings = await asyncio.to_thread(load_settings)
    async with open_store(settings.store_url, clock=SystemClock(), create=False) as store:
        if runs:
            await store.leases.acquire("runner", BOT, ttl=timedelta(minutes=1))
        await prepare(store)
        return await asyncio.to_thread(main, ["status", *words])


def reporting(*reports: StatusReport) -> Callable[[Store], Awaitable[Any]]:
    return lambda store: store.progress.report(reports)


async def _nothing(store: Store) -> None:
    del store


async def _dead_letter(store: Store) -> None:
    fence = await store.leases.acquire("other", "x", ttl=timedelta(minutes=1))
    assert fence is not None
    await store.events.append([event("post/1/0")])
    (item,) = (await store.events.due(SystemClock().now())).items
    await store.events.settle([RunDead(seq=item.seq, letter=letter(item))], fence=fence)


def _waiting(cause: str) -> Callable[[Store], Awaitable[Any]]:
    async def wait(store: Store) -> None:
        fence = await store.leases.acquire("other", "x", ttl=timedelta(minutes=1))
        assert fence is not None
        (seq,) = await store.events.append([event("post/1/0")])
        assert seq is not None
        parked = RunParked(seq=seq, waiting_for=cause, until=None)
        await store.events.settle([parked], fence=fence)

    return wait


def _login(status: LoginState) -> Callable[[Store], Awaitable[Any]]:
    async def change(store: Store) -> None:
        (row,) = await store.credentials.listing()
        await store.credentials.set_status(row, status, reason="for a test", now=AT)

    return change


async def _spent(store: Store) -> None:
    (account,) = await store.accounts.listing()
    spent = Booking(account_id=account.id, at=SystemClock().now(), reads_usd=Decimal(50))
    await store.ledger.book([spent])


@pytest.mark.parametrize(
    ("prepare", "code", "said"),
    [
        (_nothing, 0, ""),
        (reporting(report("activity/default", "live"), report("runner", "running")), 0, ""),
        (_dead_letter, 1, "1 dead letter. Next: botkit events list --dead"),
        (_waiting("rate"), 1, "1 event waits for rate"),
        (_login(UNCERTAIN), 1, "login UNCERTAIN: for a test. Next: botkit setup"),
        (reporting(report("handlers", "saturated", "all 128", "1")), 1, "handlers saturated"),
        (_login(DEAD), 2, "login DEAD: for a test. Next: botkit setup"),
        (_waiting("account"), 2, "for account. Next: log in on x.com"),
        (_waiting("handler/greet"), 2, "for handler/greet. Next: start the bot with that handler"),
        (
            reporting(report("account/7", "stopped", "suspended")),
            2,
            "suspended. Next: log in on x.com",
        ),
        (_waiting("budget"), 3, "for budget. Next: wait, or raise [budget]"),
        (_waiting("credits"), 3, "for credits. Next: top up"),
        (_spent, 3, "has spent 50 of 50 USD, until"),
        (reporting(report("mentions/greeter", "waiting", "no such name", "4")), 4, "no such name"),
        (
            reporting(report("activity/default", "waiting", "X answered 401.", "2")),
            2,
            "X answered 401. Next: botkit doctor names the key or the login, and the cure",
        ),
        (
            reporting(report("mentions/greeter", "waiting", "waits for credits", "3")),
            3,
            "waits for credits. Next: top up the app's credits",
        ),
        (
            reporting(report("mentions/greeter", "waiting", "waits for budget", "3")),
            3,
            "waits for budget. Next: wait, or raise [budget]",
        ),
        (reporting(report("budget", "wrong", "failed", "1")), 1, "Next: see part.crashed"),
        (reporting(report("account/7", "behind", "it has moved")), 2, "behind: it has moved."),
        (reporting(report("store", "unavailable", "The disk is full.", "5")), 5, "disk is full"),
    ],
)
def test_the_exit_code_says_who_must_act_and_a_line_says_why(
    desk: Desk,
    capsys: pytest.CaptureFixture[str],
    prepare: Callable[[Store], Awaitable[Any]],
    code: int,
    said: str,
) -> None:
    desk.log_in()
    assert asyncio.run(_after(prepare)) == code
    out = capsys.readouterr().out
    problems = [line for line in out.splitlines() if line.startswith("problem ")]
    assert len(problems) == bool(code)
    assert said in "".join(problems)


def test_the_problem_to_be_seen_to_first_gives_the_exit_code(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.log_in()

    async def prepare(store: Store) -> None:
        await _dead_letter(store)
        await _spent(store)
        await store.progress.report([report("mentions/greeter", "waiting", "away", "4")])

    assert asyncio.run(_after(prepare, "--json")) == 4
    state = json.loads(capsys.readouterr().out)
    assert state["exit_code"] == 4
    assert [problem["code"] for problem in state["problems"]] == [4, 3, 1]


def test_a_bot_that_does_not_run_is_not_fine_and_its_old_reports_are_no_problems(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.log_in()
    old = reporting(report("mentions/greeter", "waiting", "away", "4"))
    assert asyncio.run(_after(old, runs=False)) == 1
    out = capsys.readouterr().out
    assert "problem  no bot is running on this store. Next: start it" in out
    assert "mentions/greeter         was waiting away" in out


@pytest.mark.parametrize("words", [(), ("--live",)])
def test_a_store_that_takes_nothing_is_why_no_bot_holds_it(
    desk: Desk,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    desk.log_in()

    async def full(store: object) -> None:
        raise StoreUnavailable("The disk is full.")

    monkeypatch.setattr("botkit.storage.sql.logins.credentials.SqlCredentials.make_room", full)
    old = reporting(report("mentions/greeter", "live"))
    assert asyncio.run(_after(old, *words, runs=False)) == (0 if words else 5)
    said = capsys.readouterr()
    assert "The disk is full." in said.out + said.err


@pytest.mark.parametrize(
    ("reports", "runs", "code", "said"),
    [
        (
            (report("activity/default", "waiting", "away", "4"),),
            True,
            0,
            "live: process 42 on box",
        ),
        ((report("store", "unavailable", "full", "5"),), True, 0, "live: "),
        ((report("handlers", "saturated", "none has ended", "1"),), True, 1, "none has ended"),
        ((), False, 1, "no bot is running on this store. Next: start it"),
    ],
)
def test_live_fails_only_for_what_a_restart_cures(
    desk: Desk,
    capsys: pytest.CaptureFixture[str],
    reports: tuple[StatusReport, ...],
    *,
    runs: bool,
    code: int,
    said: str,
) -> None:
    desk.log_in()
    assert asyncio.run(_after(reporting(*reports), "--live", runs=runs)) == code
    assert capsys.readouterr().out.startswith(said)
    assert asyncio.run(_after(_nothing, "--live", "--json", runs=runs)) == code
    assert json.loads(capsys.readouterr().out)["live"] is (code == 0)


def test_live_does_not_fail_for_a_store_or_setting_that_a_person_must_mend(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["status", "--live"]) == 0
    assert "a restart cures nothing: There is no store at " in capsys.readouterr().out
    monkeypatch.setenv("BOTKIT_BOT__SOURCE", "telepathy")
    assert main(["status", "--live"]) == 0
    assert "BOTKIT_BOT__SOURCE" in capsys.readouterr().out


def test_a_thousand_accounts_have_a_few_lines_together(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.log_in()
    missing = [
        report(f"subscription/bot{n}", "missing", f"The login of @bot{n} is dead.", "2")
        for n in range(500)
    ]
    live = [report(f"mentions/bot{n}", "live") for n in range(1000)]
    assert asyncio.run(_after(reporting(*missing, *live))) == 2
    out = capsys.readouterr().out
    assert len(out.splitlines()) < 15
    assert max(map(len, out.splitlines())) < 250
    assert "subscription/bot0 and 499 more missing: The login of @bot0 is dead." in out


def test_the_next_step_that_a_part_reports_is_shown(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.log_in()
    part = "subscription/greeter"
    data = {"code": "2", "next_step": "remove some of the app's subscriptions"}
    missing = StatusReport(part=part, state="missing", detail="full", at=AT, data=data)
    assert asyncio.run(_after(reporting(missing))) == 2
    out = capsys.readouterr().out
    assert "Next: remove some of the app's subscriptions" in out
    assert "botkit doctor" not in out


def test_each_source_tells_how_far_it_has_read_how_long_ago_and_its_open_gaps(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.log_in()
    now = SystemClock().now().replace(microsecond=0)

    def heard(part: str, ago_s: int) -> StatusReport:
        to = rfc3339(now - timedelta(seconds=ago_s))
        return StatusReport(part=part, state="live", detail="", at=AT, data={"heard_to": to})

    async def prepare(store: Store) -> None:
        (account,) = await store.accounts.listing()
        for source in ("mentions", "activity", "activity", "filtered:cats", "search:dogs"):
            await store.progress.open_gap(GapRow(source=source, account_id=account.id, since=AT))
        stranger = GapRow(source="mentions", account_id="9", since=AT)
        await store.progress.open_gap(stranger)
        parts = ("activity/default", "filtered/default", "webhook/default", "mentions/greeter")
        told = [heard(part, 100) for part in (*parts, "search:dogs/greeter", "home/greeter")]
        await store.progress.report([*told, heard("messages/greeter", -100), report("a", "live")])

    asyncio.run(_after(prepare))
    out = capsys.readouterr().out
    assert f"read to {rfc3339(now - timedelta(seconds=100))}, 10" in out
    assert " s ago, 2 open gaps\n" in out
    assert " s ago, 1 open gap\n" in out
    asyncio.run(_after(_nothing, "--json"))
    parts = {each["part"]: each for each in json.loads(capsys.readouterr().out)["parts"]}
    assert {name: part.get("gaps") for name, part in parts.items()} == {
        "a": None,
        "activity/default": 2,
        "filtered/default": 1,
        "home/greeter": 0,
        "mentions/greeter": 1,
        "messages/greeter": 0,
        "search:dogs/greeter": 1,
        "webhook/default": 2,
    }
    assert 100 <= parts["home/greeter"]["lag_s"] < 160
    assert parts["messages/greeter"]["lag_s"] == 0  # this machine's clock is behind X's


@pytest.mark.parametrize("runs", [True, False])
def test_the_next_runs_of_schedules_are_told_the_earliest_first(
    desk: Desk, capsys: pytest.CaptureFixture[str], *, runs: bool
) -> None:
    desk.log_in()
    now = SystemClock().now().replace(microsecond=0)
    planned = {
        "weather": now + timedelta(hours=2),
        "tidy": now + timedelta(hours=1),
        "removed": now - timedelta(days=2),
    }

    async def prepare(store: Store) -> None:
        (account,) = await store.accounts.listing()
        fence = await store.leases.acquire("test", "me", ttl=timedelta(minutes=1))
        assert fence is not None
        for name, at in planned.items():
            row = ScheduleRow(id=name, account_id=account.id, spec="every 60 s", next_at=at)
            await store.progress.fire(row, (), fence=fence)

    asyncio.run(_after(prepare, "--json", runs=runs))
    found = json.loads(capsys.readouterr().out)["schedules"]
    wanted = ["tidy", "weather"] if runs else ["removed", "tidy", "weather"]
    assert [row["name"] for row in found] == wanted
    assert datetime.fromisoformat(found[-1]["next_at"]) == planned["weather"]
    asyncio.run(_status())
    said = capsys.readouterr().out
    assert "tidy of @greeter: every 60 s" in said


def test_many_next_runs_are_cut(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.log_in()

    async def prepare(store: Store) -> None:
        (account,) = await store.accounts.listing()
        fence = await store.leases.acquire("test", "me", ttl=timedelta(minutes=1))
        assert fence is not None
        for n in range(22):
            row = ScheduleRow(id=f"job{n}", account_id=account.id, spec="x", next_at=AT)
            await store.progress.fire(row, (), fence=fence)

    asyncio.run(_after(prepare, runs=False))
    assert "next     2 more; --json has them all" in capsys.readouterr().out


def test_the_costs_of_all_accounts_are_read_at_once(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str | None] = []
    real = SqlLedger.spent

    async def spent(
        self: SqlLedger, account_id: str | None = None, *, since: datetime
    ) -> list[BudgetEntry]:
        looks.append(account_id)
        return await real(self, account_id, since=since)

    async def two_more(store: Store) -> None:
        (account,) = await store.accounts.listing()
        for cost, name in enumerate(("ada", "bob"), start=1):
            await store.accounts.put(Account(id=name, username=name, name="", app=account.app))
            at = SystemClock().now()
            await store.ledger.book(
                [Booking(account_id=name, at=at, writes_usd=Decimal(cost) / 100)]
            )

    desk.log_in()
    monkeypatch.setattr(SqlLedger, "spent", spent)
    asyncio.run(_after(two_more, "--json"))
    of = {
        each["username"]: each["spent_usd"]
        for each in json.loads(capsys.readouterr().out)["accounts"]
    }
    assert looks == [None]
    assert (of["ada"], of["bob"]) == (
        {"hour": "0.01", "day": "0.01"},
        {"hour": "0.02", "day": "0.02"},
    )


def test_reads_without_an_answer_stand_with_the_most_that_they_can_have_cost(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.log_in()
    now = SystemClock().now()
    yesterday = now - timedelta(days=1)

    async def lose(store: Store) -> None:
        (account,) = await store.accounts.listing()
        for request, at, account_id in [
            ("a", now - timedelta(seconds=100), account.id),
            ("b", now - timedelta(seconds=100), account.id),
            ("under way", now, account.id),
            ("c", yesterday, ""),
        ]:
            read = OpenRead(
                account_id=account_id, app="a", at=at, request=request, most_usd=Decimal("0.500")
            )
            await store.ledger.open_read(read)
        booking = Booking(account_id="", at=yesterday, reads_usd=Decimal("0.005"))
        await store.ledger.give_up_read(read, [booking])

    asyncio.run(_after(lose))
    said = capsys.readouterr().out
    assert (
        f"lost     the app: the costs of {yesterday:%Y-%m-%d} hold at most 0.005 USD"
        " for 1 read without an answer\n"
    ) in said
    assert f"2 reads of {now:%Y-%m-%d} without an answer, at most 1.000 USD; the bot" in said
    asyncio.run(_after(lose, "--json"))
    rows = json.loads(capsys.readouterr().out)["lost_reads"]
    assert [(row["reads"], row["given_up"]) for row in rows] == [(1, True), (2, False)]
