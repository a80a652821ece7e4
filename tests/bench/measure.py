"""Orders, samples and the processes that carry them out: the standard library only.

Worker processes import this with the interpreter of a peer, which need not know botkit.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Meter", "Order", "Sample", "Worker", "start"]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a variant is to do.

    `size` counts its units of work, `port` is where the row's server listens, 0 without one, and
    `folder` is a new one on the disk that is measured.
    """

    size: int
    port: int = 0
    folder: str = ""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What it took: CPU of the whole process and wall time, for `units` units of work.

    `value` is the figure itself where it is no quotient of these, such as a median.
    """

    units: int
    cpu_s: float
    wall_s: float
    value: float | None = None


class Meter:
    """Measures the block that it surrounds: `with Meter() as meter: ...; return meter.of(n)`."""

    def __enter__(self) -> Self:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self._cpu = time.process_time() - self._cpu
        self._wall = time.perf_counter() - self._wall

    def of(self, units: int, *, value: float | None = None) -> Sample:
        return Sample(units=units, cpu_s=self._cpu, wall_s=self._wall, value=value)


def start(python: str, *arguments: str, root: Path) -> subprocess.Popen[str]:
    """A process that speaks by lines of standard input and output."""
    return subprocess.Popen(
        [python, *arguments],
        cwd=root,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


class Worker:
    """A variant in a process of its own, asked again and again."""

    def __init__(self, call: str, *, python: str = sys.executable, root: Path) -> None:
        self._call = call
        self._process = start(python, "-m", "tests.bench.worker", call, root=root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _pipe(self._process.stdin).close()
        self._process.wait(30)
        _pipe(self._process.stdout).close()

    def ask(self, order: Order) -> Sample:
        """Carry the order out.

        Raises:
            RuntimeError: The variant failed, for instance because an event was lost.
        """
        _say(_pipe(self._process.stdin), asdict(order))
        answer = _pipe(self._process.stdout).readline()
        if not answer:
            raise RuntimeError(f"{self._call} failed (exit code {self._process.wait(30)})")
        return Sample(**json.loads(answer))


def _say(pipe: IO[str], message: dict[str, Any]) -> None:
    pipe.write(json.dumps(message) + "\n")
    pipe.flush()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
