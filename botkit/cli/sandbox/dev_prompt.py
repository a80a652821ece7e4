"""The prompt of `botkit dev`: a line editor on a terminal, plain lines elsewhere.

With the editor, all output appears above the line that is being typed: what is shown here, and
what the bot's process writes, which is read through a pipe for that.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import importlib.util
import os
import stat
import sys
from typing import TYPE_CHECKING, Protocol, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

__all__ = ["Prompt", "open_prompt"]

_LAST_WORDS_S = 1.0
_EDITOR = "prompt_toolkit"
_AS_ON_A_TERMINAL = {"BOTKIT_LOG__FORMAT": "text", "PYTHONUNBUFFERED": "1"}


class Prompt(Protocol):
    """Where a person's lines come from, and where output goes."""

    bot_output: int | None
    """The descriptor for stdout and stderr of the bot's process; None: it inherits ours."""
    bot_environment: dict[str, str]
    """Variables that make the bot write to `bot_output` as it does to a terminal."""

    def lines(self) -> AsyncIterator[str]:
        """Return the lines, until the input ends."""
        ...

    def show(self, text: str) -> None:
        """Write whole lines; the end of the last one is added."""
        ...


@contextlib.asynccontextmanager
async def open_prompt(speaker: Callable[[], str], *, plain: bool) -> AsyncGenerator[Prompt]:
    """Open the line editor if there is a terminal and prompt_toolkit; otherwise read plain lines.

    Args:
        speaker: Returns the name to show in front of the line.
        plain: Read plain lines in any case.
    """
    on_terminal = all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    # On Windows the event loop cannot read such a pipe.
    if plain or not on_terminal or os.name == "nt" or importlib.util.find_spec(_EDITOR) is None:
        yield _PlainLines()
        return
    reading, writing = os.pipe()
    prompt = _EditedLines(speaker, writing)
    transport, echo = await asyncio.get_running_loop().connect_read_pipe(
        lambda: _Echo(prompt.show), os.fdopen(reading, "rb")
    )
    try:
        yield prompt
    finally:
        os.close(writing)
        with contextlib.suppress(TimeoutError):  # a child of the bot's may hold it open
            async with asyncio.timeout(_LAST_WORDS_S):
                await echo.ended.wait()
        transport.close()


def _can_be_waited_for(stream: TextIO) -> bool:
    """Return True for a pipe or a terminal; a file, and /dev/null, are read in a thread."""
    mode = os.fstat(stream.fileno()).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stream.isatty()


class _PlainLines:
    """Lines of a pipe, a file, or a terminal without an editor."""

    def __init__(self) -> None:
        self.bot_output: int | None = None
        self.bot_environment: dict[str, str] = {}

    async def lines(self) -> AsyncIterator[str]:
        """Return the lines, until the input ends."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        if _can_be_waited_for(sys.stdin):
            with contextlib.suppress(ValueError, OSError):
                await loop.connect_read_pipe(
                    lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
                )
                while line := await reader.readline():
                    yield line.decode(errors="replace")
                return
        while text := await asyncio.to_thread(sys.stdin.readline):
            yield text

    def show(self, text: str) -> None:
        """Write whole lines; the end of the last one is added."""
        click.echo(text)


class _EditedLines:
    """Lines of prompt_toolkit: arrows, history, Ctrl-R; a text that is pasted is one line."""

    def __init__(self, speaker: Callable[[], str], bot_output: int) -> None:
        from prompt_toolkit import PromptSession

        self.bot_output: int | None = bot_output
        self.bot_environment = _AS_ON_A_TERMINAL
        self._speaker = speaker
        self._session: PromptSession[str] = PromptSession()
        self._shown: Awaitable[None] | None = None

    async def lines(self) -> AsyncIterator[str]:
        """Return the lines, until Ctrl-D. Ctrl-C raises KeyboardInterrupt."""
        with contextlib.suppress(EOFError):
            while True:
                yield await self._session.prompt_async(lambda: f"{self._speaker()}> ")

    def show(self, text: str) -> None:
        """Write whole lines above the line that is being typed; adds the end of the last one.

        `patch_stdout` of prompt_toolkit writes in a thread, and hits a prompt that just opens.
        """
        from prompt_toolkit.application import run_in_terminal

        if self._session.app.is_running:
            self._shown = run_in_terminal(lambda: click.echo(text))
        else:
            click.echo(text)


class _Echo(asyncio.Protocol):
    """Shows the lines that the bot's process writes."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self.ended = asyncio.Event()
        self._show = show
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = ""

    def data_received(self, data: bytes) -> None:
        whole, end, rest = (self._begun + self._decoder.decode(data)).rpartition("\n")
        self._begun = rest
        if end:
            self._show(whole)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._begun:
            self._show(self._begun)
        self.ended.set()
