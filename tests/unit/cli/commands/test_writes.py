"""`botkit writes`: the journal as an operator reads it, and the decisions that they make in it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from botkit.cli import main
from botkit.model.records import EventState, WriteMove, WriteState
from botkit.storage import open_store
from botkit.system import SystemClock
from tests.storage.conformance.bench import T0, event, lease, write

if TYPE_CHECKING:
    from pathlib import Path

    from botkit.model.records import StoredWrite


class Journal:
    """A folder with a store, and what the last command said."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = f"sqlite:///{folder}/botkit.db"
        self._capsys = capsys
        self.out = self.err = ""

    def do(self, *arguments: str) -> int:
        code = main(["writes", *arguments])
        self.out, self.err = self._capsys.readouterr()
        return code

    def get(self, write_id: str) -> StoredWrite:
        async def read() -> StoredWrite | None:
            async with open_store(self.url, clock=SystemClock()) as store:
                return await store.writes.get(write_id)

        found = asyncio.run(read())
        assert found is not None
        return found

    async def fill(self) -> None:
        async with open_store(self.url, clock=SystemClock(), create=True) as store:
            fence = await lease(store)
            for name in ("sure", "unsure", "asked"):
                await store.writes.begin(
                    write(name, text="hi\x1b[31m", event_key="post/1/1"), now=T0, fence=fence
                )
            made = WriteMove(to=WriteState.CONFIRMED, result_id="77", result=b"{}")
            await store.writes.move("sure", made, now=T0, fence=fence)
            for name in ("unsure", "asked"):
                await store.writes.move(
                    name,
                    WriteMove(to=WriteState.UNCERTAIN, reason="no answer", next_read_at=T0),
                    now=T0,
                    fence=fence,
                )
            await store.events.append([event("post/1/1")])


@pytest.fixture
def journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Journal:
    monkeypatch.chdir(tmp_path)
    journal = Journal(tmp_path, capsys)
    asyncio.run(journal.fill())
    return journal


def listed(journal: Journal, *arguments: str) -> dict[str, Any]:
    assert journal.do("list", "--json", *arguments) == 0
    return {row["id"]: row for row in json.loads(journal.out)}


def test_the_journal_is_listed_for_a_person_and_for_a_program(journal: Journal) -> None:
    assert journal.do("list") == 0
    assert all(name in journal.out for name in ("sure", "unsure", "asked", "CONFIRMED", "77"))
    rows = listed(journal)
    assert rows["sure"]["state"] == "CONFIRMED"
    assert rows["sure"]["result_id"] == "77"
    assert rows["unsure"]["reason"] == "no answer"


def test_a_state_can_be_asked_for_in_any_case(journal: Journal) -> None:
    assert set(listed(journal, "--state", "confirmed")) == {"sure"}
    assert set(listed(journal, "--limit", "1", "--state", "UNCERTAIN")) <= {"unsure", "asked"}
    assert journal.do("list", "--state", "REJECTED") == 0
    assert "No writes." in journal.out


def test_one_is_shown_in_full_and_its_text_cannot_colour_the_terminal(journal: Journal) -> None:
    assert journal.do("show", "unsure") == 0
    assert "\x1b" not in journal.out
    assert "hi\\x1b[31m" in journal.out
    assert journal.do("show", "unsure", "--json") == 0
    shown = json.loads(journal.out)
    assert shown["text"] == "hi\x1b[31m"
    assert [attempt["outcome"] for attempt in shown["attempts"]] == ["no answer"]


def test_a_person_who_found_the_post_settles_the_write_with_its_id(journal: Journal) -> None:
    assert journal.do("settle", "unsure", "--happened", "88") == 0
    settled = journal.get("unsure")
    assert (settled.state, settled.result_id) == (WriteState.CONFIRMED, "88")
    assert json.loads(settled.result or b"")["id"] == "88"


def test_a_person_who_found_nothing_lets_it_be_sent_again(journal: Journal) -> None:
    assert journal.do("settle", "unsure", "--not-there") == 0
    settled = journal.get("unsure")
    assert (settled.state, settled.reason) == (WriteState.QUEUED, "a person did not find it")


def test_a_cancelled_write_is_never_sent(journal: Journal) -> None:
    assert journal.do("cancel", "asked") == 0
    cancelled = journal.get("asked")
    assert cancelled.state is WriteState.REJECTED
    assert cancelled.reason == "cancelled by the operator"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "nobody"), "There is no write 'nobody'"),
        (("settle", "sure", "--not-there"), "CONFIRMED cannot be settled"),
        (("cancel", "sure"), "CONFIRMED cannot be cancelled"),
        (("settle", "unsure"), "either --happened POST_ID or --not-there"),
        (("settle", "unsure", "--happened", "1", "--not-there"), "either --happened"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    journal: Journal, arguments: tuple[str, ...], words: str
) -> None:
    before = listed(journal)
    assert journal.do(*arguments) == 2
    assert words in journal.err
    assert listed(journal) == before


def test_the_event_that_waited_for_a_write_goes_on_when_it_is_decided(journal: Journal) -> None:
    async def states() -> list[EventState]:
        async with open_store(journal.url, clock=SystemClock()) as store:
            return [kept.state for kept in await store.events.listing()]

    assert journal.do("settle", "unsure", "--happened", "88") == 0
    assert "goes on" in journal.out
    assert asyncio.run(states()) == [EventState.WAITING]
