"""Order within a lane, independence between lanes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from botkit.model.events import DirectMessage, Mention, Tick, UnknownEvent
from botkit.model.messages import Message
from botkit.model.posts import Post
from botkit.model.records import InboxItem
from botkit.model.users import User
from botkit.runtime.intake.lanes import Job, Lanes, author_of


def job(seq: int, lane: str = "a", *, account: str = "1", blocked: bool = False) -> Job:
    return Job(seq=seq, account_id=account, key=str(seq), kind="k", lane=lane, blocked=blocked)


def seqs(jobs: list[Job]) -> list[int]:
    return [one.seq for one in jobs]


def test_only_the_first_of_a_lane_is_given_out() -> None:
    lanes = Lanes()
    for one in (first := job(1), job(2), job(3, "b")):
        lanes.put(one)
    assert seqs(lanes.take(10)) == [1, 3]
    assert lanes.ready == 0
    lanes.leave(first)
    assert seqs(lanes.take(10)) == [2]


def test_a_lane_holds_a_job_until_its_last_one_has_left() -> None:
    lanes = Lanes()
    assert not lanes.holds("1", "a")
    lanes.put(first := job(1))
    assert lanes.take(1) == [first]
    assert lanes.holds("1", "a")
    assert not lanes.holds("1", "b")
    assert not lanes.holds("2", "a")
    lanes.leave(first)
    assert not lanes.holds("1", "a")


def test_lanes_of_two_accounts_are_two_lanes() -> None:
    lanes = Lanes()
    lanes.put(job(1, "a", account="1"))
    lanes.put(job(2, "a", account="2"))
    assert seqs(lanes.take(10)) == [1, 2]


def test_no_more_are_given_out_than_asked_for() -> None:
    lanes = Lanes()
    for seq in range(3):
        lanes.put(job(seq, str(seq)))
    assert seqs(lanes.take(0)) == []
    assert seqs(lanes.take(2)) == [0, 1]
    assert seqs(lanes.take(2)) == [2]


def test_one_that_comes_back_stands_before_those_that_arrived_after_it() -> None:
    lanes = Lanes()
    running = job(5)
    for one in (running, job(6), job(8), job(7), job(1)):
        lanes.put(one)
    order = seqs(lanes.take(1))
    current = running
    while list(lanes):
        lanes.leave(current)
        if taken := lanes.take(1):
            current = taken[0]
            order.append(current.seq)
    assert order == [5, 1, 6, 7, 8]


def test_a_blocked_job_holds_its_lane_until_it_is_unblocked() -> None:
    lanes = Lanes()
    blocked = job(1, blocked=True)
    lanes.put(blocked)
    lanes.put(job(2))
    assert lanes.ready == 0
    lanes.unblock(blocked)
    assert seqs(lanes.take(10)) == [1]


def test_a_blocked_job_that_leaves_lets_the_next_one_go() -> None:
    lanes = Lanes()
    blocked = job(1, blocked=True)
    lanes.put(blocked)
    lanes.put(job(2))
    lanes.leave(blocked)
    assert seqs(lanes.take(10)) == [2]


def test_a_job_may_leave_from_the_middle_of_its_lane() -> None:
    lanes = Lanes()
    first, middle = job(1), job(2, blocked=True)
    for one in (first, middle, job(3)):
        lanes.put(one)
    lanes.leave(middle)
    assert seqs(lanes.take(1)) == [1]
    lanes.leave(first)
    assert seqs(lanes.take(1)) == [3]


def test_a_job_unblocked_behind_another_waits_for_its_turn() -> None:
    lanes = Lanes()
    first, second = job(1), job(2, blocked=True)
    lanes.put(first)
    lanes.put(second)
    lanes.unblock(second)
    assert seqs(lanes.take(10)) == [1]
    lanes.leave(first)
    assert seqs(lanes.take(10)) == [2]


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=40))
def test_every_job_comes_out_once_and_in_order_within_its_lane(
    plan: list[tuple[int, bool]],
) -> None:
    lanes = Lanes()
    out: list[Job] = []
    busy: list[Job] = []
    for seq, (lane, go_on) in enumerate(plan):
        lanes.put(job(seq, str(lane)))
        if go_on:
            busy += lanes.take(2)
        if go_on and busy:
            lanes.leave(busy[0])
            out.append(busy.pop(0))
    while True:
        busy += lanes.take(3)
        if not busy:
            break
        lanes.leave(busy[0])
        out.append(busy.pop(0))
    assert sorted(seqs(out)) == list(range(len(plan)))
    for lane in {one.lane for one in out}:
        own = [one.seq for one in out if one.lane == lane]
        assert own == sorted(own)
    assert list(lanes) == []


def suspect(seq: int) -> Job:
    return Job(seq=seq, account_id="1", key=str(seq), kind="k", lane=str(seq), unclean=1)


def test_those_that_are_no_suspects_are_given_out_beside_one_that_is() -> None:
    lanes = Lanes(suspects=1)
    for one in (suspect(1), suspect(2), job(3, "a"), job(4, "b")):
        lanes.put(one)
    taken = lanes.take(10)
    assert seqs(taken) == [1, 3, 4]
    assert lanes.ready == 0
    lanes.leave(taken[1])
    assert lanes.ready == 0


def test_the_next_suspect_is_given_out_when_one_has_left_as_far_as_there_are_slots() -> None:
    lanes = Lanes(suspects=2)
    jobs = [suspect(seq) for seq in range(5)]
    for one in jobs:
        lanes.put(one)
    assert lanes.take(10) == jobs[:2]
    lanes.leave(jobs[0])
    lanes.leave(jobs[1])
    assert lanes.ready == 2
    assert lanes.take(0) == []
    assert lanes.take(1) == [jobs[2]]
    assert lanes.take(9) == [jobs[3]]
    lanes.leave(jobs[3])
    assert lanes.take(9) == [jobs[4]]
    assert lanes.ready == 0


def test_a_suspect_that_leaves_without_having_been_given_out_makes_no_room() -> None:
    lanes = Lanes(suspects=1)
    first, second, third = suspect(1), suspect(2), suspect(3)
    third.blocked = True
    for one in (first, second, third):
        lanes.put(one)
    assert lanes.take(10) == [first]
    lanes.leave(third)
    assert lanes.take(10) == []
    lanes.leave(first)
    assert lanes.take(10) == [second]


def test_owners_take_turns_and_each_keeps_its_order() -> None:
    lanes = Lanes()
    for seq, owner in enumerate("aaaabcb"):
        made = job(seq, lane=str(seq))
        made.owner = owner
        lanes.put(made)
    assert lanes.ready == 7
    assert [each.seq for each in lanes.take(3)] == [0, 4, 5]
    assert lanes.ready == 4
    assert [each.seq for each in lanes.take(9)] == [1, 6, 2, 3]
    assert lanes.ready == 0


def test_an_event_from_the_store_is_due_when_it_was_set_for_or_else_when_it_happened() -> None:
    at = datetime(2026, 11, 30, tzinfo=UTC)
    item = InboxItem(seq=1, account_id="1", key="k", kind="tick", lane="l", body=b"", at=at)
    assert Job.from_item(item).due == at
    later = at + timedelta(hours=1)
    assert Job.from_item(structs.replace(item, not_before=later)).due == later


def test_the_author_of_an_event_is_who_caused_it() -> None:
    at = datetime(2026, 11, 30, tzinfo=UTC)
    ada = User(id="7", username="ada", name="Ada")
    sent = Message(id="9", conversation_id="1-7", text="hi", sender_id="7")
    post = Post(id="8", text="hi")
    assert author_of(Mention(account_id="1", at=at, post=post, author=ada)) == "7"
    assert author_of(DirectMessage(account_id="1", at=at, message=sent, sender=ada)) == "7"
    follow = UnknownEvent(account_id="1", at=at, kind="follow.follow", actor_id="7")
    assert author_of(follow) == "7"
    assert author_of(Tick(account_id="1", at=at, schedule="morning")) == ""
    assert author_of(None) == ""
