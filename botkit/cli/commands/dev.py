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

from botkit.cli.commands.dev_prompt import open_prompt
from botkit.cli.help import HelpCommand
from botkit.cli.options import json_option, run_async
from botkit.cli.output import hide
from botkit.config import secrets_in_environment, surroundings
from botkit.errors import BotkitError, ConfigError
from botkit.model.records import Mark
from botkit.protocol.rules.label import STEPS
from botkit.system import SystemClock
from botkit.telemetry.escaping import escape_json, escape_lines

if TYPE_CHECKING:
    from botkit.cli.commands.dev_prompt import Prompt
    from botkit.sandbox.world.world import PostRecord, UserRecord
    from botkit.sandbox.x.listener import OpenServer

__all__ = ["command"]

_WHO = "ada"
_LOOK_S = 0.1
_SOURCES = ("activity/", "mentions/")
_STOP_S = 10.0
_CALM_S = 2.0
_ENDING = ("SIGTERM", "SIGHUP")
_BY_SIGNAL = 128
_TOYS = {"BOTKIT_LOG__LEVEL": "warning", "BOTKIT_RUN__DEBUGGABLE": "true"}
"""The bot's secrets are the sandbox's: a debugger may look at them."""
_HELP = """\
  TEXT              ada posts it; start with @{bot} to mention the bot
  /as NAME [TEXT]   be somebody else from now on
  /reply ID TEXT    answer a post
  /quote ID TEXT    quote a post
  /dm TEXT          send the bot a direct message
  /quit             end; so does Ctrl-D"""

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

    def __init__(self, target: str, *, reload: bool, as_json: bool) -> None:
        self._target = target
        self._as_json = as_json
        self._reload = reload
        self._who = _WHO
        self._shown = 0
        self._process: asyncio.subprocess.Process | None = None
        self._environment: dict[str, str] = {}
        self._clock = SystemClock()

    async def run(self) -> int:
        """Play until /quit, the end of the input or a signal; return the exit code."""
        from botkit.sandbox import open_server

        told = _end_at_signals()
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="botkit-dev-"))
        try:
            async with (
                open_prompt(lambda: self._who, plain=self._as_json) as self._prompt,
                open_server() as opened,
            ):
                try:
                    username = await self._prepare(folder, opened)
                    await self._play(opened, username, folder)
                finally:
                    await self._stop_bot()
        except asyncio.CancelledError:
            if not told:
                raise
            return _BY_SIGNAL + told[0]
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        return 0

    async def _prepare(self, folder: Path, opened: OpenServer) -> str:
        """Make the account and authorize it; return its username."""
        from botkit.cli.commands.sandbox_setup import authorize, environment_of
        from botkit.cli.loading import load_bot
        from botkit.storage import open_store

        bot = load_bot(self._target)
        bot.plan  # noqa: B018 - a fault in it is said before anything starts
        username = "".join(c for c in bot.name if c.isalnum() or c == "_")[:15] or "bot"
        opened.world.add_user(username)
        opened.world.add_user(self._who)
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
        self._say(f"sandbox X at {opened.url} · @{username} is the bot, you are @{self._who}")
        self._say(_HELP.format(bot=username))
        return username

    async def _play(self, opened: OpenServer, username: str, folder: Path) -> None:
        await self._start_bot(folder)
        async with asyncio.TaskGroup() as group:
            side = [group.create_task(self._show(opened, username))]
            if self._reload:
                side.append(group.create_task(self._watch(folder)))
            try:
                async for line in self._prompt.lines():
                    if line.strip() == "/quit":
                        break
                    await self._act(opened, username, line.strip())
                else:
                    await self._calm_down(opened)
            finally:
                for task in side:
                    task.cancel()

    async def _act(self, opened: OpenServer, username: str, line: str) -> None:
        """Do what one typed line says."""
        world = opened.world
        words = line.split(" ", 2)
        try:
            match words:
                case [""]:
                    return
                case ["/as", name, *text]:
                    self._who = name.removeprefix("@")
                    world.add_user(self._who)
                    if text:
                        world.add_post(self._me(opened).id, text[0])
                case ["/reply", post_id, text]:
                    world.add_post(self._me(opened).id, text, reply_to=post_id)
                case ["/quote", post_id, text]:
                    world.add_post(self._me(opened).id, text, quoting=post_id)
                case ["/dm", *_]:
                    text = line.removeprefix("/dm").strip()
                    world.add_message(self._me(opened).id, world.user(username).id, text)
                case [word, *_] if word.startswith("/"):
                    self._say(_HELP.format(bot=username))
                case _:
                    world.add_post(self._me(opened).id, line)
        except (LookupError, ValueError) as wrong:
            self._say(f"that did not work: {wrong}")

    def _me(self, opened: OpenServer) -> UserRecord:
        return opened.world.user(self._who)

    async def _show(self, opened: OpenServer, username: str) -> None:
        """Show every post, and the bot's messages."""
        world = opened.world
        messages = 0
        while True:
            posts = list(world.posts.values())
            for post in posts[self._shown :]:
                self._show_post(post, world.users[post.author_id].username)
            self._shown = len(posts)
            bot_id = world.user(username).id
            own = [m for m in world.messages.values() if m.sender_id == bot_id]
            for message in own[messages:]:
                self._say(f"  @{username} (message): {message.text}", by=username, id=message.id)
            messages = len(own)
            await self._clock.sleep(_LOOK_S)

    def _show_post(self, post: PostRecord, username: str) -> None:
        about = f" (to {post.reply_to_id})" if post.reply_to_id else ""
        self._say(
            f"  {post.id}  @{username}{about}: {post.text}",
            by=username,
            id=post.id,
            reply_to=post.reply_to_id,
            text=post.text,
        )

    def _say(self, line: str, /, **facts: str | None) -> None:
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
            await self._stop_bot()
            try:
                await self._start_bot(folder)
            except BotkitError:
                self._say(_NOT_STARTED)

    async def _start_bot(self, folder: Path) -> None:
        kept = {k: v for k, v in surroundings().items() if not k.startswith("BOTKIT_")}
        arguments = ["-m", "botkit", "run", self._target, "--config", str(folder / "botkit.toml")]
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
