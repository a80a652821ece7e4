"""A user who says stop is heard before any handler, is answered once, and can come back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from botkit.errors import Forbidden, Parked
from botkit.model.events import DirectMessage, Event, Mention, OptOut, PostSeen, Signal, Tick
from botkit.model.messages import Message
from botkit.model.posts import MentionEntity
from botkit.model.records import StoredOptOut
from botkit.model.users import User
from botkit.ports import Actions
from botkit.protocol.rules.opt_outs import OptOutRules
from botkit.runtime.writes.opt_outs import OptOuts
from tests.unit.runtime.fakes import ADA, BOT, Bench, FakeWiring, bench, mention

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from botkit.ports import Scope

NOW = datetime(2025, 12, 11, tzinfo=UTC)
RULES = OptOutRules()


def message(text: str, message_id: str = "5") -> DirectMessage:
    return DirectMessage(
        account_id=BOT,
        at=NOW,
        message=Message(id=message_id, conversation_id="7-42", text=text, sender_id=ADA.id),
        sender=ADA,
    )


class Seen(FakeWiring):
    """Handlers that remember what they got; those of mentions answer it."""

    def __init__(self, *signals: type[Signal]) -> None:
        super().__init__(*signals)
        self.events: list[Event] = []
        self.on(Event, self.see)

    async def see(self, event: Event, scope: Scope) -> None:
        self.events.append(event)
        if isinstance(event, Mention):
            await scope.resolve(Actions).reply(event, "Hello!")


def seen(core: Bench) -> list[Any]:
    assert isinstance(core.wiring, Seen)
    return core.wiring.events


def answers(core: Bench) -> list[str]:
    return [step.text for step in core.steps.asked]


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path, Seen()) as core:
        yield core


async def test_no_handler_sees_the_request_and_the_user_is_answered_once(core: Bench) -> None:
    stop = mention("1", text="@greeter unsubscribe")
    await core.handle(stop)
    assert await core.note(stop) == "opted out"
    assert answers(core) == [RULES.goodbye]
    await core.handle(mention("2", text="@greeter stop"))
    assert answers(core) == [RULES.goodbye]
    out = await core.store.accounts.opted_out(BOT, ADA.id)
    assert out is not None
    assert (out.username, out.cause) == ("ada", stop.key)


_ME = MentionEntity(username="renamed", id=BOT)
_ADA = MentionEntity(username="ada", id=ADA.id)
_UNKNOWN = MentionEntity(username="ada")


@pytest.mark.parametrize(
    ("event", "is_out"),
    [
        (mention("1", text="@renamed stop @ada", mentions=(_ME, _ADA)), False),
        (mention("1", text="@ada stop @renamed", mentions=(_ADA, _ME)), True),
        (mention("1", text="@renamed stop", mentions=(_ME,)), True),
        (mention("1", text="@renamed stop @ada", mentions=(_ME, _UNKNOWN)), True),
        (mention("1", text="stop @ada"), True),
        (message("stop @ada"), True),
    ],
)
async def test_a_request_to_somebody_else_in_a_post_opts_nobody_out(
    core: Bench, event: Event, *, is_out: bool
) -> None:
    await core.handle(event)
    out = await core.store.accounts.opted_out(BOT, ADA.id)
    assert (out is not None) is is_out


async def test_later_events_of_the_user_end_before_any_handler(core: Bench) -> None:
    await core.handle(message("stop"))
    later = [mention("2"), message("are you there?", "6")]
    unasked = PostSeen(account_id=BOT, at=NOW, post=mention("3").post, author=ADA)
    await core.handle(*later, unasked)
    assert [type(event) for event in seen(core)] == [OptOut]
    assert {await core.note(event) for event in later} == {"opted out"}
    assert answers(core) == [RULES.goodbye]


async def test_others_are_heard_as_before(core: Bench) -> None:
    bob = User(id="8", username="bob", name="Bob")
    await core.handle(mention("1", text="@greeter stop"))
    await core.handle(mention("2", author=bob), Tick(account_id=BOT, at=NOW, schedule="x"))
    assert {type(event) for event in seen(core)} == {OptOut, Mention, Tick}


async def test_the_way_back_is_answered_and_then_handlers_get_events_again(core: Bench) -> None:
    await core.handle(message("stop"))
    await core.handle(message("Start, please", "6"))
    await core.handle(mention("2"))
    assert answers(core) == [RULES.goodbye, RULES.welcome, "Hello!"]
    changes = [event.is_out for event in seen(core) if isinstance(event, OptOut)]
    assert changes == [True, False]
    assert await core.store.accounts.opted_out(BOT, ADA.id) is None


async def test_start_means_nothing_special_to_who_did_not_opt_out(core: Bench) -> None:
    await core.handle(message("start"))
    assert [type(event) for event in seen(core)] == [DirectMessage]


async def test_the_event_for_handlers_names_the_user(core: Bench) -> None:
    await core.handle(mention("1", text="@greeter stop"))
    (told,) = seen(core)
    assert (told.user_id, told.username, told.is_out) == (ADA.id, "ada", True)
    assert told.lane == f"opt_out/{ADA.id}"


async def test_a_request_holds_while_its_answer_has_to_wait(core: Bench) -> None:
    until = core.clock.now() + timedelta(hours=1)
    core.steps.answers = [Parked("budget", until=until)]
    await core.handle(mention("1", text="@greeter stop"))
    assert await core.store.accounts.opted_out(BOT, ADA.id) is not None
    await core.handle(mention("2"))
    assert seen(core) == []
    await core.later(3700)
    await core.idle()
    assert answers(core) == [RULES.goodbye, RULES.goodbye]
    assert len(core.steps.made) == 1


async def test_a_refused_answer_ends_nothing_else(core: Bench) -> None:
    core.steps.answers = [Forbidden("blocked", status=403)]
    stop = mention("1", text="@greeter stop")
    await core.handle(stop)
    assert await core.note(stop) == "opted out"
    assert await core.store.accounts.opted_out(BOT, ADA.id) is not None


async def test_another_processs_opt_out_is_seen_once_the_store_has_changed(core: Bench) -> None:
    await core.handle(mention("1"))
    await core.store.accounts.opt_out(StoredOptOut(account_id=BOT, user_id=ADA.id, at=NOW))
    await core.dispatcher.opt_outs.load()
    await core.handle(mention("2"))
    assert [event.id for event in seen(core)] == ["1"]


class Remind(Signal, frozen=True, kw_only=True):
    """Sent when it is time to answer a mention."""


async def test_a_signal_that_would_still_write_to_the_user_ends_without_a_dead_letter(
    tmp_path: Path,
) -> None:
    from botkit.errors import OptedOut

    wiring = FakeWiring(Remind)

    async def greet(event: Event, scope: Scope) -> None:
        if isinstance(event, Mention):
            await scope.resolve(Actions).emit(Remind())
        else:
            raise OptedOut("User 7 asked this account to stop.")

    wiring.on(Event, greet)
    async with bench(tmp_path, wiring) as core:
        await core.handle(mention("1"))
        await core.idle()
        assert core.outcomes == ["done", "dropped"]
        assert await core.store.events.dead() == []


@pytest.mark.parametrize("way", ["no rules", "no answer", "may not"])
async def test_an_author_switches_the_words_or_the_answer_off(tmp_path: Path, way: str) -> None:
    rules = {"no rules": None, "no answer": OptOutRules(goodbye="")}.get(way, RULES)
    async with bench(tmp_path, Seen()) as core:
        core.dispatcher._runs._opt_outs = OptOuts(
            core.services, rules=rules, may=frozenset({"post", "reply"})
        )
        await core.handle(message("stop"))
        assert answers(core) == []
        assert len(seen(core)) == (1 if way == "no rules" else 0)
