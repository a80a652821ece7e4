"""A bot inside a program that owns the loop, the signals and the logs."""

from __future__ import annotations

import asyncio
import logging
import signal
import sqlite3
from contextlib import asynccontextmanager, closing

import pytest
import structlog

from botkit import Actions, Bot, Mention
from botkit.errors import ConfigError, LeaseLost, StateError, WiringError
from botkit.model.records import WriteState
from botkit.sandbox import open_server


@asynccontextmanager
async def reachable(place):
    """The settings of a program that reaches the place's X on a socket."""
    async with open_server(place.world) as opened:
        place.environ["BOTKIT_X__API_URL"] = opened.url
        place.environ["BOTKIT_X__CONSENT_URL"] = f"{opened.url}/i/oauth2/authorize"
        await place.authorize()
        place.server = opened.server
        yield await place.settings()


async def until_live(running) -> None:
    async with asyncio.timeout(10):
        while not any(  # noqa: ASYNC110 - what is waited for tells nobody
            report.state == "live" for report in running.status.values()
        ):
            await asyncio.sleep(0.01)  # noqa: TID251 - real sockets live in real time


def greeter(heard: asyncio.Queue[str]) -> Bot:
    bot = Bot("greeter")

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions) -> None:
        await act.reply(mention, "Hello")
        heard.put_nowait(mention.text)

    return bot


@pytest.mark.timeout(20)
async def test_it_answers_until_the_block_ends_and_gives_the_lease_back(place):
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with reachable(place) as settings:
        async with greeter(heard).running(settings) as running:
            await until_live(running)
            assert [account.username for account in running.accounts] == ["greeter"]
            assert set(running.sources) == {"activity/default", "mentions/greeter"}
            assert running.status["runner"].state in {"starting", "running"}
            place.world.add_post(place.world.add_user("ada").id, "@greeter hello")
            assert await heard.get() == "@greeter hello"
            assert not running.is_stopped
        assert running.is_stopped
        assert await place.store.leases.holder("runner") is None


@pytest.mark.timeout(20)
async def test_signals_and_logging_stay_those_of_the_program(place):
    before = (
        signal.getsignal(signal.SIGTERM),
        signal.getsignal(signal.SIGINT),
        list(logging.getLogger().handlers),
        structlog.get_config(),
    )
    async with reachable(place) as settings, greeter(asyncio.Queue()).running(settings):
        during = (
            signal.getsignal(signal.SIGTERM),
            signal.getsignal(signal.SIGINT),
            list(logging.getLogger().handlers),
            structlog.get_config(),
        )
    assert during == before


@pytest.mark.timeout(20)
async def test_the_handle_stops_it_before_the_block_ends(place):
    async with (
        reachable(place) as settings,
        greeter(asyncio.Queue()).running(settings) as running,
    ):
        assert await running.stop(0.0) == ()
        assert running.is_stopped
        assert await place.store.leases.holder("runner") is None
        assert await running.stop() == ()


@pytest.mark.timeout(20)
async def test_a_stop_names_the_handlers_that_do_not_end(place):
    bot = Bot("greeter")
    started, free = asyncio.Event(), asyncio.Event()

    @bot.on(Mention)
    async def swallow(mention: Mention) -> None:
        started.set()
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue

    async with reachable(place) as settings, bot.running(settings) as running:
        await until_live(running)
        place.world.add_post(place.world.add_user("ada").id, "@greeter hello")
        await started.wait()
        assert await running.stop(0.0) == ("swallow",)
        free.set()


@pytest.mark.timeout(20)
async def test_what_the_program_raises_stops_the_bot_and_goes_on_up(place):
    async with reachable(place) as settings:
        with pytest.raises(ZeroDivisionError):
            async with greeter(asyncio.Queue()).running(settings):
                raise ZeroDivisionError
        assert await place.store.leases.holder("runner") is None


@pytest.mark.timeout(20)
async def test_what_ends_the_bot_cancels_the_block_and_is_raised_from_it(place):
    async def lost() -> None:
        raise LeaseLost("Another process runs the bots of this store.")

    async def program(settings) -> None:
        async with greeter(asyncio.Queue()).running(settings) as running:
            running._runtime.tasks.start(lost(), "lease")
            await asyncio.Event().wait()

    async with reachable(place) as settings:
        with pytest.raises(LeaseLost):
            await program(settings)


@pytest.mark.timeout(20)
async def test_a_second_bot_on_the_store_is_refused(place):
    async with reachable(place) as settings, greeter(asyncio.Queue()).running(settings):
        with pytest.raises(StateError):
            async with greeter(asyncio.Queue()).running(settings):
                pass


@pytest.mark.timeout(20)
async def test_a_bot_on_a_copy_of_the_store_is_refused(place, tmp_path):
    copy = tmp_path / "copy.db"

    def back_up(original: str) -> None:
        with (
            closing(sqlite3.connect(original.removeprefix("sqlite:///"))) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        copy.chmod(0o600)

    async with reachable(place) as settings, greeter(asyncio.Queue()).running(settings):
        await asyncio.to_thread(back_up, settings.store_url)
        store = settings.store.model_copy(update={"url": f"sqlite:///{copy}"})
        copied = settings.model_copy(update={"store": store})
        with pytest.raises(StateError, match="runs a bot on a copy of this store"):
            async with greeter(asyncio.Queue()).running(copied):
                pass


@pytest.mark.timeout(20)
async def test_a_dry_run_sends_nothing(place):
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with (
        reachable(place) as settings,
        greeter(heard).running(settings, dry_run=True) as running,
    ):
        await until_live(running)
        place.world.add_post(place.world.add_user("ada").id, "@greeter hello")
        await heard.get()
        (write,) = await place.store.writes.listing()
    assert (write.state, write.text) == (WriteState.EXPIRED, "Hello")
    assert place.world.posts_by(place.user.id) == []


async def test_without_an_account_or_with_a_fault_in_the_wiring_it_does_not_start(place):
    odd = Bot("odd")

    @odd.on(Mention)
    async def greet(mention: Mention, what: int) -> None: ...

    settings = await place.settings()
    with pytest.raises(ConfigError, match="No account is authorized yet"):
        async with greeter(asyncio.Queue()).running(settings):
            pass
    with pytest.raises(WiringError, match="greet"):
        async with odd.running(settings):
            pass
