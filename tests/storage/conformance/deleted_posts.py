"""What is left of a post that was deleted: what proves that it was handled, and no content."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from botkit.model.events import Mention, PostMatched, PostSeen
from botkit.model.posts import Post
from botkit.model.records import EventState, MemoKey, OwnPost, RunDead, WriteMove, WriteState
from botkit.model.triggers import PostRequest
from botkit.model.users import User
from botkit.protocol.events.codec import encode_event
from tests.storage.conformance.bench import ME, T0, Suite, done, event, lease, letter, write

if TYPE_CHECKING:
    from botkit.model.events import XEvent
    from botkit.model.records import NewEvent
    from botkit.ports import Store

__all__ = ["DeletedPostsConformance"]

SAID = Post(id="7", text="hunter2", author_id=ME, links=("https://hunter2.example",))
WHOLE = {"account_id": ME, "at": T0, "post": SAID}
NAMED = User(id=ME, username="hunter2", name="hunter2")


class DeletedPostsConformance(Suite):
    """`store.events.forget_post`."""

    async def test_what_waits_for_a_deleted_post_ends_and_its_content_goes(
        self, store: Store
    ) -> None:
        fence = await lease(store)
        seen, match = PostSeen(**WHOLE, author=NAMED), PostMatched(**WHOLE, author=NAMED, tag="t")
        other = Mention(**WHOLE | {"post": Post(id="70", text="stays")}, author=NAMED)
        await store.events.append([_row(seen), _row(match), _row(other)])
        memo = MemoKey(account_id=ME, event_key=seen.key, run=0, handler="h", name="model")
        await store.events.mark_running([2], fence=fence)
        await store.states.keep(memo, b'"hunter2"', fence=fence)

        forgotten = await store.events.forget_post(ME, "7", fence=fence)

        assert forgotten.ended == ("post/7/0",)
        (ended,), (running,) = [await store.events.get(one.key) for one in (seen, match)]
        assert (ended.state, ended.note) == (EventState.DROPPED, "its post was deleted")
        assert running.state is EventState.WAITING
        assert b"hunter2" not in ended.body + running.body
        kept = msgspec.json.decode(running.body)
        assert kept["post"]["id"] == "7"
        assert (kept["author"]["id"], kept["tag"]) == (ME, "t")
        assert await store.states.memo(memo) is None
        (untouched,) = await store.events.get(other.key)
        assert (untouched.state, untouched.body) == (EventState.WAITING, _row(other).body)
        assert (await store.events.counts())["dropped"] == 1
        # Delivered once more it is known, and the deletion once more changes nothing.
        assert await store.events.append([_row(seen)]) == [None]
        assert (await store.events.forget_post(ME, "7", fence=fence)).ended == ()

    async def test_a_dead_letter_of_a_deleted_post_goes_and_a_done_event_stays_done(
        self, store: Store
    ) -> None:
        fence = await lease(store)
        await store.events.append([event("post/7/0"), event("post/7/1"), event("match/70/0/t")])
        dead, kept, _ = (await store.events.due(T0)).items
        await store.events.settle([RunDead(seq=dead.seq, letter=letter(dead))], fence=fence)
        await store.events.settle([done(kept)], fence=fence)
        assert (await store.events.forget_post(ME, "7", fence=fence)).ended == ("post/7/0",)
        assert await store.events.dead() == []
        (was_done,) = await store.events.get("post/7/1")
        assert (was_done.state, was_done.body) == (EventState.DONE, b"null")
        counts = await store.events.counts()
        assert (counts["dead"], counts["done"], counts["dropped"]) == (0, 1, 1)

    async def test_answers_that_wait_are_dropped_and_the_posts_own_write_keeps_its_id_alone(
        self, store: Store
    ) -> None:
        fence = await lease(store)
        request = PostRequest(account_id=ME, at=T0, id="r", text="hunter2", reply_to="5")
        await store.events.append([_row(request)])
        made = write("step/1", target="5", text="hunter2", body=b"hunter2", event_key=request.key)
        answer, sent = write("step/2", target="7"), write("step/3", target="7")
        for row in (made, answer, sent):
            await store.writes.begin(row, now=T0, fence=fence)
        result = msgspec.json.encode(SAID)
        sure = WriteMove(to=WriteState.CONFIRMED, result_id="7", result=result)
        await store.writes.move("step/1", sure, now=T0)
        await store.writes.move("step/2", WriteMove(to=WriteState.QUEUED, reason="rate"), now=T0)
        own = OwnPost(account_id=ME, post_id="7", target="5", body=result, at=T0)
        await store.own_posts.keep([own], fence=fence)

        forgotten = await store.events.forget_post(ME, "7", fence=fence)

        assert forgotten.dropped_writes == ("step/2",)
        first, second, third = [await store.writes.get(f"step/{n}") for n in (1, 2, 3)]
        assert first is not None
        assert second is not None
        assert third is not None
        assert (first.state, first.result_id, first.text) == (WriteState.CONFIRMED, "7", "")
        (kept,) = await store.own_posts.to(ME, "5")
        (asked,) = await store.events.get(request.key)
        assert b"hunter2" not in first.body + (first.result or b"") + kept.body + asked.body
        assert msgspec.json.decode(first.result or b"", type=Post).id == "7"
        assert second.state is WriteState.EXPIRED
        assert second.reason == "the post that it answers was deleted"
        assert third.state is WriteState.SENDING


def _row(told: XEvent) -> NewEvent:
    kind, body = encode_event(told)
    return event(told.key, kind=kind, body=body)
