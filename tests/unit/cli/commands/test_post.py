"""`botkit post`: sent from here without a bot, queued beside one, and never twice."""

from __future__ import annotations

import asyncio
import io
import json
import re
import sys
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from botkit.config import load_settings
from botkit.leases.owner import this_process
from botkit.model.records import DeadLetter, RunDead, RunParked
from botkit.storage import open_store
from botkit.system import SystemClock, SystemEntropy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from botkit.ports import Store
    from tests.unit.cli.conftest import Desk

URL = re.compile(r"https://x\.com/greeter/status/([0-9]+)\n")


def posts(desk: Desk) -> list[str]:
    return [post.written for post in desk.world.posts_by(desk.user.id)]


@pytest.fixture(autouse=True)
def _fresh(desk: Desk) -> Iterator[None]:
    desk.log_in()
    yield
    desk.faults.clear()


def in_store(work: Callable[[Store], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        settings = await asyncio.to_thread(load_settings)
        async with open_store(settings.store_url, clock=SystemClock()) as store:
            return await work(store)

    return asyncio.run(run())


@contextmanager
def a_bot_that_runs() -> Iterator[None]:
    """Hold the runner's lease, as a process that lives and handles nothing."""
    held, over = threading.Event(), threading.Event()

    owner = this_process(SystemEntropy())

    async def hold(store: Store) -> None:
        fence = await store.leases.acquire("runner", owner, ttl=timedelta(minutes=5))
        assert fence is not None
        held.set()
        await asyncio.to_thread(over.wait)
        await store.leases.release(fence)

    thread = threading.Thread(target=in_store, args=[hold])
    thread.start()
    assert held.wait(20)
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_without_a_bot_it_is_posted_from_here(desk: Desk) -> None:
    assert desk.top("post", "Alone one.") == 0
    found = URL.fullmatch(desk.out)
    assert found is not None
    assert desk.world.posts[found[1]].written == "Alone one."
    assert in_store(lambda store: store.leases.holder("runner")) is None


def test_json_tells_id_and_state(desk: Desk) -> None:
    assert desk.top("post", "As JSON.", "--json", "--id", "j1") == 0
    told = json.loads(desk.out)
    assert told == {
        "event": "post_request/j1",
        "state": "sent",
        "id": told["id"],
        "url": f"https://x.com/greeter/status/{told['id']}",
        "why": "",
    }


def test_the_same_id_again_posts_nothing_and_tells_the_same(desk: Desk) -> None:
    assert desk.top("post", "Once.", "--id", "a") == 0
    first = desk.out
    assert desk.top("post", "Once.", "--id", "a") == 0
    assert desk.out == first
    assert posts(desk).count("Once.") == 1
    assert desk.top("post", "Other.", "--id", "a") == 2
    assert "Another post was asked for" in desk.err


def test_the_same_text_within_a_day_is_refused_by_the_guard(desk: Desk) -> None:
    assert desk.top("post", "Twice.") == 0
    assert desk.top("post", "Twice.") == 3
    assert desk.out.startswith("post_request/")
    assert "refused: DuplicateText" in desk.err
    assert posts(desk).count("Twice.") == 1


def test_a_summoned_reply_is_sent_and_another_one_is_refused(desk: Desk) -> None:
    ada = desk.world.find_user("ada") or desk.world.add_user("ada")
    asked = desk.world.add_post(ada.id, "@greeter are you open?")
    other = desk.world.add_post(ada.id, "Nice weather.")
    assert desk.top("post", "We are.", "--reply-to", asked.id) == 0
    assert [post.written for post in desk.world.replies_to(ada.id)][-1] == "We are."
    assert desk.top("post", "It is.", "--reply-to", other.id) == 3
    assert "NotSummoned" in desk.err
    assert desk.top("post", "Hello?", "--reply-to", "1") == 3
    assert "NotFound" in desk.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["  "], 3, "empty"),
        (["x" * 281], 3, "280"),
        (["", "--reply-to", "1"], 3, "empty"),
        (["a", "--reply-to", "https://x.com/a/status/1"], 2, "--reply-to takes the digits"),
        (["a", "--at", "tomorrow"], 2, "2026-12-24T18:00:00+01:00"),
        (["a", "--at", "2026-12-24T18:00:00"], 2, "needs a zone"),
        (["a", "--id", "a/b"], 2, "--id takes a short name"),
        (["a", "--account", "nobody"], 2, "no account 'nobody'"),
    ],
)
def test_what_cannot_be_posted_is_said_before_anything_is_recorded(
    desk: Desk, words: list[str], code: int, said: str
) -> None:
    assert desk.top("post", *words) == code
    assert said in desk.err
    assert in_store(lambda store: store.events.listing()) == []


def test_the_text_may_come_from_stdin(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Grüße.\n".encode())))
    assert desk.top("post", "-") == 0
    assert posts(desk)[-1] == "Grüße."
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    assert desk.top("post", "-") == 2


def test_beside_a_running_bot_it_is_queued_for_it(desk: Desk) -> None:
    with a_bot_that_runs():
        assert desk.top("post", "For the bot.", "--id", "b", "--wait", "0") == 0
        assert (desk.out, desk.err) == ("post_request/b\n", "post    queued\n")
        assert desk.top("post", "For the bot.", "--id", "b", "--wait", "0.3") == 1
        assert desk.err == "post    queued\n"
    assert "For the bot." not in posts(desk)
    assert desk.top("post", "After it ended.") == 0
    assert posts(desk)[-2:] == ["For the bot.", "After it ended."]


def test_for_later_it_waits_in_the_store_for_a_bot_or_the_next_post(desk: Desk) -> None:
    later = (SystemClock().now() + timedelta(seconds=1.5)).isoformat()
    assert desk.top("post", "Later.", "--at", later, "--id", "l") == 0
    assert desk.out == "post_request/l\n"
    assert "no bot runs on this store" in desk.err
    assert "Later." not in posts(desk)
    asyncio.run(asyncio.sleep(1.6))  # noqa: TID251 - the command goes by the machine's clock
    assert desk.top("post", "Now.") == 0
    assert posts(desk)[-2:] == ["Later.", "Now."]


@pytest.mark.slow
def test_a_full_rate_window_puts_it_off_until_it_opens(desk: Desk) -> None:
    desk.faults.rate_limit("POST /2/tweets", reset_in_s=7)
    assert desk.top("post", "Slowly.", "--id", "s", "--wait", "0.5") == 1
    assert "rate window" in desk.err
    assert desk.top("post", "Slowly.", "--id", "s", "--wait", "25") == 0
    assert posts(desk)[-1] == "Slowly."


@pytest.mark.slow
def test_a_lost_answer_is_looked_for_on_x_and_nothing_is_posted_twice(desk: Desk) -> None:
    desk.faults.lose_answer("POST /2/tweets")
    assert desk.top("post", "Lost.", "--id", "u", "--wait", "1") == 1
    assert "its own outcome" in desk.err
    assert desk.top("post", "Lost.", "--id", "u", "--wait", "25") == 0
    found = URL.fullmatch(desk.out)
    assert found is not None
    assert desk.world.posts[found[1]].written == "Lost."
    assert posts(desk).count("Lost.") == 1


def test_a_dead_login_is_for_a_person_and_once_it_works_the_same_is_sent(desk: Desk) -> None:
    desk.faults.revoke("greeter")
    assert desk.top("post", "After login.", "--id", "r", "--wait", "20") == 2
    assert "a login that works" in desk.err
    desk.log_in()
    assert desk.top("post", "After login.", "--id", "r") == 0
    assert posts(desk)[-1] == "After login."


@pytest.mark.parametrize(
    ("cause", "code", "said"),
    [
        ("account", 2, "which X has stopped"),
        ("budget", 3, "the budget"),
        ("rate", 1, "rate window"),
        ("network", 4, "cannot be reached"),
        ("write/1", 1, "its own outcome"),
        ("something", 1, "something"),
    ],
)
def test_what_it_waits_for_gives_the_exit_code(
    desk: Desk, cause: str, code: int, said: str
) -> None:
    with a_bot_that_runs():
        desk.top("post", "Waits.", "--id", "w", "--wait", "0")

        async def park(store: Store) -> None:
            (event,) = await store.events.listing()
            fence = await store.leases.acquire("test", "me", ttl=timedelta(minutes=1))
            assert fence is not None
            await store.events.settle(
                [RunParked(seq=event.seq, waiting_for=cause, until=None)], fence=fence
            )

        in_store(park)
        assert desk.top("post", "Waits.", "--id", "w", "--wait", "0.1") == code
        assert said in desk.err


def test_an_event_that_was_dropped_or_given_up_is_told(desk: Desk) -> None:
    with a_bot_that_runs():
        desk.top("post", "Dropped.", "--id", "d", "--wait", "0")
        in_store(lambda store: store.events.drop(desk.user.id, "post_request/d", "by hand"))
        assert desk.top("post", "Dropped.", "--id", "d") == 1
    assert desk.err == "post    dropped: by hand\n"


def test_a_failing_handler_gives_it_up_after_three_tries(desk: Desk) -> None:
    with a_bot_that_runs():
        desk.top("post", "Given up.", "--id", "g", "--wait", "0")

        async def bury(store: Store) -> None:
            (event,) = await store.events.listing()
            fence = await store.leases.acquire("test", "me", ttl=timedelta(minutes=1))
            assert fence is not None
            letter = DeadLetter(
                account_id=event.account_id,
                key=event.key,
                kind=event.kind,
                reason="failed",
                error="ValueError: odd",
                trace="",
                handler="botkit/posts",
                attempts=3,
                at=event.at,
            )
            await store.events.settle([RunDead(seq=event.seq, letter=letter)], fence=fence)

        in_store(bury)
        assert desk.top("post", "Given up.", "--id", "g") == 1
    assert desk.err == "post    given up: failed: ValueError: odd\n"


def test_before_setup_the_way_on_is_told(desk: Desk) -> None:
    desk.move_to(desk.folder.parent / "elsewhere")
    assert desk.top("post", "a") == 2
    assert "botkit setup" in desk.err
