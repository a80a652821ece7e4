"""Many due times in one heap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from botkit.client.refresh.timer_heap import TimerHeap


def test_the_earliest_comes_first_and_each_thing_once() -> None:
    heap: TimerHeap[str] = TimerHeap()
    assert heap.next_s() is None
    assert heap.take(100, 9) == []
    assert heap.set("late", 50)
    assert heap.set("early", 10)
    assert not heap.set("middle", 20)
    assert heap.next_s() == 10
    assert heap.take(9, 9) == []
    assert heap.take(100, 0) == []
    assert heap.take(100, 2) == ["early", "middle"]
    assert heap.take(100, 2) == ["late"]
    assert heap.take(100, 2) == []


def test_a_thing_counts_at_the_time_it_was_set_to_last() -> None:
    heap: TimerHeap[str] = TimerHeap()
    heap.set("a", 10)
    heap.set("a", 30)
    heap.set("b", 20)
    assert heap.take(100, 9) == ["b", "a"]
    heap.set("a", 10)
    heap.set("a", None)
    assert heap.next_s() is None


@given(st.lists(st.tuples(st.integers(0, 9), st.one_of(st.none(), st.integers(0, 99)))))
def test_it_gives_what_a_dict_would(moves: list[tuple[int, int | None]]) -> None:
    heap: TimerHeap[int] = TimerHeap()
    plain: dict[int, int] = {}
    for thing, due_s in moves:
        heap.set(thing, due_s)
        if due_s is None:
            plain.pop(thing, None)
        else:
            plain[thing] = due_s
    came = heap.take(1000, 99)
    assert sorted(came) == sorted(plain)
    assert [plain[thing] for thing in came] == sorted(plain.values())


def test_old_entries_do_not_pile_up() -> None:
    heap: TimerHeap[str] = TimerHeap()
    for due_s in range(10_000):
        heap.set("a", due_s)
    assert len(heap._heap) < 100
    assert heap.take(20_000, 9) == ["a"]
