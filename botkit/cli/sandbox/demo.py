"""Run `botkit demo`: show a whole bot at work against the sandbox, as a short transcript.

The command starts the simulated X on a socket, authorizes a bot's account through the real OAuth
flow with the real callback server, runs the bot, lets a user mention it, and shows the reply.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.resources
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from botkit import __version__
from botkit.cli.help import HelpCommand
from botkit.cli.options import run_async
from botkit.telemetry.counted import counted

if TYPE_CHECKING:
    from botkit.bot.bot_runtime import BotRuntime
    from botkit.bot.definition import Bot
    from botkit.model.users import Account
    from botkit.ports import Store
    from botkit.runtime.dispatch.run_ends import Ended
    from botkit.runtime.writes.steps import Wrote
    from botkit.sandbox.world.actors import Actor
    from botkit.sandbox.x.listener import OpenServer

__all__ = ["command"]

_BOT = "greeter"
_WHO = "ada"
_EXAMPLE = "examples/greeter.py"
_PATIENCE_S = 30.0
_HEAD, _TAIL = 4, 2
"""The digits of an id that are shown at its start and end: only there do two ids differ."""


@click.command(cls=HelpCommand, name="demo", help="Show a whole bot at work against the sandbox.")
def command() -> int:
    """Run the demonstration; it needs no settings and asks nothing."""
    from botkit.telemetry.log import set_up_logging

    set_up_logging(level="error")
    return run_async(_Demo().run())


class _Demo:
    """Run one demonstration in a temporary folder."""

    def __init__(self) -> None:
        self._events = 0
        self._posts = 0
        self._done = asyncio.Event()

    async def run(self) -> int:
        """Run the demonstration; return the exit code."""
        from botkit.sandbox import open_server

        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="botkit-demo-"))
        try:
            async with open_server() as opened:
                _say("", f"botkit {__version__} · sandbox X at {opened.url} · store demo.db")
                await self._play(folder, opened)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        return 0

    async def _play(self, folder: Path, opened: OpenServer) -> None:
        from botkit.bot.compose import RunOptions, open_runtime
        from botkit.cli.sandbox.setup import authorize, environment_of
        from botkit.sandbox.world.actors import Actor
        from botkit.storage import open_store
        from botkit.system import SystemClock

        bot = await asyncio.to_thread(_example, folder)
        environment = environment_of(opened, folder / "demo.db")
        world = opened.world
        world.add_user(_BOT)
        ada = Actor(world, world.add_user(_WHO), _at_once)
        async with open_store(environment["BOTKIT_STORE__URL"], clock=SystemClock()) as store:
            settings, account = await authorize(
                environment, folder, store, bot, username=_BOT, tell=_setup_line
            )
            await _check(store, account)
            options = RunOptions(on_ended=self._ended, on_wrote=self._wrote)
            async with open_runtime(bot.plan, settings, store=store, options=options) as running:
                await self._mention(running, bot, ada, store)
            counts = await store.events.counts()
            waiting = counts.get("waiting", 0) + counts.get("parked", 0)
        called = await asyncio.to_thread(_command)
        left = "nothing pending" if not waiting else f"{waiting} pending"
        _say(
            "done",
            f"{counted(self._events, 'event')}, {counted(self._posts, 'post')}, {left}."
            f" Next: {called} new mybot",
        )

    async def _mention(self, running: BotRuntime, bot: Bot, ada: Actor, store: Store) -> None:
        may = ", ".join(sorted(bot.may))
        handlers = len(bot.plan.wiring.routes)
        _say("run", f"activity stream and mentions poll · handlers {handlers} · may {may}")
        await _until_live(store, running)
        await ada.posts(f"@{_BOT} hello")
        async with asyncio.timeout(_PATIENCE_S):
            await self._done.wait()
        await running.wait_idle()

    def _ended(self, ended: Ended) -> None:
        if ended.handler:
            self._done.set()

    def _wrote(self, wrote: Wrote) -> None:
        from botkit.model.events import PostEvent

        self._posts += 1
        event = wrote.step.answers
        if isinstance(event, PostEvent):
            self._events += 1
            _say(
                "event",
                f'@{event.author.username} mentioned @{_BOT}: "{event.text}"'
                f" (post {_short(event.id)})",
            )
        scope = next((s for s in wrote.verdict.need if s.endswith(".write")), "")
        _say(
            "write",
            f"reply to {_short(wrote.step.target)} · scope {scope} have · summoned"
            f" {wrote.verdict.summons} · {wrote.verdict.cost_usd} USD"
            f' → post {_short(wrote.result_id)} "{wrote.step.text}"'
            f" after {wrote.took_s * 1000:.0f} ms",
        )


def _example(folder: Path) -> Bot:
    """Return the greeter of the examples, else the bot that `botkit new` writes."""
    from botkit.cli.loading import load_bot

    file = Path(_EXAMPLE)
    if not file.is_file():
        template = importlib.resources.files("botkit.cli.templates") / "bot.py.txt"
        file = folder / f"{_BOT}.py"
        file.write_text(template.read_text(encoding="utf-8").replace("{{ name }}", _BOT))
    return load_bot(f"{file}:bot")


async def _check(store: Store, account: Account) -> None:
    from botkit.protocol.rules.label import STEPS, judge

    confirmed = {mark.step for mark in await store.accounts.marks(account.id)}
    label = judge(None, confirmed)
    _say(
        "checks",
        f"access fine · automated label {label.done} of {len(STEPS)} steps confirmed:"
        " botkit checklist",
    )


async def _until_live(store: Store, running: BotRuntime) -> None:
    """Wait for the stream and the first poll: the bot does not hear earlier posts."""
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            states = {report.part: report.state for report in await store.progress.reports()}
            if all(states.get(source) == "live" for source in running.sources):
                return
            await running.x.clock.sleep(0.05)


async def _at_once() -> None:
    """Return at once: in real time the simulated users need no settling."""


def _setup_line(text: str) -> None:
    with contextlib.suppress(ValueError):
        head, rest = text.split(" (id ", 1)
        number, tail = rest.split(")", 1)
        text = f"{head} (id {_short(number)}){tail}"
    _say("setup", text)


def _short(post_id: str) -> str:
    return f"{post_id[:_HEAD]}…{post_id[-_TAIL:]}"


def _command() -> str:
    """Return how this command was called, so that printed commands work as they stand."""
    called = Path(sys.argv[0])
    with contextlib.suppress(ValueError):
        return str(called.absolute().relative_to(Path.cwd()))
    return "botkit" if called.name == "botkit" else f"{sys.executable} -m botkit"


def _say(topic: str, text: str) -> None:
    line = f"{topic:<8}{text}" if topic else text
    click.echo(click.style(line, bold=not topic) if not topic else line)
