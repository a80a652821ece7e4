"""One owner's events fill their share of the memory, and none overtakes another in its lane."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from botkit.model.records import InboxItem
from botkit.runtime.dispatch.shares import Shares
from botkit.runtime.intake.lanes import Job

AT = datetime(2025, 12, 11, tzinfo=UTC)


def item(seq: int, lane: str = "") -> InboxItem:
    return InboxItem(
        seq=seq, account_id="1", key=str(seq), kind="k", lane=lane or str(seq), body=b"", at=AT
    )


def job(seq: int, lane: str = "", owner: str = "a", **more: Any) -> Job:
    made = Job.from_item(item(seq, lane))
    made.owner = owner
    for name, value in more.items():
        setattr(made, name, value)
    return made


def shares(most: int = 4) -> Shares:
    return Shares(most, lambda each: each.owner)


def full(most: int = 4, left: int = 4) -> Shares:
    """Four events of the owner are held, four were left."""
    on = shares(most)
    assert [on.admit(job(seq)) for seq in range(1, most + 1)] == [True] * most
    assert not any(on.admit(job(seq)) for seq in range(most + 1, most + left + 1))
    return on


def test_what_is_above_the_share_is_left_and_others_are_held() -> None:
    on = full()
    assert on.left == 4
    assert on.is_left(5)
    assert not on.is_left(4)
    assert on.admit(job(9, owner="b"))


def test_behind_an_event_that_was_left_its_lane_is_left_whoever_wrote() -> None:
    on = full()
    assert on.holds_back("1", "5")
    assert not on.admit(job(9, lane="5", owner="b"))
    assert on.left == 5


def test_what_is_about_to_run_is_held_always() -> None:
    on = full()
    assert on.admit(job(9, marked=True))


def test_at_half_the_share_others_are_read_from_the_first_that_was_left() -> None:
    on = full()
    assert not on.release(1)
    assert on.next() is None
    assert on.release(2)
    assert on.next() == ("a", 4)
    page = [item(seq) for seq in range(5, 9)]
    taken = on.take_back("a", page, is_last=True, room=10)
    assert [each.seq for each in taken] == [5, 6]
    assert on.next() is None
    assert on.left == 2


def test_a_page_that_was_taken_whole_is_read_no_more() -> None:
    on = full()
    for seq in range(1, 5):
        on.release(seq)
    taken = on.take_back("a", [item(5), item(6), item(7)], is_last=False, room=10)
    assert [each.seq for each in taken] == [5, 6, 7]
    assert on.left == 1
    assert on.next() == ("a", 7)


def test_a_memory_that_is_full_takes_back_what_fits() -> None:
    on = full()
    on.release(1)
    on.release(2)
    taken = on.take_back("a", [item(5), item(6)], is_last=False, room=1)
    assert [each.seq for each in taken] == [5]
    assert on.next() == ("a", 5)


def test_what_is_not_due_any_more_is_left_no_more() -> None:
    on = full()
    on.release(1)
    on.release(2)
    assert on.take_back("a", [item(3), item(7, lane="x")], is_last=False, room=10) == [
        item(7, lane="x")
    ]
    assert not on.is_left(5)
    assert on.is_left(8)
    assert on.take_back("a", [], is_last=True, room=10) == []
    assert on.left == 0
    assert not on.holds_back("1", "8")
    assert on.next() is None


def test_an_owner_without_events_is_forgotten() -> None:
    on = shares()
    on.admit(job(1))
    assert not on.release(1)
    assert not on.release(1)
    assert on.admit(job(2))


def test_an_event_of_an_earlier_number_that_became_due_is_read_first() -> None:
    on = full()
    assert not on.admit(job(0))
    on.release(1)
    on.release(2)
    assert on.next() == ("a", -1)


def test_only_the_lanes_of_the_owner_are_free_again() -> None:
    on = full(left=1)
    for seq in range(11, 16):
        on.admit(job(seq, owner="b"))
    on.release(1)
    on.release(2)
    on.take_back("a", [item(5)], is_last=True, room=10)
    assert not on.holds_back("1", "5")
    assert on.holds_back("1", "15")
