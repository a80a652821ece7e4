"""A fault in any coroutine that holds a secret shows none: not in the traceback, not in its frames.

Each coroutine of `client` and `wizard` that a secret passes through is made to fail at its last
line. What is printed of that is looked through: the standard traceback, and the values of all
local names, which tools for the reporting of errors and pretty tracebacks show.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import sys
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

import botkit
from botkit.sandbox.x.listener import OpenServer, open_server
from tests.canary.marks import find
from tests.canary.scene import WAYS, Scene, scene

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    # A fault on the way into or out of the transport leaves its session or its socket open.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif("CANARY_REPORT" not in os.environ, reason="make canary"),  # noqa: TID251
]

ROOT = Path(botkit.__file__).parent
ROOMS = (f"{ROOT / 'client'}/", f"{ROOT / 'wizard'}/")
SANDBOX = f"{ROOT / 'sandbox'}/"
_RUNS = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR

Line = tuple[CodeType, int]


class Provoked(Exception):
    """What every fault is."""


def is_ours(code: CodeType) -> bool:
    return code.co_filename.startswith(ROOMS) and bool(code.co_flags & _RUNS)


def recording(seen: Counter[Line]) -> Callable[..., Any]:
    def at_line(frame: FrameType, event: str, _arg: object) -> Any:
        if event == "line":
            seen[frame.f_code, frame.f_lineno] += 1
        return at_line

    def at_call(frame: FrameType, _event: str, _arg: object) -> Any:
        return at_line if is_ours(frame.f_code) else None

    return at_call


def failing(where: Line, times: int) -> Callable[..., Any]:
    """At the last time that the line is reached."""
    left = [times]

    def at_line(frame: FrameType, event: str, _arg: object) -> Any:
        if event == "line" and frame.f_lineno == where[1]:
            left[0] -= 1
            if left[0] == 0:
                raise Provoked
        return at_line

    def at_call(frame: FrameType, _event: str, _arg: object) -> Any:
        return at_line if frame.f_code is where[0] else None

    return at_call


async def run(
    opened: OpenServer, folder: Path, way: Callable[[Scene], Any], trace: Callable[..., Any]
) -> None:
    await asyncio.to_thread(folder.mkdir, mode=0o700)
    async with scene(opened, folder) as at, asyncio.timeout(20):
        sys.settrace(trace)
        try:
            await way(at)
        finally:
            sys.settrace(None)


def as_tools_show(error: BaseException) -> dict[str, str]:
    """The standard traceback, and what tools print that show the values of local names too."""
    frames = traceback.TracebackException.from_exception(error, capture_locals=True)
    return {
        "traceback": "".join(traceback.format_exception(error)),
        "locals": "".join(own_frames(frames)),
    }


def own_frames(shown: traceback.TracebackException | None) -> list[str]:
    """The frames of botkit, with their locals: what a test holds in its own is not the product's."""
    if shown is None:
        return []
    lines = [
        f"{frame.filename} {frame.name} {name} = {value}\n"
        for frame in shown.stack
        if frame.filename.startswith(f"{ROOT}/") and not frame.filename.startswith(SANDBOX)
        for name, value in (frame.locals or {}).items()
    ]
    for inner in (shown.__cause__, shown.__context__, *(shown.exceptions or ())):
        lines += own_frames(inner)
    return lines


@pytest.fixture
async def opened() -> AsyncIterator[OpenServer]:
    async with open_server() as opened:
        opened.server.limits.enforced = False
        yield opened


@pytest.fixture(autouse=True)
def left_open() -> Iterator[None]:
    """What a fault left open is found while this module's filter of warnings holds."""
    yield
    gc.collect()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_a_fault_shows_no_secret(opened: OpenServer, tmp_path: Path, way: Any) -> None:
    seen: Counter[Line] = Counter()
    await run(opened, tmp_path / "plain", way, recording(seen))
    last = {code: max(line for other, line in seen if other is code) for code, _ in seen}
    assert len(last) > 10

    leaks: set[str] = set()
    for number, where in enumerate(last.items()):
        error: BaseException | None = None
        try:
            await run(opened, tmp_path / str(number), way, failing(where, seen[where]))
        except Exception as raised:  # noqa: BLE001 - whatever it became on its way up
            error = raised
        if error is None:
            continue
        for tool, text in as_tools_show(error).items():
            for line in text.splitlines():
                leaks |= {f"{tool}: {kind}: {line.strip()[:150]}" for kind in find(line)}
    assert sorted(leaks) == []
