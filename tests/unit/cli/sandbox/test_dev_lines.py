"""What a typed line does in the simulated X, and what the person sees of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from botkit.cli.sandbox.dev_lines import DevLines, moved
from botkit.model.records import EventState, StoredEvent
from botkit.sandbox.harness.clock import SeededEntropy, VirtualClock
from botkit.sandbox.world.world import World

NOW = datetime(2026, 11, 30, 12, 34, 56, tzinfo=UTC)


class Person:
    """Types lines, and remembers what was shown."""

    def __init__(self) -> None:
        self.world = World(VirtualClock(), SeededEntropy("dev"))
        self.lines: list[str] = []
        self.facts: list[dict[str, Any]] = []
        self.takes_messages = True
        self.dev = DevLines(
            self.world, "greeter", self._take, takes_messages=lambda: self.takes_messages
        )

    def _take(self, line: str, /, **facts: object) -> None:
        self.lines.append(line)
        self.facts.append(facts)

    def types(self, line: str) -> str:
        self.lines.clear()
        self.dev.act(line)
        self.dev.show()
        return "\n".join(self.lines)


@pytest.fixture
def person() -> Person:
    return Person()


def test_posts_have_short_numbers_and_are_answered_and_quoted_by_them(person: Person) -> None:
    assert person.types("@greeter hi") == "  #1  @ada: @greeter hi"
    assert person.types("/as bob") == ""
    assert person.types("/reply 1 me too") == "  #2  @bob (to #1): @ada @greeter me too"
    assert person.types("/quote #2 look").startswith("  #3  @bob (to #2): look")
    assert person.facts[0]["id"] == next(iter(person.world.posts))
    assert person.types(f"/reply {person.facts[0]['id']} by id").startswith("  #4  @bob (to #1)")


def test_posts_are_liked_reposted_and_deleted_by_their_numbers(person: Person) -> None:
    person.types("@greeter hi")
    person.types("/like 1")
    post = next(iter(person.world.posts.values()))
    assert len(post.likes) == 1
    assert person.types("/repost 1") == "  #2  @ada: RT @ada: @greeter hi"
    person.types("/follow greeter")
    assert len(person.world.user("greeter").followers) == 1
    person.types("/delete 1")
    assert post.deleted
    assert "there is no post" in person.types("/like 1")


def test_a_message_is_shown_as_well_as_its_answer(person: Person) -> None:
    assert person.types("/dm hello") == "  @ada to @greeter (message): hello"
    bot, ada = (person.world.user(name).id for name in ("greeter", "ada"))
    person.world.add_message(bot, ada, "hi")
    assert person.types("") == "  @greeter to @ada (message): hi"


def test_what_does_not_work_is_said(person: Person) -> None:
    assert "there is no post 7; the number stands before each post" in person.types("/reply 7 hm")
    assert "/time" in person.types("/help")
    assert person.types("") == ""


def event(seq: int, key: str, note: str, **fields: Any) -> StoredEvent:
    row = StoredEvent(
        seq=seq,
        account_id="1",
        key=key,
        kind="mention",
        lane="",
        body=b"",
        at=NOW,
        recorded_at=NOW,
        source="activity",
        cause="",
        state=EventState.DONE,
        note=note,
    )
    return msgspec.structs.replace(row, **fields)


def test_an_event_that_runs_no_handler_is_said_once(person: Person) -> None:
    person.types("@greeter hi")
    post_id = next(iter(person.world.posts))
    waiting = event(1, f"post/{post_id}/0", "", state=EventState.WAITING)
    person.lines.clear()
    person.dev.show_unheard([waiting])
    assert person.lines == []
    events = [
        event(5, "post/9/0", "no handler", kind="post_seen"),
        event(4, "post/9/0", "greet"),
        event(3, "post/9/0", "held back by limit"),
        event(2, "dm/5", "opted out", kind="direct_message"),
        event(1, f"post/{post_id}/0", "no handler"),
    ]
    for _ in range(2):
        person.dev.show_unheard(events)
    assert person.lines == [
        "  (#1 ran no handler: no handler)",
        "  (the message ran no handler: opted out)",
        "  (the message ran no handler: held back by limit)",
    ]


@pytest.mark.parametrize(
    ("when", "then"),
    [
        ("+90s", "2026-11-30T12:36:26+00:00"),
        ("+10m", "2026-11-30T12:44:56+00:00"),
        ("+2h", "2026-11-30T14:34:56+00:00"),
        ("+1d", "2026-12-01T12:34:56+00:00"),
        ("13:00", "2026-11-30T13:00:00+00:00"),
        ("8:00", "2026-12-01T08:00:00+00:00"),
    ],
)
def test_time_is_moved_by_a_span_or_to_the_next_such_time(when: str, then: str) -> None:
    assert moved(NOW, when).isoformat() == then


@pytest.mark.parametrize("when", ["", "later", "-1h", "25:00", "+1y", "08:00:00"])
def test_what_is_no_time_is_refused_with_examples(when: str) -> None:
    with pytest.raises(ValueError, match="is no time: say"):
        moved(NOW, when)


def test_a_message_to_a_bot_that_takes_none_says_so(person: Person) -> None:
    person.takes_messages = False
    assert person.types("/dm hello").splitlines() == [
        "  @ada to @greeter (message): hello",
        "  (the bot has no handler for messages: @bot.on(DirectMessage))",
    ]


def test_a_message_needs_a_text(person: Person) -> None:
    assert person.types("/dm") == "that did not work: a message has a text: /dm TEXT"
    assert not person.world.messages


def test_a_user_that_x_cannot_have_is_refused(person: Person) -> None:
    assert person.types("/as b@b").startswith("that did not work: 'b@b' is no username of X")
