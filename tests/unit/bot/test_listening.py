"""What a bot hears by, and why: streams where the app's bearer is, polls beside or alone."""

from __future__ import annotations

from contextlib import asynccontextmanager

import msgspec
import pytest

from botkit import Bot, HomeTimeline, PostMatched, PostSeen, Search
from botkit.bot.listening import Listening
from botkit.errors import ConfigError
from botkit.model.records import Fence
from botkit.model.users import Account
from botkit.runtime.writes.lookups.own_messages import OwnMessages
from botkit.sources.gaps import Gaps
from botkit.sources.polls.polling import Poll
from botkit.sources.push.stream import ActivityStream
from botkit.sources.push.webhooks import ActivityWebhook

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


async def test_an_account_that_only_polls_is_told_what_it_does_not_hear(place):
    del place.environ["BOTKIT_APP__BEARER_TOKEN"]
    await place.authorize()
    said = []
    async with listening(place) as usual:
        plan = msgspec.structs.replace(usual.plan, stream_only=("Follow", "Like"))
        at = msgspec.structs.replace(usual, plan=plan, report=lambda *told: said.append(told))
        at.sources(await place.store.accounts.listing())

    ((part, state, detail, _),) = said
    assert (part, state) == ("subscription/greeter", "missing")
    assert detail.startswith("Follow, Like come by the activity stream only; polls every 15 s")


class Declared:
    """A bot with a rule, a search of its own account and one of another."""

    def __init__(self):
        self.bot = Bot("greeter")
        self.bot.on(PostMatched, rule="cats", tag="cats")(take)
        self.bot.on(PostMatched, tag="dogs", name="dogs")(take)
        self.bot.on(PostMatched, tag="birds", name="birds")(take)
        self.bot.hear(Search(query="dogs", tag="dogs"))
        self.bot.hear(Search(query="birds", tag="birds", account="Somebody"))
        self.bot.on(PostSeen, name="seen")(take)
        self.bot.hear(HomeTimeline())

    def replacing(self, at, **more):
        """The listening for this bot."""
        return msgspec.structs.replace(at, plan=self.bot.plan, **more)


async def take(event) -> None:
    """Take any event."""


async def test_declared_sources_are_made_and_one_of_an_unknown_account_is_said(place):
    await place.authorize()
    said = []
    async with listening(place) as usual:
        at = Declared().replacing(usual, report=lambda *told: said.append(told))
        sources, reasons = at.sources(await place.store.accounts.listing())

    assert names(sources) == [
        "activity",
        "filtered",
        "home",
        "mentions",
        "rule_gaps",
        "search:dogs",
    ]
    assert reasons["home/greeter"] == "reads every 5 min, 0.005 USD a post"
    ((part, state, detail, _),) = said
    assert (part, state) == ("search:birds/Somebody", "missing")
    assert "botkit setup" in detail


async def test_an_account_takes_its_declared_sources_along(place):
    await place.authorize()
    async with listening(place) as usual:
        at = Declared().replacing(usual)
        (account,) = await place.store.accounts.listing()
        at.sources([account])
        at.poke(account)
        ended = at.leave(account)

    assert {name.partition("/")[0] for name in ended} == {
        "activity",
        "filtered",
        "home",
        "mentions",
        "rule_gaps",
        "search:dogs",
    }
    assert at.matching == []


async def test_a_second_account_does_not_search_again(place):
    await place.authorize()
    async with listening(place) as usual:
        at = Declared().replacing(usual)
        (account,) = await place.store.accounts.listing()
        at.sources([account])
        second = Account(id="77", username="somebody")
        sources, _ = at.sources([second])

    assert names(sources) == ["home", "mentions", "search:birds"]


async def test_a_rule_needs_the_apps_bearer(place):
    del place.environ["BOTKIT_APP__BEARER_TOKEN"]
    await place.authorize()
    async with listening(place) as at:
        with pytest.raises(ConfigError, match="needs the bearer token of app 'default'"):
            Declared().replacing(at).sources(await place.store.accounts.listing())


async def test_a_query_that_the_plan_does_not_have_is_refused_at_the_start(place):
    await place.authorize()
    bot = Bot("greeter")
    bot.on(PostMatched)(take)
    bot.hear(Search(query="a" * 600, tag="a"))
    async with listening(place) as usual:
        at = msgspec.structs.replace(usual, plan=bot.plan)
        with pytest.raises(ConfigError, match="takes 512"):
            at.sources(await place.store.accounts.listing())


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


WEBHOOK = {
    "BOTKIT_BOT__SOURCE": "webhook",
    "BOTKIT_WEBHOOK__PUBLIC_URL": "https://bot.example/x/deliveries",
    "BOTKIT_APP__API_SECRET": "a-secret",
}


async def test_the_settings_may_want_a_webhook_in_place_of_the_stream(place):
    place.environ |= WEBHOOK
    await place.authorize()
    async with listening(place) as at:
        sources, reasons = at.sources(await place.store.accounts.listing())

    assert names(sources) == ["mentions", "webhook"]
    assert "polls every 5 min beside the webhook" in reasons.values()
    assert isinstance(at.streams["default"], ActivityWebhook)


async def test_an_account_of_another_app_than_the_webhooks_polls_and_says_why(place):
    place.environ |= {**WEBHOOK, "BOTKIT_WEBHOOK__APP": "second"}
    place.environ["BOTKIT_APPS__SECOND__API_SECRET"] = "b-secret"
    await place.authorize()
    async with listening(place) as at:
        sources, reasons = at.sources(await place.store.accounts.listing())

    assert names(sources) == ["mentions"]
    assert "the webhook is for the app 'second'" in next(iter(reasons.values()))


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


async def test_a_poll_beside_a_stream_that_does_not_deliver_is_as_quick_as_one_alone(
    place, monkeypatch
):
    await place.authorize()
    live: set[str] = set()
    async with listening(place, MESSAGES) as at:
        (account,) = await place.store.accounts.listing()
        at.sources([account])
        polls = at.polls[account.id]
        assert [poll._unheard.is_now() for poll in polls] == [True, True]
        stream = at.streams["default"]
        monkeypatch.setattr(stream, "delivers", lambda _, kinds: live.issuperset(kinds))
        live.add("post.mention.create")
        assert [poll._unheard.is_now() for poll in polls] == [False, True]
        live.add("dm.received")
        assert [poll._unheard.is_now() for poll in polls] == [False, False]
        assert [poll._unheard.interval.total_seconds() for poll in polls] == [15, 65]
        poked = []
        for poll in polls:
            monkeypatch.setattr(type(poll), "poke", lambda self: poked.append(self.name))
        stream._on_unheard(account.id)
        stream._on_unheard("of nobody")
        at.leave(account)
        assert [poll._unheard.is_now() for poll in polls] == [True, True]

    assert len(poked) == 2


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
