"""A bot as a process's only work, here without leaving the test's process.

What really ends a process is seen from outside, in tests/crash.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from botkit import Actions, Bot, Mention, Router
from botkit.bot import serving
from botkit.bot.compose import RunOptions
from botkit.bot.serving import log_as, serve, serve_bot
from botkit.config import Settings, load_settings
from botkit.errors import ConfigError, LeaseLost, MissingScope
from botkit.routing.wiring import Wiring, wire
from botkit.sandbox import open_server


class LastWord:
    """Stands in for the timer that ends the process for good, and for that end."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, int]] = []
        self.exits: list[int] = []

    def timer(self, after_s: float, call: Callable[[int], None], arguments: list[int]):
        self.timers.append((after_s, *arguments))
        return self

    def start(self) -> None:
        pass

    def exit(self, code: int) -> None:
        self.exits.append(code)


@pytest.fixture
def last_word(monkeypatch: pytest.MonkeyPatch) -> LastWord:
    word = LastWord()
    monkeypatch.setattr(threading, "Timer", word.timer)
    monkeypatch.setattr(os, "_exit", word.exit)
    return word


@pytest.fixture(autouse=True)
def _plain_logs() -> Iterator[None]:
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    yield
    root.handlers[:], level = before[0], before[1]
    root.setLevel(level)
    structlog.reset_defaults()


@asynccontextmanager
async def reachable(place) -> AsyncIterator[Settings]:
    """Settings that lead to the place's X on a real socket."""
    async with open_server(place.world) as opened:
        place.environ["BOTKIT_X__API_URL"] = opened.url
        place.server = opened.server
        place.environ["BOTKIT_X__CONSENT_URL"] = f"{opened.url}/i/oauth2/authorize"
        yield await place.settings()


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not what():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)  # noqa: TID251 - real sockets live in real time


def heard(place) -> bool:
    """Whether a stream is open."""
    return place.server.activity.open_streams(place.app.id) > 0


@pytest.fixture
def bot() -> Bot:
    bot = Bot("greeter")

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions) -> None:
        await act.reply(mention, "Hello")

    return bot


async def served(place, settings: Settings, bot: Bot, *numbers: int) -> int:
    """Serve until these signals."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve(bot.plan, settings))
        await until(lambda: heard(place))
        for number in numbers:
            signal.raise_signal(number)
        return await task


async def test_it_serves_until_sigterm_and_gives_the_lease_back(place, bot, last_word):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)
    wrote: list[str] = []
    async with reachable(place) as settings:
        await place.authorize()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(
                serve(bot.plan, settings, RunOptions(on_wrote=lambda w: wrote.append(w.result_id)))
            )
            await until(lambda: heard(place))
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            ada = place.world.add_user("ada")
            place.world.add_post(ada.id, "@greeter hello")
            await until(lambda: wrote)
            signal.raise_signal(signal.SIGTERM)
        assert task.result() == 0

    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)) == before
    assert last_word.timers == [(settings.run.drain_s + 1.5, 0)]
    assert last_word.exits == []
    assert await place.store.leases.holder("runner") is None


async def test_a_start_wires_the_handlers_once(place, bot, last_word, monkeypatch):
    wired: list[object] = []

    def counted(router: Router, **how: Any) -> Wiring:
        wired.append(router)
        return wire(router, **how)

    monkeypatch.setattr("botkit.bot.plan.wire", counted)
    place.environ |= {"BOTKIT_HTTP__ON": "true", "BOTKIT_HTTP__PORT": "0"}
    async with reachable(place) as settings:
        await place.authorize(*bot.scopes)
        assert await served(place, settings, bot, signal.SIGTERM) == 0

    assert wired == [bot]


async def test_sigint_ends_it_with_130_without_draining(place, bot, last_word):
    async with reachable(place) as settings:
        await place.authorize()
        code = await served(place, settings, bot, signal.SIGINT)

    assert code == 130
    assert last_word.timers == [(1.5, 130)]


async def test_a_second_signal_leaves_at_once(place, bot, last_word):
    async with reachable(place) as settings:
        await place.authorize()
        await served(place, settings, bot, signal.SIGINT, signal.SIGTERM)

    assert last_word.exits == [143]


async def test_handlers_that_do_not_end_are_named_and_left_behind(place, last_word):
    stuck = Bot("greeter")
    started = asyncio.Event()
    free = asyncio.Event()

    @stuck.on(Mention)
    async def swallow(mention: Mention) -> None:
        started.set()
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue

    async with reachable(place) as settings:
        await place.authorize()
        hasty = settings.model_copy(
            update={"run": settings.run.model_copy(update={"drain_s": 0.2})}
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(serve(stuck.plan, hasty))
            await until(lambda: heard(place))
            ada = place.world.add_user("ada")
            place.world.add_post(ada.id, "@greeter hello")
            await started.wait()
            signal.raise_signal(signal.SIGTERM)
        free.set()

    assert last_word.exits == [0]


async def test_without_a_store_the_two_ways_on_are_said_and_none_is_made(tmp_path, bot):
    environ = {"BOTKIT_STORE__URL": f"sqlite:///{tmp_path / 'none.db'}"}
    settings = await asyncio.to_thread(load_settings, environ=environ, folder=tmp_path)

    with pytest.raises(ConfigError, match="No account is authorized yet") as caught:
        await serve(bot.plan, settings)

    assert "botkit setup" in caught.value.hint
    assert "botkit dev" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


async def test_a_bot_that_cannot_be_wired_is_said_before_anything_is_opened(tmp_path):
    odd = Bot("odd")

    @odd.on(Mention)
    async def greet(mention: Mention, what: int) -> None: ...

    settings = await asyncio.to_thread(load_settings, environ={}, folder=tmp_path)
    with pytest.raises(ConfigError, match="greet"):
        await serve(odd.plan, settings)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ConfigError("2 are wrong.", problems=["one", "two"]), 2, "botkit: one\nbotkit: two\n"),
        (
            ConfigError("No account.", hint="Try `botkit dev MODULE:BOT`."),
            2,
            "botkit: No account.\n  Try `botkit dev ",
        ),
        (MissingScope(operation="o", have=["a"], need=["b"], cure="Do it."), 2, "o needs b"),
        (LeaseLost("Another runs."), 5, "botkit: Another runs."),
        (ConfigError("a \x1b[31m red line"), 2, "botkit: a \\x1b[31m red line\n"),
    ],
)
def test_what_keeps_a_bot_from_running_is_a_line_and_a_code(
    monkeypatch, tmp_path, capsys, error, code, words
):
    async def fail(*_: object, **__: object) -> int:
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(serving, "serve", fail)

    assert serve_bot(Bot("greeter")) == code
    assert words in capsys.readouterr().err


def test_bot_run_ends_the_process_with_the_code_of_serve(monkeypatch, tmp_path):
    async def ended(*_: object, **__: object) -> int:
        return 130

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(serving, "serve", ended)

    with pytest.raises(SystemExit) as caught:
        Bot("greeter").run()
    assert caught.value.code == 130


def test_ctrl_c_before_the_bot_listens_to_signals_is_130(monkeypatch, tmp_path):
    async def interrupted(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(serving, "serve", interrupted)

    assert serve_bot(Bot("greeter")) == 130


def test_logs_hide_the_secrets_of_the_settings(tmp_path, capsys):
    environ = {
        "BOTKIT_APP__CLIENT_SECRET": "hush-hush-hush",
        "BOTKIT_APPS__OTHER__BEARER_TOKEN": "murmur-murmur",
        "BOTKIT_LOG__FORMAT": "json",
    }
    redactor = log_as(load_settings(environ=environ, folder=tmp_path))

    structlog.get_logger("test").info("said", what="hush-hush-hush and murmur-murmur")

    err = capsys.readouterr().err
    assert '"event": "said"' in err
    assert "hush-hush" not in err
    assert "murmur-murmur" not in err
    assert "hush-hush-hush" not in redactor.text("a hush-hush-hush b")


@pytest.mark.parametrize(("level", "shown"), [("info", False), ("debug", True)])
def test_a_command_for_persons_logs_only_what_goes_wrong_unless_debugging(
    tmp_path, capsys, level, shown
):
    settings = load_settings(environ={"BOTKIT_LOG__LEVEL": level}, folder=tmp_path)
    log_as(settings, level="warning")

    structlog.get_logger("test").info("chatter")
    structlog.get_logger("test").warning("trouble")

    err = capsys.readouterr().err
    assert ("chatter" in err) is shown
    assert "trouble" in err
