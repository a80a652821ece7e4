"""Watches the event loop from a thread of its own and logs which handler blocks it.

A handler that computes or waits without `await` stops everything: other handlers, the stream, the
lease. Nothing inside the loop can say so. Source: docs/explanation/requirements.md, fault 48.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Self

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from botkit.runtime.dispatch.workers import Slot

__all__ = ["Watchdog"]

_log = structlog.get_logger(__name__)

_BEAT_S = 1.0
_PATIENCE_S = 5.0
_FRAMES = 6


class Watchdog:
    """Logs each time that the loop stands still for longer than a few seconds, once.

    Made in the loop's thread. Goes by real seconds, because what it watches is real.

    Args:
        running: The slots in which handlers run.
        steady: Seconds on a clock that never goes back.
    """

    def __init__(
        self,
        running: Callable[[], list[Slot]],
        *,
        steady: Callable[[], float],
        patience_s: float = _PATIENCE_S,
        beat_s: float = _BEAT_S,
    ) -> None:
        self._running = running
        self._steady = steady
        self._patience_s = patience_s
        self._beat_s = beat_s
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._last = self._looked = steady()
        self._told = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="botkit-watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._beat()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def look(self) -> None:
        """Log that the loop has been standing still for too long, but only once."""
        now = self._steady()
        looked, self._looked = self._looked, now
        if now - looked > 2 * self._beat_s + 1:
            self._last = now  # the whole process stood still, or the machine slept
        stood_s = now - self._last
        if stood_s < self._patience_s:
            self._told = False
        elif not self._told:
            self._told = True
            _log.error(
                "event_loop.blocked",
                handler=self._culprit(),
                seconds=round(stood_s),
                where=self._where(),
            )

    def _watch(self) -> None:
        while not self._over.wait(self._beat_s):
            self.look()

    def _beat(self) -> None:
        self._last = self._steady()
        if not self._over.is_set():
            self._loop.call_later(self._beat_s, self._beat)

    def _culprit(self) -> str:
        task = asyncio.current_task(self._loop)
        for slot in self._running():
            if slot.task is task:
                return slot.handler
        return "no handler of the bot"

    def _where(self) -> str:
        # The documented way to see what another thread does, underscore and all.
        frames = sys._current_frames()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        frame = frames.get(self._thread_id)
        if frame is None:
            return ""
        stack = traceback.extract_stack(frame)[-_FRAMES:]
        return " < ".join(f"{one.name} ({one.filename}:{one.lineno})" for one in reversed(stack))
