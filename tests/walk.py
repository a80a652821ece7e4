"""Counts the files and moves of an event, a write and a refresh: `python -m tests.walk [-v]`.

It runs a bot in the sandbox and notes each Python call into `botkit/`, the sandbox left out.
A move is two consecutive calls in different files: what a reader has to follow. Only the event
loop's thread counts, not that of the store.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

import botkit
from botkit import Actions, Bot, Mention
from botkit.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

__all__ = ["Walk", "report", "take_walks"]

_HOUSE = f"{Path(botkit.__file__).parent}/"
_STEP_S = 1.0
_STEPS = 7200


class Walk:
    """The files of `botkit/` that calls entered, in order."""

    def __init__(self) -> None:
        self._entered: list[str] = []

    @property
    def calls(self) -> Counter[str]:
        """How many calls entered each file."""
        return Counter(self._entered)

    @property
    def moves(self) -> int:
        """How often a call was in another file than the one before it."""
        return sum(before != after for before, after in pairwise(self._entered))

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note the calls of this block, from the start."""
        self._entered.clear()
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(None)

    def _note(self, frame: FrameType, what: str, _argument: object) -> None:
        if what == "call" and frame.f_code.co_filename.startswith(_HOUSE):
            name = frame.f_code.co_filename[len(_HOUSE) :]
            if not name.startswith("sandbox/"):
                self._entered.append(name)


async def _walk_event(sandbox: Sandbox, walk: Walk) -> None:
    """Note a mention and its reply, until nothing is open."""
    bot = Bot("greeter")

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions) -> None:
        await act.reply(mention, f"Hello @{mention.author.username}!")

    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        with walk.noted():
            post = await ada.posts("@greeter hello")
            await sandbox.settle()
    assert sandbox.replies_to(post) == ["Hello @ada!"]


async def _walk_write(sandbox: Sandbox, walk: Walk) -> None:
    """Note one reply, from the handler's call until it has the post."""
    bot = Bot("greeter")

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions) -> None:
        with walk.noted():
            await act.reply(mention, f"Hello @{mention.author.username}!")

    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        await ada.posts("@greeter hello")
        await sandbox.settle()


async def _walk_refresh(sandbox: Sandbox, walk: Walk) -> None:
    """Note the second in which a login is refreshed, with what follows from the new token."""
    bot = Bot("greeter")

    @bot.on(Mention)
    async def greet(_mention: Mention) -> None: ...

    async with sandbox.running(bot):
        uses = sandbox.world.grants.log
        before = len(uses)
        for _ in range(_STEPS):
            with walk.noted():
                await sandbox.advance(_STEP_S)
            if len(uses) != before:
                return
    raise AssertionError("no refresh in two virtual hours")


def take_walks() -> dict[str, Walk]:
    """Return the walks of an event with its reply, of a write and of a refresh."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    walks: dict[str, Walk] = {}
    ways: dict[str, Any] = {"event": _walk_event, "write": _walk_write, "refresh": _walk_refresh}
    for name, way in ways.items():
        walks[name] = walk = Walk()
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(way(Sandbox(Path(folder)), walk))
    return walks


def report(walks: Mapping[str, Walk], *, with_files: bool = False) -> str:
    """Return a line for each walk, and its files with the calls that entered them."""
    lines: list[str] = []
    for name, walk in walks.items():
        lines.append(f"{name:8} {len(walk.calls):3} files {walk.moves:4} moves")
        if with_files:
            lines += [f"  {calls:4} {file}" for file, calls in walk.calls.most_common()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(report(take_walks(), with_files="-v" in sys.argv) + "\n")
