from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from botkit.filters import EventFilter, command, contains, from_user
from botkit.ports.matching import Pin
from botkit.routing.index import Index
from tests.unit.routing.samples import dm


class Entry(Struct, frozen=True, kw_only=True):
    position: int
    pins: tuple[Pin, ...]
    passes: Any


def entries(*filters: EventFilter[Any]) -> list[Entry]:
    return [
        Entry(position=position, pins=each.pins, passes=each)
        for position, each in enumerate(filters)
    ]


def asked(index: Index[Entry], text: str) -> list[int]:
    return [entry.position for entry in index.lookup(dm(text))]


ANY: EventFilter[Any] = EventFilter(lambda _: True)


def test_only_what_can_match_is_asked() -> None:
    index = Index(entries(*(command(f"c{n}") for n in range(1000))))
    assert asked(index, "!c7") == [7]
    assert asked(index, "c7") == []


def test_what_pins_nothing_is_always_asked_and_order_is_kept() -> None:
    index = Index(entries(ANY, command("a"), ANY, command("b"), command("a")))
    assert asked(index, "!a") == [0, 1, 2, 4]
    assert asked(index, "!b") == [0, 2, 3]
    assert asked(index, "a") == [0, 2]


def test_hits_in_several_fields_come_in_order_of_registration() -> None:
    index = Index(entries(from_user("9"), command("a"), from_user("ada", "9"), command("a")))
    assert asked(index, "!a") == [0, 1, 2, 3]
    assert asked(index, "hi") == [0, 2]


def test_a_few_texts_are_asked_and_many_are_looked_up() -> None:
    few = Index(entries(*(contains(f"word{n}") for n in range(5))))
    assert asked(few, "nothing of it") == [0, 1, 2, 3, 4]
    many = Index(entries(*(contains(f"{n:03d}word") for n in range(200))))
    assert asked(many, "nothing of it") == []
    assert asked(many, "say 123word") == [123]
    assert asked(many, "SAY 123WORD") == [123]


def test_a_cheap_field_goes_before_a_dear_one() -> None:
    pinned_twice = [contains(f"{n:03d}word") & command("a") for n in range(50)]
    index = Index(entries(*pinned_twice))
    assert asked(index, "!b 001word") == []
    assert asked(index, "!a") == list(range(50))


def test_of_many_pins_the_one_that_fewest_share_is_taken() -> None:
    index = Index(entries(*(contains(f"common {n:02d}x") for n in range(99))))
    assert asked(index, "common 07x") == [7]


TEXTS = st.text(alphabet="abc!", min_size=1, max_size=5)


@given(
    st.lists(
        st.one_of(
            st.builds(contains, TEXTS),
            st.builds(command, st.sampled_from("abc"), st.sampled_from("abc")),
            st.just(from_user("ada")),
            st.just(from_user("bob")),
            st.just(ANY),
        ),
        max_size=60,
    ),
    st.text(alphabet="abc! ", max_size=12),
)
def test_the_index_leaves_out_only_what_would_not_have_passed(
    filters: list[EventFilter[Any]], text: str
) -> None:
    index = Index(entries(*filters))
    positions = asked(index, text)
    assert positions == sorted(set(positions))
    passing = [n for n, each in enumerate(filters) if each(dm(text))]
    assert set(passing) <= set(positions)
