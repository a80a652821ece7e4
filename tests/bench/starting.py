"""E1 to E3: what a start costs, in CPU of a whole process that does only that."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

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


def _best(order: Order, *arguments: str) -> Sample:
    """The least of so many starts; its `value` is in milliseconds."""
    spans: list[tuple[float, float]] = []
    for _ in range(order.size):
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        spans.append((usage.ru_utime + usage.ru_stime, time.perf_counter() - began))
        said = process.communicate()[1]
        if process.returncode:
            raise RuntimeError(f"{arguments} ended with {process.returncode}: {said.decode()}")
    cpu_s, wall_s = min(spans)
    return Sample(units=1, cpu_s=cpu_s, wall_s=wall_s, value=cpu_s * 1e3)


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
    """A bot with one account, from the first instruction until it hears."""
    ready.prepare(Path(order.folder))
    return _best(order, "-m", ready.__name__, order.folder)
