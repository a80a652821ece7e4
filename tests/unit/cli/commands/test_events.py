"""`botkit events`: what an operator sees of the inbox, and how dead letters come back."""

from __future__ import annotations

import asyncio
import io
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from botkit.cli import main
from botkit.errors import StoreUnavailable
from botkit.model.records import EventState, MemoKey, RunDead, RunDone, RunParked
from botkit.model.users import Account
from botkit.storage import open_store
from botkit.storage.sql.work.events import SqlEvents
from botkit.system import SystemClock
from tests.storage.conformance.bench import ME, T0, done, event, lease, letter, write

if TYPE_CHECKING:
    from pathlib import Path

    from botkit.model.records import StoredEvent

TEXT = "@greeter hello, is anybody there who could tell me whether the shop is open on Sunday?"


class Counter:
    """A folder with a store, and what the last command said."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = f"sqlite:///{folder}/botkit.db"
        self._capsys = capsys
        self.out = self.err = ""

    def do(self, *arguments: str) -> int:
        code = main(["events", *arguments])
        self.out, self.err = self._capsys.readouterr()
        return code

    def json(self, *arguments: str) -> Any:
        assert self.do(*arguments, "--json") == 0
        return json.loads(self.out)

    def states(self) -> dict[str, str]:
        async def read() -> list[StoredEvent]:
            async with open_store(self.url, clock=SystemClock()) as store:
                return list(await store.events.listing())

        return {kept.key: kept.state.value for kept in asyncio.run(read())}

    async def fill(self) -> None:
        async with open_store(self.url, clock=SystemClock(), create=True) as store:
            fence = await lease(store)
            body = json.dumps({"post": {"text": TEXT}}).encode()
            kinds = ("new", "done", "dead", "dead too", "parked")
            await store.events.append([event(key, body=body) for key in kinds])
            items = {item.key: item for item in (await store.events.due(T0)).items}
            await store.events.settle([done(items["done"])], fence=fence)
            for key in ("dead", "dead too"):
                await store.events.settle(
                    [RunDead(seq=items[key].seq, letter=letter(items[key]))], fence=fence
                )
            await store.events.settle(
                [RunParked(seq=items["parked"].seq, waiting_for="login", until=None)], fence=fence
            )


@pytest.fixture
def counter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Counter:
    for name in [name for name in os.environ if name.startswith("BOTKIT_")]:  # noqa: TID251
        monkeypatch.delenv(name)
    folder = tmp_path / "bot"
    folder.mkdir(mode=0o700)
    monkeypatch.chdir(folder)
    counter = Counter(folder, capsys)
    asyncio.run(counter.fill())
    return counter


def test_the_list_says_of_each_event_where_it_is_and_begins_with_its_text(
    counter: Counter,
) -> None:
    assert counter.do("list") == 0
    lines = {line.split("  ")[1]: line for line in counter.out.splitlines()}
    assert set(lines) == {"new", "done", "dead", "dead too", "parked"}
    assert "waiting (waits for login)" in lines["parked"]
    assert TEXT[:40] in lines["new"]
    assert TEXT not in counter.out
    assert counter.do("list", "--limit", "2") == 0
    assert len(counter.out.splitlines()) == 2


def test_only_one_state_can_be_asked_for(counter: Counter) -> None:
    assert [row["key"] for row in counter.json("list", "--state", "done")] == ["done"]
    assert counter.json("list", "--state", "dropped") == []
    assert counter.do("list", "--state", "dropped") == 0
    assert counter.out == "No events.\n"


def test_a_dead_letter_says_why_and_in_full_with_its_trace(counter: Counter) -> None:
    assert counter.do("list", "--dead") == 0
    assert "failed: ValueError: no" in counter.out
    assert counter.do("show", "dead") == 0
    assert "Traceback ..." in counter.out
    (shown,) = counter.json("show", "dead")
    assert shown["dead"]["handler"] == "bot.greet"
    assert shown["body"]["post"]["text"] == TEXT


def test_text_of_a_post_forges_no_line_and_moves_no_cursor(counter: Counter) -> None:
    evil = "@greeter hi\nstate        dead\x1b[2J\u202e"

    async def add() -> None:
        async with open_store(counter.url, clock=SystemClock()) as store:
            await store.events.append(
                [event("evil", body=json.dumps({"post": {"text": evil}}).encode())]
            )

    asyncio.run(add())
    for arguments in (("show", "evil"), ("list", "--limit", "1")):
        assert counter.do(*arguments) == 0
        assert "\nstate        dead" not in counter.out
        assert not {"\x1b", "\u202e"} & set(counter.out)
    (shown,) = counter.json("show", "evil")
    assert shown["body"]["post"]["text"] == evil
    assert not {"\x1b", "\u202e"} & set(counter.out)


def test_a_retry_says_which_events_are_held_because_their_handler_is_gone(
    counter: Counter,
) -> None:
    async def begin() -> None:
        async with open_store(counter.url, clock=SystemClock()) as store:
            fence = await lease(store)
            memo = MemoKey(account_id=ME, event_key="dead", run=0, handler="greet", name="m")
            await store.states.keep(memo, b"1", fence=fence)
            await store.take_over_handlers(["hello"], {}, fence=fence)

    asyncio.run(begin())
    assert counter.do("retry", "--all") == 0
    assert counter.out == (
        "2 of 2 back in the inbox.\n"
        "dead is held: the handler greet, which began it, is not there any more. "
        'Say was="greet" beside the one that took its place, or botkit events drop.\n'
    )


def test_dead_letters_go_back_to_the_inbox_by_name_or_all_at_once(counter: Counter) -> None:
    assert counter.do("retry", "dead") == 0
    assert counter.out == "1 of 1 back in the inbox.\n"
    assert counter.states()["dead"] == EventState.WAITING.value
    assert counter.do("retry", "--all") == 0
    assert counter.states()["dead too"] == EventState.WAITING.value
    assert counter.do("list", "--dead") == 0
    assert counter.out == "No dead letters.\n"


def test_what_was_heard_too_late_comes_back_when_a_person_says_so(counter: Counter) -> None:
    async def fill() -> None:
        async with open_store(counter.url, clock=SystemClock()) as store:
            fence = await lease(store)
            for key in ("late", "later"):
                (seq,) = await store.events.append([event(key)])
                assert seq is not None
                await store.events.settle([RunDone(seq=seq, state=EventState.LATE)], fence=fence)

    asyncio.run(fill())
    assert counter.do("list", "--state", "late") == 0
    assert counter.out.count("  late\n") == 2
    assert counter.do("retry", "--late", "--account", "2") == 0
    assert counter.out == "0 back in the inbox.\n"
    assert counter.do("retry", "--late") == 0
    assert counter.out == "2 back in the inbox.\n"
    assert counter.states()["late"] == EventState.WAITING.value
    assert counter.do("drop", "later") == 0


@pytest.mark.parametrize("verb", ["retry", "drop"])
def test_all_dead_letters_are_all_however_many_there_are(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr("botkit.cli.commands.events._AT_ONCE", 1)
    assert counter.do(verb, "--all", "dead") == 2
    assert "not both" in counter.err
    assert counter.do(verb, "--all") == 0
    done = "back in the inbox" if verb == "retry" else "dropped"
    assert counter.out == f"2 of 2 {done}.\n"
    state = EventState.WAITING if verb == "retry" else EventState.DROPPED
    assert {counter.states()[key] for key in ("dead", "dead too")} == {state.value}
    assert counter.do(verb, "--all") == 0
    assert counter.out == f"0 of 0 {done}.\n"


def test_a_bulk_command_that_is_cut_short_says_that_others_are_left(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botkit.cli.commands.events._AT_ONCE", 1)
    whole = SqlEvents.revive_dead
    calls: list[int] = []

    async def fails(self: Any, **which: Any) -> int:
        calls.append(1)
        if len(calls) > 1:
            raise StoreUnavailable("The disk is full.")
        return await whole(self, **which)

    monkeypatch.setattr(SqlEvents, "revive_dead", fails)
    assert counter.do("retry", "--all") == 5
    assert "1 back in the inbox; the others are left as they were: say it again." in counter.err
    assert "The disk is full." in counter.err


def test_an_event_shows_its_writes_and_no_others(counter: Counter) -> None:
    async def add() -> None:
        async with open_store(counter.url, clock=SystemClock()) as store:
            fence = await lease(store, "another")
            for number, key in enumerate(("done", "new")):
                await store.writes.begin(write(f"w{number}", event_key=key), now=T0, fence=fence)

    asyncio.run(add())
    (shown,) = counter.json("show", "done")
    assert [one["id"] for one in shown["writes"]] == ["w0"]


def test_what_cannot_come_back_is_counted_and_told_by_the_exit_code(counter: Counter) -> None:
    assert counter.do("retry", "dead", "done") == 1
    assert counter.out == "1 of 2 back in the inbox.\n"


def test_a_replay_needs_a_yes_because_its_writes_happen_anew(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert counter.do("replay", "done") == 2  # nobody answers the question
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert counter.do("replay", "done") == 1
    assert counter.states()["done"] == EventState.DONE.value
    assert counter.do("replay", "done", "--yes") == 0
    assert counter.out == "1 of 1 run again.\n"
    assert counter.states()["done"] == EventState.WAITING.value


def test_a_dropped_event_stays_on_record_as_dropped(counter: Counter) -> None:
    assert counter.do("drop", "new", "parked") == 0
    assert counter.out == "2 of 2 dropped.\n"
    states = counter.states()
    assert (states["new"], states["parked"]) == ("dropped", "dropped")


def test_an_event_that_is_not_there_is_named_with_the_way_to_the_right_one(
    counter: Counter,
) -> None:
    for arguments in (("show", "nothing"), ("retry", "nothing"), ("drop", "nothing")):
        assert counter.do(*arguments) == 2
        assert "There is no event 'nothing' on record." in counter.err
        assert "botkit events list" in counter.err
    assert counter.do("retry") == 2
    assert "Name their keys, or say --all." in counter.err


def test_the_events_of_another_account_are_left_alone(counter: Counter) -> None:
    async def add() -> None:
        async with open_store(counter.url, clock=SystemClock()) as store:
            await store.events.append([event("new", account_id="2")])

    asyncio.run(add())
    assert len(counter.json("show", "new")) == 2
    assert {row["account_id"] for row in counter.json("show", "new")} == {ME, "2"}


def test_a_named_account_is_the_only_one_that_is_touched(counter: Counter) -> None:
    async def add() -> None:
        async with open_store(counter.url, clock=SystemClock()) as store:
            await store.accounts.put(Account(id="2", username="other"))
            await store.events.append([event("new", account_id="2")])

    asyncio.run(add())
    assert counter.do("drop", "new", "--account", "nobody") == 2
    assert "There is no account 'nobody' here." in counter.err
    assert counter.do("retry", "--all", "--account", "other") == 0
    assert counter.out == "0 of 0 back in the inbox.\n"
    assert counter.do("drop", "new", "--account", "other") == 0
    assert counter.out == "1 of 1 dropped.\n"
    assert counter.states()["dead"] == EventState.DEAD.value
    assert counter.do("retry", "dead", "--account", ME) == 0
