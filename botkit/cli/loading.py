"""Load the bot that a command names: `package.module:bot`, or `path/to/file.py:bot`."""

from __future__ import annotations

import importlib
import importlib.util
import stat
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import botkit
from botkit.config.file_faults import unreadable
from botkit.errors import ConfigError, WiringError

if TYPE_CHECKING:
    from types import ModuleType

    from botkit.bot.definition import Bot

__all__ = ["load_bot"]

_HOW = "Write MODULE:BOT, for instance mybot.bot:bot or bot.py:bot."


def load_bot(target: str, *, folder: Path | None = None) -> Bot:
    """Import the module and return its bot. Modules of the current folder come first.

    Raises:
        ConfigError: There is no such module, or it holds no such bot.
        WiringError: The bot's handlers cannot be wired.
    """
    from botkit.bot.definition import IMPORTED, Bot

    name, _, attribute = target.rpartition(":")
    if not name or not attribute:
        raise ConfigError(f"{target!r} names no bot.", hint=_HOW)
    now = IMPORTED.set(True)
    try:
        module = _import(name, folder or Path.cwd())
    finally:
        IMPORTED.reset(now)
    found = getattr(module, attribute, None)
    if found is None:
        bots = [key for key, value in vars(module).items() if isinstance(value, Bot)]
        hint = f"It holds: {', '.join(bots)}." if bots else "It holds no Bot at all."
        raise ConfigError(f"{name} has no {attribute!r}.", hint=hint)
    if not isinstance(found, Bot):
        raise ConfigError(f"{target} is a {type(found).__name__}, not a Bot.", hint=_HOW)
    return found


def _import(name: str, folder: Path) -> ModuleType:
    path = str(folder)
    if path not in sys.path:
        sys.path.insert(0, path)
    try:
        if name.endswith(".py") or "/" in name:
            return _import_file(folder / name)
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise ConfigError(
                f"There is no module {error.name!r} here ({folder}).", hint=_HOW
            ) from error
        raise ConfigError(f"{name} imports {error.name!r}, which is not installed.") from error
    except WiringError as error:
        where = _place_of(error)
        if not where or where in error.message:
            raise
        message = f"{error.message.rstrip('.')} ({where})."
        raise WiringError(message, problems=error.problems, hint=error.hint) from error
    except ConfigError:
        raise
    except Exception as error:
        where = _line_of(error)
        raise ConfigError(
            f"{name} cannot be imported: {type(error).__name__}: {error}{where}"
        ) from error


def _import_file(file: Path) -> ModuleType:
    try:
        is_file = stat.S_ISREG(file.stat().st_mode)
    except FileNotFoundError:
        is_file = False
    except OSError as fault:
        raise ConfigError(f"{file} {unreadable(fault)}.") from fault
    if not is_file:
        raise ConfigError(f"There is no file {file}.", hint=_HOW)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{file} is not a Python file.", hint=_HOW)
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def _place_of(error: WiringError) -> str:
    """Return file and line of the bot's code whose registration was refused."""
    frames = traceback.extract_tb(error.__traceback__)
    own = str(Path(botkit.__file__).parent)
    theirs = [frame for frame in frames if not frame.filename.startswith((own, "<"))]
    return f"{theirs[-1].filename}:{theirs[-1].lineno}" if theirs else ""


def _line_of(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return "."  # its text names the line already; the trace shows the import only
    trace = error.__traceback__
    last = None
    while trace is not None:
        last, trace = trace, trace.tb_next
    return f" ({last.tb_frame.f_code.co_filename}:{last.tb_lineno})." if last else "."
