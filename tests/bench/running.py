"""Runs rows: each variant in its process, in turn, and the medians of the ratios of each turn."""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.bench.measure import Order, Sample, Worker, start
from tests.bench.rows import Against, Row, Variant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Compared", "Outcome", "Peers", "run"]

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Ours against another: medians over the turns. `wall` compares wall time the same way."""

    against: Against
    figure: float
    ratio: float
    wall: float

    @property
    def met(self) -> bool:
        return self.against.bar.met(self.ratio)

    @property
    def stretched(self) -> bool:
        return self.against.bar.stretched(self.ratio)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a row came to. `absent` are peers that are not installed."""

    row: Row
    ours: float
    limit: Compared | None
    peers: tuple[Compared, ...]
    absent: tuple[Variant, ...]

    @property
    def verdict(self) -> str:
        """`stretch`, `met` or `MISSED`; `met` says nothing of peers that are not there."""
        ceiling = self.row.ceiling
        each = [*self.peers, *([self.limit] if self.limit else [])]
        if not all(one.met for one in each) or (ceiling and not ceiling.met(self.ours)):
            return "MISSED"
        aims = [one for one in each if one.against.bar.stretch is not None]
        reached = [one.stretched for one in aims]
        if ceiling is not None:
            reached.append(ceiling.stretched(self.ours))
        return "stretch" if reached and all(reached) else "met"


@dataclass(frozen=True)
class Peers:
    """Where peers are: this interpreter, or a second one for those that are not in the lock."""

    second: str = ""
    _second_has: dict[str, bool] = field(default_factory=dict)

    def python_for(self, variant: Variant) -> str | None:
        """The interpreter that can run it, None when no one can."""
        if not variant.needs or importlib.util.find_spec(variant.needs) is not None:
            return sys.executable
        return self.second if self.second and self._has(variant.needs) else None

    def _has(self, module: str) -> bool:
        if module not in self._second_has:
            code = f"import importlib.util as u; raise SystemExit(not u.find_spec({module!r}))"
            ended = subprocess.run([self.second, "-c", code], check=False)
            self._second_has[module] = ended.returncode == 0
        return self._second_has[module]


def run(
    row: Row, *, repetitions: int, quick: bool, peers: Peers, folder: Path | None = None
) -> Outcome:
    """Measure a row.

    Raises:
        RuntimeError: A variant failed or lost an event.
    """
    others = [*([row.limit] if row.limit else []), *row.peers]
    present = [other for other in others if peers.python_for(other.variant) is not None]
    variants = [row.ours, *(other.variant for other in present)]
    with ExitStack() as stack:
        port = stack.enter_context(_Server(row.service)).port if row.service else 0
        workers = [
            stack.enter_context(
                Worker(variant.call, python=peers.python_for(variant) or sys.executable, root=ROOT)
            )
            for variant in variants
        ]
        turns: list[list[Sample]] = []
        for turn in range(-1, repetitions):  # the first is for warming up
            samples = list(_turn(variants, workers, port=port, quick=quick, folder=folder))
            if turn >= 0:
                turns.append(samples)
    return _outcome(row, present, turns, absent=[o.variant for o in others if o not in present])


def _turn(
    variants: Sequence[Variant],
    workers: Sequence[Worker],
    *,
    port: int,
    quick: bool,
    folder: Path | None,
) -> Iterator[Sample]:
    for variant, worker in zip(variants, workers, strict=True):
        with tempfile.TemporaryDirectory(prefix="botkit-bench-", dir=folder) as place:
            size = variant.sized(quick=quick)
            yield worker.ask(Order(size=size, port=port, folder=place))


def _outcome(
    row: Row,
    present: Sequence[Against],
    turns: Sequence[Sequence[Sample]],
    *,
    absent: Sequence[Variant],
) -> Outcome:
    figure = row.figure.of
    compared: list[Compared] = []
    for number, against in enumerate(present, start=1):
        pairs = [(turn[0], turn[number]) for turn in turns]
        ratios = [against.bar.of(figure(us), figure(it), row.figure) for us, it in pairs]
        walls = [(it.wall_s / it.units) / (us.wall_s / us.units) for us, it in pairs]
        compared.append(
            Compared(
                against=against,
                figure=statistics.median(figure(it) for _, it in pairs),
                ratio=statistics.median(ratios),
                wall=statistics.median(walls),
            )
        )
    limit = compared[0] if compared and present[0] is row.limit else None
    return Outcome(
        row=row,
        ours=statistics.median(figure(turn[0]) for turn in turns),
        limit=limit,
        peers=tuple(one for one in compared if one is not limit),
        absent=tuple(absent),
    )


class _Server:
    """A process that prints its port and serves until it is ended."""

    def __init__(self, module: str) -> None:
        self._process = start(sys.executable, "-m", module, root=ROOT)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            process.terminate()
