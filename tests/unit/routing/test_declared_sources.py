"""Sources are declared in code, and every fault of a declaration is said before anything runs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from botkit.errors import WiringError
from botkit.model.events import Mention, PostMatched, PostSeen
from botkit.model.sources import HomeTimeline, ListPosts, OwnPosts, PolledSource, Rule, Search
from botkit.routing.declared_sources import Tagged
from botkit.routing.router import Router
from botkit.routing.wiring import Wiring, wire
from tests.unit.routing.samples import matched


async def take(event: object) -> None:
    """Take any event."""


def matching(**declared: str) -> Router:
    """A router with one handler for matches."""
    router = Router("bot")
    router.on(PostMatched, **declared)(take)
    return router


def test_rules_and_polls_are_collected_from_all_routers_in_order() -> None:
    router, inner = matching(rule="cats", tag="cats"), Router("inner")
    inner.on(PostMatched, rule="dogs", tag="dogs", name="dogs")(take)
    inner.on(PostSeen, name="seen")(take)
    inner.hear(HomeTimeline())
    router.hear(Search(query="birds", tag="birds"))
    router.include(inner)
    sources = wire(router).sources
    assert sources.rules == (Rule(value="cats", tag="cats"), Rule(value="dogs", tag="dogs"))
    assert sources.polled == (Search(query="birds", tag="birds"), HomeTimeline())


def test_a_handler_gets_the_matches_of_its_tag_only() -> None:
    router = matching(rule="cats", tag="cats")
    router.on(PostMatched, rule="dogs", tag="dogs", name="dogs")(take)
    router.on(PostMatched, lambda event: event.id == "1", tag="dogs", name="first dog")(take)
    wiring = wire(router)
    assert _names(wiring, tag="dogs", post_id="2") == ["dogs"]
    assert _names(wiring, tag="dogs", post_id="1") == ["dogs", "first dog"]
    assert _names(wiring, tag="cats", post_id="1") == ["take"]
    assert _names(wiring, tag="birds", post_id="1") == []


def _names(wiring: Wiring, *, tag: str, post_id: str) -> list[str]:
    return [each.entry.route.name for each in wiring.candidates(matched(post_id, tag))]


def test_the_tag_of_a_handler_is_a_filter_without_values() -> None:
    tagged = Tagged("cats")
    assert repr(tagged) == "tag='cats'"
    assert tagged.find(matched("1", "cats")) == {}
    assert tagged.find(matched("1", "dogs")) is None


def test_two_handlers_may_declare_one_rule() -> None:
    router = matching(rule="cats", tag="cats")
    router.on(PostMatched, rule="cats", tag="cats", name="second")(take)
    assert wire(router).sources.rules == (Rule(value="cats", tag="cats"),)


def _other_rule_with_the_tag() -> Router:
    router = matching(rule="cats", tag="cats")
    router.on(PostMatched, rule="dogs", tag="cats", name="second")(take)
    return router


def _search_with_the_tag_of_a_rule() -> Router:
    router = matching(rule="cats", tag="cats")
    router.hear(Search(query="cats", tag="cats"))
    return router


def _two_searches_of_one_tag() -> Router:
    router = matching()
    router.hear(Search(query="cats", tag="cats"))
    router.hear(Search(query="dogs", tag="cats"))
    return router


def _nobody_takes(source: PolledSource) -> Router:
    router = Router("bot")
    router.hear(source)
    return router


def _bad_query() -> Router:
    router = matching()
    router.hear(Search(query="cats sample:10", tag="cats"))
    return router


@pytest.mark.parametrize(
    ("router", "fault"),
    [
        (_other_rule_with_the_tag, "the rule 'cats' is declared already, at "),
        (_search_with_the_tag_of_a_rule, "the tag 'cats' is taken, at "),
        (_two_searches_of_one_tag, "search:cats is declared already, at "),
        (lambda: _nobody_takes(OwnPosts()), "no handler takes what own_posts finds"),
        (
            lambda: _nobody_takes(Search(query="c", tag="c")),
            "no handler takes what search:c finds",
        ),
        (lambda: matching(tag="cats"), "no rule or search has the tag 'cats'"),
        (lambda: matching(rule="has:images", tag="i"), "no condition can stand alone"),
        (_bad_query, "has no operator sample:"),
    ],
)
def test_a_wrong_declaration_is_a_fault_with_its_file_and_line(router, fault: str) -> None:
    with pytest.raises(WiringError) as raised:
        wire(router())
    (said,) = raised.value.problems
    assert fault in said
    assert f"{__file__}:" in said


@pytest.mark.parametrize(
    ("declare", "fault"),
    [
        (lambda router: router.on(Mention, rule="cats", tag="cats"), "matches are PostMatched"),
        (lambda router: router.on((PostMatched, Mention), tag="cats"), "matches are PostMatched"),
        (lambda router: router.on(PostMatched, rule="cats"), "needs a tag"),
        (lambda router: router.on(PostMatched, rule="cats", tag="a/b"), "without slashes"),
        (lambda router: router.on(PostMatched, rule="cats", tag=" a"), "without slashes"),
        (lambda router: router.on(PostMatched, rule="cats", tag="a" * 101), "short name"),
        (lambda router: router.on(PostMatched, rule="cats", tag=5), "short name"),
        (lambda router: router.hear("cats"), "needs a source"),
        (lambda router: router.hear(Rule(value="cats", tag="cats")), "needs a source"),
        (lambda _: Search(query="cats", tag=""), "short name"),
        (lambda _: Search(query="cats", tag="c", most=9), "10 posts or more"),
        (lambda _: Search(query="cats", tag="c", most="10"), "10 posts or more"),
        (lambda _: OwnPosts(every=timedelta(seconds=4)), "5 s or more"),
        (lambda _: OwnPosts(every=60), "5 s or more"),
        (lambda _: ListPosts(list_id="cats"), "a text of digits"),
        (lambda _: ListPosts(list_id=5), "a text of digits"),
    ],
)
def test_a_wrong_argument_is_refused_where_it_stands(declare, fault: str) -> None:
    with pytest.raises(WiringError, match=fault):
        declare(Router("bot"))


def test_a_source_without_a_name_is_none() -> None:
    with pytest.raises(TypeError, match="PolledSource"):
        _ = PolledSource().name


def test_nothing_is_heard_that_was_declared_after_the_start() -> None:
    router = Router("bot")
    with router.while_running(), pytest.raises(WiringError, match="while its bot runs"):
        router.hear(OwnPosts())
