"""E1 to E3: what a start costs, in CPU of a whole process that does only that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import IO

from tests.bench import ready
from tests.bench.measure import Order, Sample

__all__ = [
    "bare",
    "botkit_help",
    "botkit_import",
    "botkit_ready",
    "botkit_version",
    "import_aiogram",
    "import_aiohttp",
    "import_telegram",
    "import_tweepy",
    "import_tweepy_async",
]


_ENVIRON = {name: v for name, v in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Where modules are compiled once, as they are in service: what is measured is a start."""


def _best(order: Order, *arguments: str, until: str = "", folder: str = "") -> Sample:
    """The least of so many starts, up to the line with `until`; `value` is in milliseconds."""
    spans = [_start(*arguments, until=until, folder=folder) for _ in range(order.size)]
    cpu_s, wall_s = min(spans)
    return Sample(units=1, cpu_s=cpu_s, wall_s=wall_s, value=cpu_s * 1e3)


def _start(*arguments: str, until: str, folder: str) -> tuple[float, float]:
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=folder or None,
        env=_ENVIRON,
        text=True,
    ) as process:
        assert process.stderr is not None
        seen = _read(process.stderr, until)
        wall_s = time.perf_counter() - began
        if until:
            process.kill()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wanted = -signal.SIGKILL if until else 0
    if process.returncode != wanted or until not in seen:
        raise RuntimeError(f"{arguments} ended with {process.returncode}: {seen}")
    return usage.ru_utime + usage.ru_stime, wall_s


def _read(lines: IO[str], until: str) -> str:
    """What was said, up to the line that is waited for, else to the end."""
    said = ""
    for line in lines:
        said += line
        if until and until in line:
            break
    return said


def _python(code: str, order: Order) -> Sample:
    return _best(order, "-c", code)


bare = partial(_python, "pass")
botkit_import = partial(_python, "import botkit")
import_aiohttp = partial(_python, "import aiohttp")
import_aiogram = partial(_python, "import aiogram")
import_telegram = partial(_python, "import telegram.ext")
import_tweepy = partial(_python, "import tweepy")
import_tweepy_async = partial(_python, "import tweepy.asynchronous")


def botkit_version(order: Order) -> Sample:
    return _best(order, "-m", "botkit", "--version")


def botkit_help(order: Order) -> Sample:
    return _best(order, "-m", "botkit", "--help")


def botkit_ready(order: Order) -> Sample:
    """`botkit run` with a bot and one account, from its first instruction until it hears."""
    ready.prepare(Path(order.folder))
    return _best(order, "-m", "botkit", "run", until=ready.RUNNING, folder=order.folder)
