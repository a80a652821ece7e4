from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit import filters
from botkit.errors import WiringError
from botkit.filters import (
    Command,
    EventFilter,
    Match,
    command,
    contains,
    from_user,
    has_media,
    hook,
    in_conversation,
    is_reply_to_me,
    lang,
    matches,
)
from botkit.model.events import DirectMessage, Event, Mention, PostEvent, Tick
from botkit.model.triggers import Trigger
from botkit.model.users import User
from botkit.ports.matching import Selective
from tests.unit.routing.samples import Remind, dm, mention, reply, seen

SHIPPED = Trigger(account_id="1", at=mention().at, name="shipped", delivery="1")
BOB = User(id="12", username="bob_b", name="Bob")


def pinned(given_filter: EventFilter[Any], event: Event) -> bool:
    """Whether the event has, for every pin, one of its keys: what the index goes by."""
    return all(not pin.values.isdisjoint(pin.keys(event)) for pin in given_filter.pins)


def test_contains_looks_inside_words_and_at_no_case() -> None:
    assert contains("hello")(mention("well, HELLO there"))
    assert contains("ELL")(mention("hello"))
    assert contains("straße")(mention("Hauptstrasse 5"))
    assert contains("hello")(dm("Hello"))
    assert not contains("hello")(mention("hell o"))


def test_contains_can_insist_on_the_case() -> None:
    assert contains("X", case_sensitive=True)(mention("on X"))
    assert not contains("X", case_sensitive=True)(mention("on x"))


def test_contains_refuses_an_empty_text() -> None:
    with pytest.raises(WiringError, match="needs a text"):
        contains("")


@given(needle=st.text(min_size=1), around=st.tuples(st.text(), st.text()))
def test_what_contains_a_text_is_always_found_and_always_pinned(
    needle: str, around: tuple[str, str]
) -> None:
    event = mention(around[0] + needle + around[1])
    for one in (contains(needle), contains(needle, case_sensitive=True)):
        assert one(event)
        assert pinned(one, event)


@given(st.text(alphabet="abAB ", max_size=8), st.text(alphabet="abAB ", min_size=1, max_size=4))
def test_contains_means_what_python_means(text: str, needle: str) -> None:
    assert contains(needle)(mention(text)) == (needle.casefold() in text.casefold())
    assert contains(needle, case_sensitive=True)(mention(text)) == (needle in text)


def test_matches_searches_and_gives_the_groups() -> None:
    one = matches(r"in (?P<minutes>\d+) minutes?(?P<never>!)? to (?P<what>.+)")
    found = one.find(mention("@b remind me in 5 minutes to call home"))
    assert found is not None
    match = found[Match]
    assert (match["minutes"], match["what"], match[1], match[0]) == (
        "5",
        "call home",
        "5",
        "in 5 minutes to call home",
    )
    assert match.start == len("@b remind me ")
    assert match["never"] == ""
    assert one(mention("in 1 minute to go"))
    assert not one(mention("in a minute to go"))
    assert one.find(mention("in a minute to go")) is None
    assert one.provides == (Match,)


@pytest.mark.parametrize("group", ["hours", 9])
def test_a_group_that_is_not_in_the_pattern_is_a_key_error(group: str | int) -> None:
    with pytest.raises(KeyError, match=str(group)):
        Match(text="x", groups=("y",), named={"a": "y"})[group]


def test_matches_takes_flags_and_compiled_patterns() -> None:
    assert not matches("hello")(mention("HELLO"))
    assert matches("hello", flags=re.IGNORECASE)(mention("HELLO"))
    assert matches(re.compile("hello", re.IGNORECASE))(mention("HELLO"))


@pytest.mark.parametrize("broken", ["(", "(?P<1>x)"])
def test_matches_refuses_what_is_no_regular_expression(broken: str) -> None:
    with pytest.raises(WiringError, match="not a regular expression"):
        matches(broken)
    with pytest.raises(WiringError, match="not a regular expression"):
        matches(re.compile("x"), flags=re.IGNORECASE)


@pytest.mark.parametrize(
    "text",
    [
        "/help me now",
        "!HELP  me now ",
        "@desk /help me now",
        "@desk: @x, !help me now",
        "\n!help me now",
    ],
)
def test_a_command_is_the_first_word_behind_the_names_a_post_starts_with(text: str) -> None:
    found = command("help").find(mention(text))
    assert found is not None
    assert found[Command].name.casefold() == "help"
    assert found[Command].args == "me now"
    assert found[Command].words == ["me", "now"]
    assert command("help")(mention(text))


@pytest.mark.parametrize(
    "text", ["help", "please /help", "/helper", "/ help", "@desk help /help", ""]
)
def test_what_does_not_start_with_the_command_is_none(text: str) -> None:
    assert not command("help")(mention(text))
    assert command("help").find(mention(text)) is None


def test_a_command_has_one_of_several_names_and_a_sign_when_it_insists() -> None:
    assert command("help", "h")(dm("!h"))
    assert command("!help")(dm("!help"))
    assert not command("!help")(dm("/help"))


@pytest.mark.parametrize("names", [(), ("",), ("/",), ("two words",), (" help",)])
def test_a_command_needs_a_name_of_one_word(names: tuple[str, ...]) -> None:
    with pytest.raises(WiringError, match="command"):
        command(*names)


@given(st.from_regex(r"[a-z0-9äß_-]{1,8}", fullmatch=True), st.text())
def test_a_command_that_passes_is_always_pinned(name: str, rest: str) -> None:
    event = mention(f"@desk !{name} {rest}")
    assert command(name)(event)
    assert pinned(command(name), event)


def test_from_user_knows_ids_and_usernames() -> None:
    for who in ("9", "ada", "@ADA"):
        assert from_user(who)(mention())
        assert from_user(who)(dm())
        assert not from_user(who)(mention(author=BOB))
        assert not from_user(who)(dm(sender=BOB))
    assert from_user("bob_b", "9")(mention())
    digits = User(id="1", username="2026", name="")
    assert not from_user("2026")(mention(author=digits))
    assert from_user("@2026")(mention(author=digits))


@pytest.mark.parametrize(
    "wrong",
    [
        from_user,
        lambda: from_user("@"),
        hook,
        lambda: hook(""),
        in_conversation,
        lambda: in_conversation(""),
        lang,
        lambda: lang(""),
    ],
)
def test_a_filter_that_could_never_pass_is_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(WiringError, match="needs"):
        wrong()


def test_in_conversation_takes_posts_and_messages() -> None:
    assert in_conversation("44")(mention(conversation_id="44"))
    assert in_conversation("50", "44")(mention())
    assert in_conversation("1-9")(dm())
    assert not in_conversation("44")(mention())


def test_hook_takes_triggers_of_these_names() -> None:
    assert hook("shipped")(SHIPPED)
    assert hook("paid", "shipped")(SHIPPED)
    assert not hook("paid")(SHIPPED)
    assert hook("paid").takes(Trigger)
    assert not hook("paid").takes(Mention)


def test_lang_goes_by_what_x_says() -> None:
    assert lang("de", "en")(mention(lang="en"))
    assert lang("pt-br")(mention(lang="pt-BR"))
    assert not lang("de")(mention(lang="en"))
    assert not lang("de")(mention())


def test_has_media_looks_at_posts_and_messages() -> None:
    assert has_media(mention(media_count=1))
    assert has_media(dm(media=("3_1",)))
    assert not has_media(mention())
    assert not has_media(dm())


def test_is_reply_to_me_goes_by_the_account() -> None:
    assert is_reply_to_me(mention(in_reply_to_user_id="1"))
    assert not is_reply_to_me(mention(in_reply_to_user_id="2"))


@pytest.mark.parametrize(
    ("one", "event"),
    [
        (from_user("ada"), mention()),
        (from_user("9"), dm()),
        (hook("shipped"), SHIPPED),
        (in_conversation("50"), mention()),
        (lang("EN"), mention(lang="en")),
    ],
)
def test_what_passes_is_pinned(one: EventFilter[Any], event: Event) -> None:
    assert one(event)
    assert one.pins
    assert pinned(one, event)


def test_a_filter_says_which_events_it_can_judge() -> None:
    assert contains("x").takes(Mention)
    assert contains("x").takes(DirectMessage)
    assert not contains("x").takes(Tick)
    assert in_conversation("1").takes(PostEvent)
    assert not in_conversation("1").takes(Remind)
    for only_posts in (lang("de"), is_reply_to_me):
        assert only_posts.takes(Mention)
        assert not only_posts.takes(DirectMessage)
    for both in (has_media, from_user("ada")):
        assert both.takes(Mention)
        assert both.takes(DirectMessage)
        assert not both.takes(Tick)
    assert EventFilter(lambda _: True).takes(Tick)
    assert not (contains("x") & EventFilter(lambda _: True)).takes(Tick)
    assert not (EventFilter(lambda _: True) | contains("x")).takes(Tick)
    assert not (~contains("x")).takes(Tick)


def test_a_filter_composes_with_any_function_on_either_side() -> None:
    def short(event: PostEvent) -> bool:
        return len(event.text) < 8

    for both in (contains("hi") & short, short & contains("hi")):
        assert both(mention("hi"))
        assert not both(mention("hi to you all"))
        assert not both(mention("ho"))
    for either in (contains("hi") | short, short | contains("hi")):
        assert either(mention("hi to you all"))
        assert either(mention("ho"))
        assert not either(mention("good morning"))


def test_a_filter_shows_how_it_was_made() -> None:
    one = (contains("a") & ~matches("b")) | command("c", "d") | from_user("e")
    assert repr(one) == "(((contains('a') & ~matches('b')) | command('c', 'd')) | from_user('e'))"
    assert repr(contains("a", case_sensitive=True)) == "contains('a', case_sensitive=True)"
    assert repr(lang("de")) == "lang('de')"
    assert repr(in_conversation("1")) == "in_conversation('1')"
    assert repr(has_media) == "has_media"
    assert "short" in repr(EventFilter(short_text))


def short_text(event: Any) -> bool:
    return len(event.text) < 8


def test_the_words_and_or_and_not_are_refused_because_they_would_drop_a_side() -> None:
    with pytest.raises(TypeError, match=r"contains\('a'\).*& \| ~"):
        bool(contains("a"))


async def anything(event: Event) -> bool:
    return bool(event)


@pytest.mark.parametrize("wrong", [anything, "hello", None])
def test_what_is_no_function_or_has_to_wait_is_no_filter(wrong: Any) -> None:
    with pytest.raises(WiringError, match="filter is a function"):
        EventFilter(wrong)
    with pytest.raises(WiringError, match="filter is a function"):
        contains("a") & wrong


def test_and_provides_what_both_provide() -> None:
    one = command("remind") & matches(r"\d+")
    assert one.provides == (Command, Match)
    found = one.find(dm("!remind 5"))
    assert found is not None
    assert (found[Command].args, found[Match].text) == ("5", "5")
    assert one.find(dm("!remind")) is None
    assert one.find(dm("5")) is None


def test_or_provides_only_what_both_sides_provide() -> None:
    one = matches("a(.)") | (matches("b(.)") & command("x"))
    assert one.provides == (Match,)
    assert one.find(dm("a1")) == {Match: Match(text="a1", groups=("1",), named={})}
    second = one.find(dm("!x b2"))
    assert second is not None
    assert list(second) == [Match]
    assert second[Match][1] == "2"
    assert one.find(dm("c")) is None
    assert (matches("a") | contains("b")).provides == ()
    assert (matches("a") | contains("b")).find(dm("a")) == {}


def test_not_provides_nothing() -> None:
    assert (~matches("a")).provides == ()
    assert (~matches("a")).find(dm("b")) == {}
    assert (~matches("a")).find(dm("a")) is None


def test_two_providers_of_one_type_are_on_record() -> None:
    twice = matches("a") & matches("b")
    assert twice.conflicts == (Match,)
    assert (twice | matches("c")).conflicts == (Match,)
    assert (contains("x") & twice).conflicts == (Match,)
    assert (~twice).conflicts == ()
    assert (matches("a") | matches("b")).conflicts == ()


def test_or_pins_what_either_side_pins_in_the_same_field() -> None:
    one = command("a") | command("b")
    assert pinned(one, dm("!a"))
    assert pinned(one, dm("/b"))
    assert not pinned(one, dm("!c"))
    assert (command("a") | from_user("9")).pins == ()
    assert [pin.values for pin in (command("a") & from_user("9")).pins] == [
        *(pin.values for pin in command("a").pins + from_user("9").pins)
    ]
    assert (~command("a")).pins == ()


def test_the_ready_made_filters_are_selective() -> None:
    assert isinstance(contains("a") & command("b"), Selective)
    assert not isinstance(short_text, Selective)


LEAVES = st.sampled_from(
    [
        contains("a"),
        contains("abc"),
        matches("b"),
        command("a"),
        command("b", "ab"),
        from_user("ada"),
        from_user("12", "ada"),
        in_conversation("50"),
        in_conversation("51"),
        lang("de"),
        is_reply_to_me,
        has_media,
    ]
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.just("&"), inner, inner),
        st.tuples(st.just("|"), inner, inner),
        st.tuples(st.just("~"), inner),
    ),
    max_leaves=8,
)
EVENTS = st.builds(
    mention,
    st.text(alphabet="ab!c ", max_size=6),
    author=st.sampled_from([BOB, User(id="9", username="Ada", name="Ada")]),
    id=st.sampled_from(["50", "51"]),
    lang=st.sampled_from(["de", "en", None]),
    in_reply_to_user_id=st.sampled_from(["1", None]),
    media_count=st.integers(0, 1),
)


def composed(tree: Any) -> EventFilter[Any]:
    if isinstance(tree, EventFilter):
        return tree
    sign, *inner = tree
    parts = [composed(each) for each in inner]
    if sign == "~":
        return ~parts[0]
    return parts[0] & parts[1] if sign == "&" else parts[0] | parts[1]


def judged(tree: Any, event: Event) -> bool:
    if isinstance(tree, EventFilter):
        return tree(event)
    sign, *inner = tree
    answers = [judged(each, event) for each in inner]
    return not answers[0] if sign == "~" else all(answers) if sign == "&" else any(answers)


@given(TREES, EVENTS)
def test_any_composition_means_what_its_parts_mean(tree: Any, event: Mention) -> None:
    whole = composed(tree)
    passes = judged(tree, event)
    assert whole(event) == passes
    if any(pin.decides for pin in whole.pins):
        assert pinned(whole, event) == passes
    found = whole.find(event)
    assert (found is not None) == passes
    if found is not None:
        assert set(found) == set(whole.provides)
        assert all(isinstance(value, wanted) for wanted, value in found.items())
        assert pinned(whole, event)


def test_the_public_names_are_all_there() -> None:
    assert [name for name in filters.__all__ if not hasattr(filters, name)] == []
    assert not contains("x")(seen())
    assert not contains("x")(reply())
