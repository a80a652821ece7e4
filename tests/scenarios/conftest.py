"""A bot that greets, and a way to kill it between any two commits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

from botkit import Actions, Bot, Mention
from botkit.errors import OutcomeUnknown, StoreUnavailable
from botkit.filters import contains
from botkit.sandbox.x.transport import SandboxTransport
from botkit.storage.sqlite.engine import Engine

if TYPE_CHECKING:
    from botkit.sandbox import Process


@pytest.fixture
def bot() -> Bot:
    bot = Bot("greeter")

    @bot.on(Mention, contains("hello"))
    async def greet(mention: Mention, act: Actions) -> None:
        await act.reply(mention, f"Hello @{mention.author.username}!")

    return bot


class Killer:
    """Counts the points at which a process can die, and lets it die at one of them.

    A point is just before or just after a commit of the store, or a call of X.
    """

    def __init__(self) -> None:
        self.passed = 0
        self._at = 0
        self._victim: Process | None = None

    @property
    def struck(self) -> bool:
        """Whether the process got as far as the point."""
        return 0 < self._at <= self.passed

    def aim(self, victim: Process, *, at: int) -> None:
        """Kill the process when it comes to its next point of that number, from 1."""
        self.passed, self._at, self._victim = 0, at, victim

    def rest(self) -> None:
        """Let every process live."""
        self._victim = None

    def point(self, error: type[Exception]) -> None:
        """The process comes by."""
        if self._victim is None:
            return
        self.passed += 1
        if self.passed == self._at:
            self._victim._life.over = True
        if self._victim._life.over:
            raise error("killed")


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Killer:
    killer = Killer()
    _context(monkeypatch, Engine, "write", killer, StoreUnavailable)
    _context(monkeypatch, SandboxTransport, "send", killer, OutcomeUnknown)
    return killer


def _context(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, killer: Killer, error: type[Exception]
) -> None:
    plain: Callable[..., Awaitable[Any]] = getattr(owner, name)

    async def passed(*args: Any, **kwargs: Any) -> Any:
        killer.point(error)
        result = await plain(*args, **kwargs)
        killer.point(error)
        return result

    monkeypatch.setattr(owner, name, passed)
