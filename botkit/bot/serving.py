"""Run a bot as the process's only work: logs, signals, deadlines, exit codes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import structlog

from botkit.bot.compose import RunOptions
from botkit.bot.running import open_bot
from botkit.config import Settings, load_settings, secrets_in_environment, secrets_of, wants_color
from botkit.config.file_faults import as_config_error
from botkit.errors import BotkitError, ConfigError
from botkit.runtime.dispatch.exception_groups import leaves_of
from botkit.runtime.life.watchdog import Watchdog
from botkit.system import SystemClock
from botkit.telemetry.core_dumps import forbid_dumps
from botkit.telemetry.log import set_up_logging
from botkit.telemetry.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from botkit.bot.plan import Plan, Planned

__all__ = ["log_as", "serve", "serve_bot"]

_log = structlog.get_logger(__name__)

_GRACE_S = 1.5
_OK, _INTERRUPTED = 0, 130


class _Signals:
    """Stop the bot on a signal: SIGTERM drains, SIGINT or a second signal ends at once.

    SIGHUP is ignored. A timer thread ends the process after the deadline, even if a handler
    blocks the event loop or swallows its cancellation.
    """

    def __init__(self, drain_s: float) -> None:
        self._drain_s = drain_s
        self._loop = asyncio.get_running_loop()
        self.stop = asyncio.Event()
        self.code = _OK
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._on_signal)
        if hasattr(signal, "SIGHUP"):
            self._before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.stop.is_set() or self.code:
            self._leave_now(128 + number)
        patience_s = self._drain_s
        if number == signal.SIGINT:
            self.code, patience_s = 128 + number, 0.0
        timer = threading.Timer(patience_s + _GRACE_S, os._exit, [self.code])
        timer.daemon = True
        timer.start()
        self._loop.call_soon_threadsafe(self.stop.set)

    @staticmethod
    def _leave_now(code: int) -> None:
        sys.stderr.flush()
        os._exit(code)


async def serve(
    plan: Plan,
    settings: Settings,
    options: RunOptions | None = None,
    *,
    on_running: Callable[[], None] | None = None,
) -> int:
    """Run the bot until a signal; return the exit code. `on_running` is called once it runs.

    Raises:
        ConfigError: No account is authorized yet.
        BotkitError: Any other error that `open_bot` raises.
    """
    with _Signals(settings.run.drain_s) as signals:
        async with open_bot(plan, settings, options or RunOptions()) as running:
            if on_running is not None:
                on_running()
            with Watchdog(lambda: running.dispatcher.running, steady=SystemClock().monotonic):
                await signals.stop.wait()
            _log.info("bot.stopping", drain_s=settings.run.drain_s)
            await running.stop(0.0 if signals.code else None)
        if running.stubborn:
            _log.error("handlers.abandoned", handlers=running.stubborn)
            os._exit(signals.code)
        return signals.code


def log_as(settings: Settings, *, level: str | None = None) -> Redactor:
    """Set logging up by the settings, with their secrets hidden; return the redactor.

    `level` is for a command that speaks to a person and logs only problems; a setting of `debug`
    stays.
    """
    return set_up_logging(
        level=level if level and settings.log.level != "debug" else settings.log.level,
        as_json={"auto": None, "text": False, "json": True}[settings.log.format],
        secrets=secrets_of(settings),
        in_color=wants_color(on_terminal=sys.stderr.isatty()),
    )


def _called(bot: Planned) -> str:
    """Return the argument that names this bot to `botkit dev` in the current folder."""
    main = sys.modules["__main__"]
    name = next((key for key, value in vars(main).items() if value is bot), "bot")
    if main.__spec__ is not None:  # started as python -m
        return f"{main.__spec__.name}:{name}"
    try:
        script, here = Path(sys.argv[0]).absolute(), Path.cwd()
    except OSError:  # the folder is gone
        return f"{sys.argv[0]}:{name}"
    return f"{script.relative_to(here) if script.is_relative_to(here) else script}:{name}"


def serve_bot(bot: Planned) -> int:
    """Run the bot of `bot.run()` with the settings of this folder; return the exit code."""
    redactor = Redactor(secrets_in_environment())
    try:
        settings = load_settings()
        if not settings.run.debuggable:
            forbid_dumps()
        redactor = log_as(settings)
        return asyncio.run(serve(bot.plan, settings, RunOptions(redactor=redactor)))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (BotkitError, OSError, ExceptionGroup) as fault:
        error = _explained(fault)
        if error is None:
            raise
        problems = error.problems if isinstance(error, ConfigError) else (str(error),)
        for problem in problems:
            sys.stderr.write(f"botkit: {redactor.line(problem)}\n")
        if isinstance(error, ConfigError) and error.hint:
            hint = error.hint.replace("MODULE:BOT", _called(bot))
            sys.stderr.write(f"  {redactor.line(hint)}\n")
        return error.exit_code


def _explained(fault: Exception) -> BotkitError | None:
    """Return the error that tells the person the cure; None for a fault of the program."""
    leaves = leaves_of(fault)
    only = leaves[0] if len(leaves) == 1 else fault
    if isinstance(only, OSError):
        return as_config_error(only)
    return only if isinstance(only, BotkitError) else None
