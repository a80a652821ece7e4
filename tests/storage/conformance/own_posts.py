"""The posts that no write on record made, and the shapes of the author's state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from botkit.errors import LeaseLost
from botkit.model.records import (
    Fence,
    OwnPost,
    RunDone,
    StateChange,
    WriteMove,
    WriteState,
)
from tests.storage.conformance.bench import ME, T0, Suite, event, forget, lease, raised, write

if TYPE_CHECKING:
    from botkit.ports import Store

__all__ = ["OwnPostsConformance"]

LOST = Fence("runner", "tester", 99)
POST = OwnPost(account_id=ME, post_id="20", target="7", body=b'{"id":"20"}', at=T0)


class OwnPostsConformance(Suite):
    """`store.own_posts`, and `store.states` as a start looks at it."""

    async def test_strange_posts_are_found_by_what_they_answer(self, store: Store) -> None:
        fence = await lease(store)
        later = replace(POST, post_id="30")
        plain = replace(POST, post_id="25", target="")
        other = replace(POST, account_id="43", post_id="99")
        await store.own_posts.keep([later, POST, plain, other], fence=fence)
        await store.own_posts.keep([replace(POST, body=b"{}")], fence=fence)  # it stays as it is
        assert await store.own_posts.to(ME, "7") == [POST, later]
        assert await store.own_posts.to(ME, "") == [plain]
        assert await store.own_posts.to(ME, "8") == []
        assert (
            await store.own_posts.count(ME),
            await store.own_posts.count("43"),
            await store.own_posts.count("44"),
        ) == (
            3,
            1,
            0,
        )
        await raised(LeaseLost, store.own_posts.keep([POST], fence=LOST))

    async def test_the_newest_post_is_the_one_with_the_greatest_number(self, store: Store) -> None:
        fence = await lease(store)
        assert await store.own_posts.newest(ME) == ""
        for name, operation, result_id in (
            ("a", "createPosts", "9"),
            ("b", "createPosts", "10"),
            ("c", "createDirectMessagesByParticipantId", "11"),
        ):
            await store.writes.begin(write(name, operation=operation), now=T0, fence=fence)
            sure = WriteMove(to=WriteState.CONFIRMED, result_id=result_id, result=b"{}")
            await store.writes.move(name, sure, now=T0, fence=fence)
        assert await store.own_posts.newest(ME) == "10"
        await store.own_posts.keep([POST], fence=fence)
        assert await store.own_posts.newest(ME) == "20"
        message = replace(POST, post_id="40", target="dm/7-42")
        await store.own_posts.keep([message], fence=fence)
        assert await store.own_posts.newest(ME) == "20"
        assert await store.own_posts.newest("43") == ""

    async def test_the_answers_to_a_post_are_those_of_confirmed_writes(self, store: Store) -> None:
        fence = await lease(store)
        for name, result_id in (("a", "9"), ("b", ""), ("c", "11")):
            await store.writes.begin(write(name, target="7"), now=T0, fence=fence)
            if result_id:
                sure = WriteMove(to=WriteState.CONFIRMED, result_id=result_id, result=b"{}")
                await store.writes.move(name, sure, now=T0, fence=fence)
        assert await store.own_posts.answers(ME, "7") == ["9", "11"]
        assert await store.own_posts.answers(ME, "8") == []
        assert await store.own_posts.answers("43", "7") == []

    async def test_a_write_takes_a_strange_post_for_its_result(self, store: Store) -> None:
        fence = await lease(store)
        await store.own_posts.keep([POST], fence=fence)
        await raised(LeaseLost, store.own_posts.adopt(write("a"), POST, now=T0, fence=LOST))
        for _ in range(2):
            found = await store.own_posts.adopt(write("a"), POST, now=T0, fence=fence)
            assert (found.state, found.result_id, found.result) == (
                WriteState.CONFIRMED,
                "20",
                POST.body,
            )
            assert (found.attempts, found.fresh, await store.own_posts.count(ME)) == ((), False, 0)
        assert await store.writes.owner_of(ME, "20") == "a"

    async def test_a_write_that_waits_takes_it_and_one_that_was_sent_does_not(
        self, store: Store
    ) -> None:
        fence = await lease(store)
        for state in (WriteState.QUEUED, WriteState.REJECTED):
            new = write(state.value)
            await store.writes.put_aside(new, state, reason="x", now=T0, fence=fence)
            await store.own_posts.adopt(new, POST, now=T0, fence=fence)
        waited = await store.writes.get("QUEUED")
        refused = await store.writes.get("REJECTED")
        assert waited is not None
        assert refused is not None
        assert (waited.state, waited.result_id, waited.reason) == (WriteState.CONFIRMED, "20", "")
        assert (refused.state, refused.result_id) == (WriteState.REJECTED, "")

    async def test_strange_posts_are_forgotten_with_the_writes(self, store: Store) -> None:
        fence = await lease(store)
        await store.own_posts.keep([POST], fence=fence)
        assert (await forget(store, writes=T0))["own_posts"] == 0
        assert (await forget(store, writes=POST.at.replace(year=POST.at.year + 1)))[
            "own_posts"
        ] == 1

    async def test_the_scopes_of_state_and_some_values_of_each(self, store: Store) -> None:
        fence = await lease(store)
        assert await store.states.scopes() == []
        (seq,) = await store.events.append([event()])
        assert seq is not None
        changes = tuple(
            StateChange(scope=scope, key=key, value=f'"{key}"'.encode(), expected_rev=0)
            for scope, key in (("user/B", "1"), ("bot/A", "1"), ("user/B", "2"))
        )
        await store.events.settle([RunDone(seq=seq, changes=changes)], fence=fence)
        assert await store.states.scopes() == ["bot/A", "user/B"]
        assert sorted(await store.states.sample("user/B", limit=9)) == [b'"1"', b'"2"']
        assert len(await store.states.sample("user/B", limit=1)) == 1
