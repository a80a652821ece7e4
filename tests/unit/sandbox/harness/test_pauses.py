"""The switch of a crash, and threads under virtual time."""

from __future__ import annotations

import asyncio
import threading

import pytest

from botkit.errors import StoreUnavailable, TransportError
from botkit.model.users import Account
from botkit.ports.io import HttpRequest
from botkit.sandbox.harness.pauses import GatedTransport, ProcessLife, gated_store, threads_counted
from botkit.sandbox.x.transport import SandboxTransport
from botkit.storage import open_store

ADA = Account(id="1", username="ada")


@pytest.fixture
def life(peer):
    return ProcessLife(peer.clock)


async def test_a_living_process_uses_the_store_and_a_dead_one_finds_none(peer, life, tmp_path):
    async with open_store(f"sqlite:///{tmp_path}/s/b.db", clock=peer.clock) as inner:
        store = gated_store(inner, life)
        await store.accounts.put(ADA)
        assert await store.accounts.get("ada") == ADA
        assert store.url == inner.url

        life.over = True
        with pytest.raises(StoreUnavailable):
            await store.accounts.remove("1")

        assert await inner.accounts.get("ada") == ADA


async def test_what_was_under_way_when_it_was_killed_is_not_heard_of(peer, life):
    class Slow:
        async def changed(self):
            life.over = True
            return True

    with pytest.raises(StoreUnavailable):
        await gated_store(Slow(), life).changed()


async def test_a_dead_process_sends_nothing(peer, life):
    transport = GatedTransport(SandboxTransport(peer.server, peer.clock), life)
    request = HttpRequest(
        method="GET",
        url="https://api.x.com/2/activity/stream",
        name="GET /2/activity/stream",
        headers=(("Authorization", f"Bearer {peer.app.bearer}"),),
    )
    assert (await transport.send(request)).status == 200
    async with transport.stream(request) as stream:
        assert stream.status == 200

    life.over = True
    with pytest.raises(TransportError):
        await transport.send(request)
    with pytest.raises(TransportError):
        async with transport.stream(request):
            pass


async def test_time_stands_still_while_a_thread_works(peer):
    loop = asyncio.get_running_loop()
    release = threading.Event()
    seen = []

    async def work():
        await asyncio.to_thread(release.wait)
        seen.append(peer.clock.monotonic())

    with threads_counted(peer.clock):
        working = loop.create_task(work())
        moving = loop.create_task(peer.clock.advance(60))
        for _ in range(20):
            await peer.clock.sleep(0)
        assert peer.clock.monotonic() == 0
        release.set()
        await working
        await moving

    assert seen == [0]
    assert peer.clock.monotonic() == 60


async def test_afterwards_threads_are_as_before(peer):
    loop = asyncio.get_running_loop()
    before = loop.run_in_executor

    with threads_counted(peer.clock), threads_counted(peer.clock):
        await asyncio.to_thread(int)

    assert loop.run_in_executor == before
