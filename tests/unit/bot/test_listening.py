"""What a bot hears by, and why: streams where the app's bearer is, polls beside or alone."""

from __future__ import annotations

from contextlib import asynccontextmanager

import msgspec
import pytest

from botkit import Bot
from botkit.bot.listening import Listening
from botkit.errors import ConfigError
from botkit.model.records import Fence
from botkit.model.users import Account
from botkit.runtime.writes.own_messages import OwnMessages
from botkit.sources.gaps import Gaps
from botkit.sources.polling import Poll
from botkit.sources.stream import ActivityStream

MENTIONS = ("post.mention.create",)
MESSAGES = (*MENTIONS, "dm.received")


@asynccontextmanager
async def listening(place, kinds=MENTIONS):
    async with place.open_x() as x:
        plan = msgspec.structs.replace(Bot("greeter").plan, stream_kinds=kinds)
        yield Listening(
            plan=plan,
            settings=await place.settings(),
            x=x,
            intake=None,  # type: ignore[arg-type]
            report=lambda *_: None,
            gaps=Gaps(x.store, clock=x.clock, report=lambda *_: None),
            sent_messages=OwnMessages(
                store=x.store, clock=x.clock, fence=lambda: Fence("runner", "tester", 1)
            ),
        )


def names(sources):
    return sorted(source.name.partition("/")[0] for source in sources)


async def test_with_the_apps_bearer_there_is_a_stream_and_a_slow_poll(place):
    await place.authorize()
    async with listening(place) as at:
        sources, reasons = at.sources(await place.store.accounts.listing())

    assert names(sources) == ["activity", "mentions"]
    assert sorted(reasons.values()) == [
        "hears at once",
        "polls every 5 min beside the activity stream",
    ]


async def test_without_a_bearer_it_polls_and_says_what_is_missing(place):
    del place.environ["BOTKIT_APP__BEARER_TOKEN"]
    await place.authorize()
    async with listening(place) as at:
        sources, reasons = at.sources(await place.store.accounts.listing())

    assert names(sources) == ["mentions"]
    assert "no bearer_token" in next(iter(reasons.values()))


async def test_direct_messages_have_a_poll_of_their_own(place):
    await place.authorize()
    async with listening(place, MESSAGES) as at:
        sources, _ = at.sources(await place.store.accounts.listing())

    assert names(sources) == ["activity", "mentions", "messages"]


async def test_the_settings_may_want_the_poll_alone(place):
    place.environ["BOTKIT_BOT__SOURCE"] = "poll"
    await place.authorize()
    async with listening(place) as at:
        sources, reasons = at.sources(await place.store.accounts.listing())

    assert names(sources) == ["mentions"]
    assert "source = poll" in next(iter(reasons.values()))


async def test_a_stream_that_is_wanted_and_cannot_be_had_is_refused_with_the_cure(place):
    place.environ["BOTKIT_BOT__SOURCE"] = "stream"
    del place.environ["BOTKIT_APP__BEARER_TOKEN"]
    await place.authorize()
    async with listening(place) as at:
        with pytest.raises(ConfigError, match="needs the bearer token") as caught:
            at.sources(await place.store.accounts.listing())

    assert "source = auto" in caught.value.hint


async def test_a_newcomer_joins_the_stream_of_its_app_and_gets_a_poll(place):
    login = await place.authorize()
    newcomer = Account(id="42", username="bob", app=login.account.app)
    async with listening(place) as at:
        at.sources(await place.store.accounts.listing())
        sources, reasons = at.sources([newcomer])

    assert names(sources) == ["mentions"]
    assert list(reasons.values()) == ["polls every 5 min beside the activity stream"]
    assert len(at.streams) == 1
    assert len(at.beside[newcomer.app]) == 2


async def test_when_the_stream_is_back_the_polls_beside_it_read_at_once(place, monkeypatch):
    await place.authorize()
    async with listening(place, MESSAGES) as at:
        at.sources(await place.store.accounts.listing())
        poked = []
        for poll in at.beside["default"]:
            monkeypatch.setattr(type(poll), "poke", lambda self: poked.append(self.name))
        at.streams["default"]._on_connected()

    assert len(poked) == 2


async def test_a_poke_reaches_whatever_hears_the_account(place, monkeypatch):
    await place.authorize()
    poked: list[str] = []
    monkeypatch.setattr(ActivityStream, "poke", lambda self, _: poked.append(self.name))
    monkeypatch.setattr(Poll, "poke", lambda self: poked.append(self.name))
    async with listening(place, MESSAGES) as at:
        (account,) = await place.store.accounts.listing()
        at.poke(account)
        assert poked == []
        at.sources(await place.store.accounts.listing())
        at.poke(account)

    assert sorted(poked) == ["activity/default", "mentions/greeter", "messages/greeter"]
