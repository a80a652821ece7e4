"""Posts and users are looked up through the sender; users are kept a day."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from botkit.client.api.reader import AccountReader, CachedReader
from botkit.errors import Forbidden, NotFound, Parked, ServerError, TransportError
from botkit.model.users import User
from botkit.protocol.api.responses import Response, read_response
from botkit.sandbox.harness.clock import SeededEntropy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from botkit.protocol.api.requests import Request
    from tests.unit.client.fakes import World

ADA = {"id": "7", "username": "ada", "name": "Ada"}


class Sender:
    """Users 1 to 500 and 7 exist; `faults` come first."""

    def __init__(self) -> None:
        self.sent: list[Request] = []
        self.faults: list[Exception] = []
        self.post: Any = {"id": "1", "text": "hi"}
        self.booked: list[int] = []

    async def book(self) -> None:
        self.booked.append(len(self.sent))

    async def send(self, request: Request, *, account_id: str = "") -> Response:
        assert account_id == "1999"
        self.sent.append(request)
        if self.faults:
            raise self.faults.pop(0)
        query = dict(request.query)
        if request.operation == "getPostsById":
            return Response(status=200, data=self.post)
        wanted = (query.get("ids") or query["usernames"]).split(",")
        if "usernames" in query:
            data = [ADA for name in wanted if name.lower() == "ada"]
        else:
            data = [
                {"id": i, "username": f"u{i}", "name": f"U{i}"} for i in wanted if int(i) <= 500
            ]
        if not data:
            raise NotFound("gone", request=request.name, status=200)
        return Response(status=200, data=data)


async def allow_all(account_id: str, cost_usd: Decimal) -> None:
    """There is money for everything."""


def reader_in(
    world: World, allow: Callable[[str, Decimal], Awaitable[None]] = allow_all
) -> tuple[CachedReader, Sender]:
    sender = Sender()
    store = type("Store", (), {"accounts": world.accounts})()
    reader = CachedReader(
        sender,  # type: ignore[arg-type]
        store,
        clock=world.clock,
        entropy=world.entropy,
        allow=allow,
        booked=sender.book,
    )
    return reader, sender


async def test_users_are_asked_for_once_a_day(world: World) -> None:
    reader, sender = reader_in(world)
    me = reader.for_account("1999")
    assert (await me.user("7")).username == "u7"
    assert (await me.user("7")).name == "U7"
    assert len(sender.sent) == 1
    await world.clock.advance(timedelta(hours=25))
    await me.user("7")
    assert len(sender.sent) == 2


async def test_a_user_is_kept_for_24_hours_and_not_a_second_longer(world: World) -> None:
    reader, sender = reader_in(world)
    me = reader.for_account("1999")
    await me.user("7")
    await world.clock.advance(timedelta(hours=24) - timedelta(seconds=1))
    await me.user("7")
    assert len(sender.sent) == 1
    await world.clock.advance(2.0)
    await me.user("7")
    assert len(sender.sent) == 2


async def test_only_unknown_users_are_asked_for_a_hundred_in_a_call(world: World) -> None:
    reader, sender = reader_in(world)
    await reader.users(["1", "2"], account_id="1999")
    ids = [str(number) for number in range(1, 251)]
    found = await reader.users([*ids, *ids], account_id="1999")
    assert list(found) == ids
    assert [request.resources for request in sender.sent] == [2, 100, 100, 48]


async def test_users_that_do_not_exist_are_left_out_and_one_alone_is_not_found(
    world: World,
) -> None:
    reader, _ = reader_in(world)
    assert set(await reader.users(["7", "900"], account_id="1999")) == {"7"}
    assert await reader.users(["900"], account_id="1999") == {}
    assert await reader.users([], account_id="1999") == {}
    with pytest.raises(NotFound):
        await reader.for_account("1999").user("900")


@pytest.mark.parametrize("name", ["ada", "@ada", "ADA"])
async def test_a_user_may_be_named(world: World, name: str) -> None:
    reader, sender = reader_in(world)
    me = reader.for_account("1999")
    assert (await me.user(name)).id == "7"
    assert dict(sender.sent[0].query)["usernames"] == name.removeprefix("@")
    assert (await me.user("7")).username == "ada"
    assert len(sender.sent) == 1
    with pytest.raises(NotFound, match="@bob"):
        await me.user("bob")
    with pytest.raises(NotFound, match="@\u0663"):  # a digit, but none of an id
        await me.user("\u0663")
    with pytest.raises(TypeError, match="takes an id or a username, not 7"):
        await me.user(7)  # type: ignore[arg-type]  # an author's mistake


async def test_users_that_came_along_are_kept(world: World) -> None:
    reader, sender = reader_in(world)
    await reader.learn([User(id="7", username="ada", name="Ada", automated=True)])
    await reader.learn([])
    assert (await reader.for_account("1999").user("7")).automated
    assert sender.sent == []


async def test_what_fetched_users_cost_is_stored_before_they_are_cached(world: World) -> None:
    reader, sender = reader_in(world)
    world.broken.add("accounts.cache_users")
    await reader.for_account("1999").user("7")
    assert sender.booked == [1]
    await reader.for_account("1999").post("1")
    assert sender.booked == [1]


async def test_a_cache_that_cannot_be_written_does_not_lose_the_answer(world: World) -> None:
    reader, _ = reader_in(world)
    world.broken.add("accounts.cache_users")
    assert (await reader.for_account("1999").user("7")).id == "7"


async def test_a_post_is_read_and_one_that_is_not_there_is_not_found(world: World) -> None:
    reader, sender = reader_in(world)
    me = reader.for_account("1999")
    assert (await me.post("1")).text == "hi"
    sender.post = None
    with pytest.raises(NotFound):
        await me.post("1")


async def test_a_read_that_breaks_is_tried_again_and_then_given_up(world: World) -> None:
    reader, sender = reader_in(world)
    me = reader.for_account("1999")
    sender.faults = [TransportError("reset"), ServerError("oops", status=503)]
    reading = asyncio.get_running_loop().create_task(me.post("1"))
    await world.clock.advance(4.0)
    assert (await reading).id == "1"
    sender.faults = [TransportError("reset")] * 3
    reading = asyncio.get_running_loop().create_task(me.post("1"))
    await world.clock.advance(4.0)
    with pytest.raises(TransportError):
        await reading
    sender.faults = [Forbidden("no", status=403)]
    with pytest.raises(Forbidden):
        await me.post("1")
    assert len(sender.sent) == 7


class Extreme(SeededEntropy):
    """Chance that always draws one end."""

    def __init__(self, end: int) -> None:
        super().__init__()
        self._end = end

    def uniform(self, low: float, high: float) -> float:
        return (low, high)[self._end]


@pytest.mark.parametrize(("end", "waits_s"), [(0, [0.375, 1.5]), (1, [0.625, 2.5])])
async def test_a_broken_read_is_repeated_after_half_a_second_and_after_two_give_or_take_a_quarter(
    world: World, end: int, waits_s: list[float]
) -> None:
    world.entropy = Extreme(end)
    reader, sender = reader_in(world)
    sent_s: list[float] = []
    send = sender.send

    async def timed(request: Request, *, account_id: str = "") -> Response:
        sent_s.append(world.clock.monotonic())
        return await send(request, account_id=account_id)

    sender.send = timed  # type: ignore[method-assign]
    sender.faults = [TransportError("reset")] * 2
    reading = asyncio.get_running_loop().create_task(reader.post("1", account_id="1999"))
    await world.clock.advance(5.0)
    assert (await reading).id == "1"
    assert [after - before for before, after in pairwise(sent_s)] == waits_s


HIDDEN = {
    "title": "Authorization Error",
    "detail": "Sorry, you are not authorized to see the user with id: [7].",
    "type": "https://api.x.com/2/problems/not-authorized-for-resource",
}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"errors": [HIDDEN]}),
        (200, {"errors": [{**HIDDEN, "type": "about:blank"}]}),
        (403, {**HIDDEN, "status": 403}),
    ],
    ids=["a success without data", "by its title", "403"],
)
async def test_what_x_does_not_show_to_the_account_is_not_there_for_it(
    world: World, status: int, body: dict[str, Any]
) -> None:
    reader, sender = reader_in(world)

    def refuse(name: str) -> None:
        with pytest.raises(Forbidden) as caught:
            read_response(name, status, {}, json.dumps(body).encode(), now=world.clock.now())
        sender.faults.append(caught.value)

    refuse("GET /2/users")
    assert await reader.users(["7"], account_id="1999") == {}
    refuse("GET /2/tweets/{id}")
    with pytest.raises(NotFound, match="not authorized to see"):
        await reader.post("5", account_id="1999")


async def test_a_reader_calls_what_reads_and_refuses_what_changes_something(
    world: World,
) -> None:
    reader, sender = reader_in(world)
    mine = AccountReader(reader, "1999")
    assert (await mine.call("getPostsById", path={"id": "1"}))["data"] == sender.post
    with pytest.raises(TypeError, match="changes something"):
        await mine.call("deletePosts", path={"id": "1"})
    with pytest.raises(TypeError, match=r"reader.call\(.getNothing.\)"):
        await mine.call("getNothing")
    assert [request.operation for request in sender.sent] == ["getPostsById"]


async def test_a_call_that_is_not_allowed_says_nothing_of_what_it_asked_for(world: World) -> None:
    reader, sender = reader_in(world)
    sender.faults.append(Forbidden("no", status=403, problem_type="client-forbidden"))
    with pytest.raises(Forbidden):
        await reader.users(["7"], account_id="1999")


async def test_what_is_kept_is_given_and_what_costs_waits_when_the_budget_is_used_up(
    world: World,
) -> None:
    asked: list[tuple[str, Decimal]] = []

    async def refuse(account_id: str, cost_usd: Decimal) -> None:
        asked.append((account_id, cost_usd))
        raise Parked("budget")

    reader, sender = reader_in(world, refuse)
    await reader.learn([User(id="7", username="ada", name="Ada")])
    assert set(await reader.users(["7"], account_id="1999")) == {"7"}
    with pytest.raises(Parked):
        await reader.users(["8", "9"], account_id="1999")
    with pytest.raises(Parked):
        await reader.post("5", account_id="1999")
    assert asked == [("1999", Decimal("0.010")), ("1999", Decimal("0.005"))]
    assert sender.sent == []
