"""What a delivery lacked is looked up before a handler sees the event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from botkit.errors import Parked as ParkedError
from botkit.errors import ServerError, StoreUnavailable
from botkit.model.events import DirectMessage, Event, PostEvent, PostSeen, Quote
from botkit.model.messages import Message
from botkit.model.posts import Post
from botkit.model.records import EventState
from botkit.model.users import User
from botkit.protocol.events.activity import decode_event
from tests.unit.runtime.fakes import ADA, BOT, FakeWiring, bench, mention, start

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from botkit.ports import Scope

NAMELESS = User(id=ADA.id, username="", name="")
NOW = datetime(2025, 12, 11, tzinfo=UTC)


def lacking(post_id: str = "100", author: User = NAMELESS, **more: Any) -> PostEvent:
    return mention(post_id, author=author, missing=("author",), **more)


def watching() -> tuple[FakeWiring, list[Any]]:
    seen: list[Any] = []

    async def watch(event: Event, scope: Scope) -> None:
        seen.append(event)

    wiring = FakeWiring()
    wiring.on(Event, watch)
    return wiring, seen


async def test_authors_are_looked_up_in_one_call_and_kept_in_the_store(tmp_path: Path) -> None:
    wiring, seen = watching()
    eve = User(id="8", username="eve", name="Eve")
    async with bench(tmp_path, wiring) as bot:
        bot.lookup.known[eve.id] = eve
        await bot.handle(
            lacking("1"), lacking("2"), lacking("3", User(id="8", username="", name=""))
        )
        stored = (await bot.store.events.get("post/1/0"))[0]
    assert bot.lookup.calls == [["7", "8"]]
    assert sorted((event.id, event.author.name) for event in seen) == [
        ("1", "Ada"),
        ("2", "Ada"),
        ("3", "Eve"),
    ]
    assert all(event.missing == () for event in seen)
    kept = decode_event(stored.kind, stored.body, {})
    assert isinstance(kept, PostEvent)
    assert kept.author == ADA


async def test_more_authors_than_a_call_takes_are_looked_up_in_several(tmp_path: Path) -> None:
    wiring, seen = watching()
    async with bench(tmp_path, wiring) as bot:
        for n in range(1000, 1150):
            bot.lookup.known[str(n)] = User(id=str(n), username=f"u{n}", name="U")
        await bot.handle(
            *(lacking(str(n), User(id=str(n), username="", name="")) for n in range(1000, 1150))
        )
    assert sorted(len(call) for call in bot.lookup.calls) == [50, 100]
    assert [sorted(call) for call in bot.lookup.calls] == bot.lookup.calls
    assert len(seen) == 150


async def test_what_two_accounts_wait_for_is_looked_up_by_each_for_itself(tmp_path: Path) -> None:
    # A protected author is shown to those who follow it, and what is read is booked by account.
    wiring, seen = watching()
    eve = User(id="8", username="eve", name="Eve")
    theirs = msgspec.structs.replace(
        lacking("2", User(id="8", username="", name="")), account_id="43"
    )
    async with bench(tmp_path, wiring, started=False) as bot:
        bot.lookup.known[eve.id] = eve
        await bot.record(lacking("1"))
        await bot.inbox.record([theirs], account_id="43", source="test")
        start(bot)
        await bot.idle()
    assert sorted(bot.lookup.asked) == sorted([(BOT, ["7"]), ("43", ["8"])])
    assert {(event.account_id, event.author.name) for event in seen} == {
        (BOT, "Ada"),
        ("43", "Eve"),
    }


async def test_a_senders_name_is_looked_up_too(tmp_path: Path) -> None:
    wiring, seen = watching()
    heard = DirectMessage(
        account_id=BOT,
        at=NOW,
        missing=("sender",),
        message=Message(id="5", conversation_id="7-42", text="hi", sender_id="7"),
        sender=NAMELESS,
    )
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(heard)
    assert [(event.sender, event.missing) for event in seen] == [(ADA, ())]


@pytest.mark.parametrize("fault", [ServerError("busy", status=503), ParkedError("credits")])
async def test_a_failed_look_up_makes_the_event_wait_and_is_no_failure_of_its_handler(
    tmp_path: Path, fault: BaseException
) -> None:
    wiring, seen = watching()
    async with bench(tmp_path, wiring) as bot:
        bot.lookup.faults += [fault, fault]
        await bot.handle(lacking(), mention("101", conversation="100"))
        assert [event.id for event in seen] == ["101"]
        row = (await bot.store.events.get("post/100/0"))[0]
        assert (row.waiting_for, row.attempts) == ("author", 0)
        await bot.later(7)
        assert len(bot.lookup.calls) == 2
        await bot.later(20)
    assert [event.author for event in seen] == [ADA, ADA]
    assert len(bot.lookup.calls) == 3


async def test_after_a_look_up_that_worked_the_next_failure_waits_as_short_as_the_first(
    tmp_path: Path,
) -> None:
    wiring, seen = watching()
    fault = ServerError("busy", status=503)
    async with bench(tmp_path, wiring) as bot:
        bot.lookup.faults += [fault, fault, fault]
        await bot.handle(lacking())
        await bot.later(120)
        assert (len(bot.lookup.calls), len(seen)) == (4, 1)
        bot.lookup.faults.append(fault)
        await bot.handle(lacking("101"))
        await bot.later(7)
    assert len(seen) == 2


async def test_a_look_up_that_fails_again_waits_longer(tmp_path: Path) -> None:
    wiring, _ = watching()
    fault = ServerError("busy", status=503)
    async with bench(tmp_path, wiring) as bot:
        bot.lookup.faults += [fault, fault]
        await bot.handle(lacking())
        await bot.later(7)
        assert len(bot.lookup.calls) == 2
        await bot.later(7)
        assert len(bot.lookup.calls) == 2
        await bot.later(12)
        assert len(bot.lookup.calls) == 3


async def test_a_look_up_waits_as_long_as_x_says(tmp_path: Path) -> None:
    wiring, seen = watching()
    async with bench(tmp_path, wiring) as bot:
        until = bot.clock.now() + timedelta(minutes=15)
        bot.lookup.faults.append(ParkedError("rate", until=until))
        await bot.handle(lacking())
        await bot.later(14 * 60)
        assert seen == []
        await bot.later(61)
    assert len(seen) == 1


async def test_an_event_whose_author_is_gone_is_a_dead_letter(tmp_path: Path) -> None:
    wiring, seen = watching()
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(lacking("1", User(id="666", username="", name="")), lacking("2"))
        dead = await bot.store.events.dead()
    assert [event.id for event in seen] == ["2"]
    assert [(one.key, one.reason) for one in dead] == [("post/1/0", "author")]


def quoting(post_id: str = "100", missing: tuple[str, ...] = ("quoted",)) -> PostSeen:
    post = Post(id=post_id, text="look", author_id="7", quoted_post_id="55")
    author = NAMELESS if "author" in missing else ADA
    return PostSeen(account_id=BOT, at=NOW, missing=missing, post=post, author=author)


async def test_a_post_that_quotes_the_account_becomes_a_quote(tmp_path: Path) -> None:
    wiring, seen = watching()
    async with bench(tmp_path, wiring) as bot:
        bot.lookup.posts["55"] = Post(id="55", text="mine", author_id=BOT)
        await bot.handle(quoting(missing=("author", "quoted")))
        stored = (await bot.store.events.get("post/100/0"))[0]
    (event,) = seen
    assert type(event) is Quote
    assert (event.quotes_me, event.author, event.missing) == (True, ADA, ())
    assert decode_event(stored.kind, stored.body, {}) == event


@pytest.mark.parametrize("quoted", [None, Post(id="55", text="theirs", author_id="9")])
async def test_a_post_that_quotes_somebody_else_stays_what_it_is(
    tmp_path: Path, quoted: Post | None
) -> None:
    wiring, seen = watching()
    async with bench(tmp_path, wiring) as bot:
        if quoted is not None:
            bot.lookup.posts["55"] = quoted
        await bot.handle(quoting())
    (event,) = seen
    assert type(event) is PostSeen
    assert (event.quotes_me, event.missing) == (False, ())
    assert bot.lookup.calls == []


async def test_a_mention_that_also_quotes_the_account_stays_a_mention(tmp_path: Path) -> None:
    wiring, seen = watching()
    asked = mention(missing=("quoted",), quoted_post_id="55")
    async with bench(tmp_path, wiring) as bot:
        bot.lookup.posts["55"] = Post(id="55", text="mine", author_id=BOT)
        await bot.handle(asked)
    (event,) = seen
    assert type(event) is type(asked)
    assert event.quotes_me


async def test_a_quote_of_the_account_that_lacked_only_its_author_still_quotes_the_account(
    tmp_path: Path,
) -> None:
    wiring, seen = watching()
    asked = msgspec.structs.replace(lacking(quoted_post_id="55"), quotes_me=True)
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(asked)
    (event,) = seen
    assert (event.quotes_me, event.author, event.missing) == (True, ADA, ())
    assert bot.lookup.asked == [(BOT, ["7"])]


async def test_parts_that_nobody_needs_are_not_waited_for(tmp_path: Path) -> None:
    wiring, seen = watching()
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(mention(missing=("media",)))
    assert seen[0].missing == ("media",)
    assert bot.lookup.calls == []


async def test_what_was_left_unfinished_by_a_kill_is_looked_up_at_the_next_start(
    tmp_path: Path,
) -> None:
    wiring, seen = watching()
    async with bench(tmp_path, wiring, started=False) as bot:
        await bot.record(lacking())
    async with bench(tmp_path, wiring, started=False) as bot:
        start(bot)
        await bot.idle()
    assert [event.author for event in seen] == [ADA]


@pytest.mark.parametrize("end", ["amended", "dead", "parked"])
async def test_what_cannot_be_stored_is_looked_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    wiring, _ = watching()
    author = User(id="666", username="", name="") if end == "dead" else NAMELESS
    method = "amend" if end == "amended" else "settle"
    async with bench(tmp_path, wiring) as bot:
        whole = getattr(bot.store.events, method)
        faults: list[Exception] = [StoreUnavailable("full")]
        if end == "parked":
            bot.lookup.faults += [ServerError("busy", status=503)] * 2

        async def faulty(*args: Any, **named: Any) -> None:
            if faults:
                raise faults.pop()
            await whole(*args, **named)

        monkeypatch.setattr(bot.store.events, method, faulty)
        await bot.record(lacking(author=author))
        await bot.later(60)
        row = (await bot.store.events.get("post/100/0"))[0]
    assert faults == []
    assert row.state is (EventState.DEAD if end == "dead" else EventState.DONE)


async def test_a_look_up_that_cannot_use_the_store_is_made_again(tmp_path: Path) -> None:
    wiring, seen = watching()
    async with bench(tmp_path, wiring) as bot:
        bot.lookup.faults.append(StoreUnavailable("locked"))
        await bot.record(lacking())
        await bot.later(2)
    assert len(seen) == 1


@pytest.mark.parametrize("author_id", ["", "1,2", "ada", "9" * 20])
async def test_an_author_with_an_id_that_is_none_is_not_asked_for_and_stops_nobody(
    tmp_path: Path, author_id: str
) -> None:
    wiring, seen = watching()
    nobody = User(id=author_id, username="", name="")
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(lacking("1", nobody), lacking("2"))
        row = (await bot.store.events.get("post/1/0"))[0]
        (letter,) = await bot.store.events.dead()
    assert [event.id for event in seen] == ["2"]
    assert bot.lookup.calls == [["7"]]
    assert row.state is EventState.DEAD
    assert "does not say who wrote it" in letter.error


async def test_a_quoted_post_with_an_id_that_is_none_is_nobodys(tmp_path: Path) -> None:
    wiring, seen = watching()
    post = msgspec.structs.replace(quoting().post, quoted_post_id="../1")
    asked = msgspec.structs.replace(quoting(), post=post)
    async with bench(tmp_path, wiring) as bot:
        bot.lookup.posts["../1"] = Post(id="../1", text="mine", author_id=BOT)
        await bot.handle(asked)
    assert [(event.missing, event.quotes_me) for event in seen] == [((), False)]
