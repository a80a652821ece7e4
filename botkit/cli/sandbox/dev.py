"""`botkit dev`: the bot against the sandbox, started again on each change, and a prompt to play.

The bot runs in a process of its own, with settings that know the sandbox only: real credentials
are never read, whatever is in the environment or in botkit.toml.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from botkit.cli.help import HelpCommand
from botkit.cli.options import json_option, run_async
from botkit.cli.output import hide
from botkit.cli.sandbox.dev_lines import HELP, DevLines, moved
from botkit.cli.sandbox.dev_prompt import open_prompt
from botkit.config import secrets_in_environment, surroundings
from botkit.errors import BotkitError, ConfigError, StateError
from botkit.model.records import Mark
from botkit.protocol.rules.label import STEPS
from botkit.system import SystemClock, SystemEntropy
from botkit.telemetry.escaping import escape_json, escape_lines
from botkit.telemetry.times import rfc3339

if TYPE_CHECKING:
    from botkit.cli.sandbox.dev_prompt import Prompt
    from botkit.sandbox.x.listener import OpenServer

__all__ = ["command"]

_LOOK_S = 0.1
_SHOWN = 100
"""The number of newest events to look at: a person types no more than that in a moment."""
_SOURCES = ("activity/", "mentions/")
_STOP_S = 10.0
_CALM_S = 2.0
_ENDING = ("SIGTERM", "SIGHUP")
_BY_SIGNAL = 128
_TOYS = {"BOTKIT_LOG__LEVEL": "warning", "BOTKIT_RUN__DEBUGGABLE": "true"}
"""The bot's secrets are the sandbox's: a debugger may look at them."""
_NOT_STARTED = """\
the bot did not start, see above; it is tried again at the next change
(what it may do is authorized when botkit dev starts: if that has changed, start that again)"""


@click.command(
    cls=HelpCommand,
    name="dev",
    help="Run a bot against the sandbox; reload on change; play the users.",
)
@click.argument("target", metavar="MODULE:BOT")
@click.option("--no-reload", is_flag=True, help="Do not start the bot again when files change.")
@json_option
def command(*, target: str, no_reload: bool, as_json: bool) -> int:
    """Play with a bot. Without a terminal it reads lines from stdin and ends with them."""
    from botkit.telemetry.log import set_up_logging

    hide(secrets_in_environment())
    if not no_reload:
        _watcher()
    set_up_logging(level="error")
    return run_async(_Dev(target, reload=not no_reload, as_json=as_json).run())


class _Dev:
    """One session: sandbox, bot process, prompt."""

    _prompt: Prompt
    _lines: DevLines

    def __init__(self, target: str, *, reload: bool, as_json: bool) -> None:
        self._target = target
        self._as_json = as_json
        self._reload = reload
        self._process: asyncio.subprocess.Process | None = None
        self._environment: dict[str, str] = {}
        self._clock = SystemClock()
        self._starting = asyncio.Lock()

    async def run(self) -> int:
        """Play until /quit, the end of the input or a signal; return the exit code."""
        from botkit.sandbox import World, open_server

        told = _end_at_signals()
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="botkit-dev-"))
        try:
            async with (
                open_prompt(lambda: self._lines.who, plain=self._as_json) as self._prompt,
                open_server(world=World(self._clock, SystemEntropy())) as opened,
            ):
                try:
                    await self._prepare(folder, opened)
                    await self._play(opened, folder)
                finally:
                    await self._stop_bot()
        except asyncio.CancelledError:
            if not told:
                raise
            return _BY_SIGNAL + told[0]
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        return 0

    async def _prepare(self, folder: Path, opened: OpenServer) -> None:
        """Make the account and authorize it."""
        from botkit.cli.loading import load_bot
        from botkit.cli.sandbox.setup import authorize, environment_of
        from botkit.storage import open_store

        bot = load_bot(self._target)
        bot.plan  # noqa: B018 - a fault in it is said before anything starts
        username = "".join(c for c in bot.name if c.isalnum() or c == "_")[:15] or "bot"
        subscribed = opened.server.activity.subscriptions
        self._lines = DevLines(
            opened.world,
            username,
            self._say,
            takes_messages=lambda: any(
                one.event_type == "dm.received" for one in subscribed.values()
            ),
        )
        self._environment = environment_of(opened, folder / "dev.db")
        (folder / "botkit.toml").write_text("# settings come from the environment\n")
        async with open_store(
            self._environment["BOTKIT_STORE__URL"], clock=SystemClock()
        ) as store:
            _, account = await authorize(
                self._environment, folder, store, bot, username=username, tell=lambda _: None
            )
            for step in STEPS:  # there is no label in the sandbox to be reminded of
                mark = Mark(account_id=account.id, step=step.id, at=self._clock.now())
                await store.accounts.set_mark(mark)
        self._say(
            f"sandbox X at {opened.url} · @{username} is the bot, you are @{self._lines.who}"
        )
        self._say(HELP.format(bot=username))

    async def _play(self, opened: OpenServer, folder: Path) -> None:
        await self._start_bot(folder)
        async with asyncio.TaskGroup() as group:
            side = [group.create_task(self._show())]
            if self._reload:
                side.append(group.create_task(self._watch(folder)))
            try:
                async for line in self._prompt.lines():
                    if line.strip() == "/quit":
                        break
                    await self._act(line.strip(), folder)
                else:
                    await self._calm_down(opened)
            finally:
                for task in side:
                    task.cancel()

    async def _act(self, line: str, folder: Path) -> None:
        """Do what one typed line says."""
        match line.split():
            case ["/time"]:
                self._say(f"it is {rfc3339(self._clock.now())}")
            case ["/time", when]:
                await self._move_time(when, folder)
            case _:
                self._lines.act(line)

    async def _move_time(self, when: str, folder: Path) -> None:
        """Move X's time and restart the bot, whose timers run on the machine's clock, at it."""
        now = self._clock.now()
        try:
            self._clock.ahead += moved(now, when) - now
        except (ValueError, OverflowError) as wrong:
            self._say(f"that did not work: {wrong}")
            return
        self._say(f"it is {rfc3339(self._clock.now())}; the bot starts again")
        await self._start_again(folder)

    async def _show(self) -> None:
        """Print new posts and messages of the simulated X, and events that ran no handler."""
        from botkit.storage import open_store

        url = self._environment["BOTKIT_STORE__URL"]
        async with open_store(url, clock=self._clock, check=False) as store:
            while True:
                self._lines.show()
                with contextlib.suppress(StateError):
                    self._lines.show_unheard(await store.events.listing(limit=_SHOWN))
                await self._clock.sleep(_LOOK_S)

    def _say(self, line: str, /, **facts: str | int | None) -> None:
        """A line for the person, or a JSON object for a program (only what happened has facts)."""
        if not self._as_json:
            self._prompt.show(escape_lines(line))
        elif facts:
            self._prompt.show(escape_json(json.dumps(facts, ensure_ascii=False)))

    async def _calm_down(self, opened: OpenServer) -> None:
        """The input has ended: wait until nothing new is posted, then end."""
        seen = -1
        while seen != len(opened.world.posts):
            seen = len(opened.world.posts)
            await self._clock.sleep(_CALM_S)

    async def _watch(self, folder: Path) -> None:
        """Start the bot again when a Python file changes, and after one with a fault, too."""
        async for changes in _watcher()(Path.cwd(), watch_filter=_is_python):
            names = sorted({Path(path).name for _, path in changes})
            self._say(f"changed: {', '.join(names)}; the bot starts again")
            await self._start_again(folder)

    async def _start_again(self, folder: Path) -> None:
        async with self._starting:
            await self._stop_bot()
            try:
                await self._start_bot(folder)
            except BotkitError:
                self._say(_NOT_STARTED)

    async def _start_bot(self, folder: Path) -> None:
        kept = {k: v for k, v in surroundings().items() if not k.startswith("BOTKIT_")}
        arguments = ["-m", "botkit", "run", self._target, "--config", str(folder / "botkit.toml")]
        arguments.append(f"--ahead={self._clock.ahead.total_seconds()}")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            env={**kept, **self._environment, **_TOYS, **self._prompt.bot_environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=self._prompt.bot_output,
            stderr=self._prompt.bot_output,
        )
        await self._until_live(self._process)

    async def _until_live(self, process: asyncio.subprocess.Process) -> None:
        """Wait until the bot hears: what is posted before is not for it."""
        from botkit.storage import open_store

        url = self._environment["BOTKIT_STORE__URL"]
        async with open_store(url, clock=self._clock, check=False) as store:
            while process.returncode is None:
                reports = await store.progress.reports()
                heard = [r.state for r in reports if r.part.startswith(_SOURCES)]
                if len(heard) == len(_SOURCES) and set(heard) == {"live"}:
                    return
                await self._clock.sleep(_LOOK_S)
        kind = ConfigError if process.returncode == ConfigError.exit_code else BotkitError
        raise kind("The bot ended as it started; what it said stands above.")

    async def _stop_bot(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _end_at_signals() -> list[int]:
    """Cancel this task at a signal, so that the bot ends too; return the signals seen."""
    told: list[int] = []
    task, loop = asyncio.current_task(), asyncio.get_running_loop()

    def end(number: int) -> None:
        if not told and task is not None:
            task.cancel()
        told.append(number)

    for name in _ENDING:
        with contextlib.suppress(AttributeError, NotImplementedError):  # Windows has none of them
            number = getattr(signal, name)
            loop.add_signal_handler(number, end, number)
    return told


def _watcher() -> Any:
    """Return the function that reports changed files, before anything starts."""
    try:
        import watchfiles
    except ImportError as error:
        raise ConfigError(
            "Reloading needs watchfiles.",
            hint='Install "botkit[dev]", or say --no-reload.',
        ) from error
    return cast("Any", watchfiles).awatch  # its types are partly unknown


def _is_python(_change: object, path: str) -> bool:
    return path.endswith(".py")
