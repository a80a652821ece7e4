"""The bench runs: no figure is judged here, for a busy machine says nothing about speed."""

from __future__ import annotations

import importlib
import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bench import running
from tests.bench.__main__ import main
from tests.bench.measure import Order, Sample
from tests.bench.payloads import DIFFERENT, LEAST_BYTES, MOST_BYTES, lines
from tests.bench.rows import ROWS, Against, Bar, Figure, Row, Variant
from tests.bench.running import Compared, Outcome
from tests.bench.table import COLUMNS, table


def outcome(figure: Figure, bar: Bar, ours: float, other: float) -> Outcome:
    variant = Variant(name="other", call="", size=1)
    against = Against(variant=variant, bar=bar)
    row = Row(id="X", path="a path", figure=figure, ours=variant, limit=against)
    ratio = bar.of(ours, other, figure)
    limit = Compared(against=against, figure=other, ratio=ratio, wall=1.0)
    return Outcome(row=row, ours=ours, limit=limit, peers=(), absent=())


@pytest.mark.slow
def test_the_cheap_rows_run_and_every_column_is_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(["--quick", "--rows", "A2,B3,C1,D1,E1"]) == 0
    header, *rows = capfd.readouterr().out.splitlines()
    assert re.split(r"  +", header) == list(COLUMNS)
    printed = [re.split(r"  +", row) for row in rows if row[:1] in set("ABCDE")]
    assert [cells[0] for cells in printed] == ["A2", "B3", "C1", "D1", "E1", "E1"]
    assert {len(cells) for cells in printed} == {len(COLUMNS)}


@pytest.mark.slow
@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.id in {"A1", "C2", "D2"}], ids=lambda row: row.id
)
def test_the_variants_of_rows_that_others_resemble_run_too(row: Row, tmp_path: Path) -> None:
    variants = [row.ours, *(other.variant for other in (row.limit, *row.peers) if other)]
    with ExitStack() as stack:
        port = stack.enter_context(running._Server(row.service)).port if row.service else 0
        for number, variant in enumerate(variants):
            if variant.needs in {"", "aiosqlite"}:
                folder = tmp_path / str(number)
                folder.mkdir()
                size = variant.sized(quick=True)
                module, _, name = variant.call.partition(":")
                call = getattr(importlib.import_module(module), name)
                sample: Sample = call(Order(size=size, port=port, folder=str(folder)))
                assert sample.units == size


def test_a_row_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rows", "Z9"]) == 2
    assert "Z9" in capsys.readouterr().err


def test_the_payloads_differ_and_have_the_size_of_real_ones() -> None:
    made = lines(2 * DIFFERENT)
    assert len(set(made)) == 2 * DIFFERENT
    assert LEAST_BYTES <= min(map(len, made)) < 2_000
    assert 4_000 < max(map(len, made)) <= MOST_BYTES
    assert made == lines(2 * DIFFERENT)


@pytest.mark.parametrize(
    ("figure", "bar", "ours", "other", "verdict"),
    [
        (Figure.PER_CPU_S, Bar(ratio=2, stretch=3), 200, 100, "met"),
        (Figure.PER_CPU_S, Bar(ratio=2, stretch=3), 300, 100, "stretch"),
        (Figure.PER_S, Bar(ratio=2), 199, 100, "MISSED"),
        (Figure.CPU_US, Bar(ratio=2, at_most=True), 200, 100, "met"),
        (Figure.CPU_US, Bar(ratio=2, at_most=True), 201, 100, "MISSED"),
        (Figure.CPU_US, Bar(ratio=2), 100, 200, "met"),
        (Figure.MS, Bar(ratio=2), 100, 199, "MISSED"),
    ],
)
def test_a_rate_is_better_when_it_is_more_and_a_cost_when_it_is_less(
    figure: Figure, bar: Bar, ours: float, other: float, verdict: str
) -> None:
    assert outcome(figure, bar, ours, other).verdict == verdict


def test_a_figure_is_by_cpu_by_wall_time_or_the_sample_s_own() -> None:
    sample = Sample(units=10, cpu_s=2.0, wall_s=5.0)
    assert Figure.PER_CPU_S.of(sample) == 5.0
    assert Figure.PER_S.of(sample) == 2.0
    assert Figure.CPU_US.of(sample) == 200_000.0
    assert Figure.MS.of(Sample(units=10, cpu_s=2.0, wall_s=5.0, value=7.0)) == 7.0


def test_the_table_names_the_peers_that_are_not_there() -> None:
    absent = Variant(name="aiogram", call="", size=1, needs="aiogram", package="aiogram")
    made = outcome(Figure.CPU_US, Bar(ratio=2), 1.0, 4.0)
    shown = table([Outcome(row=made.row, ours=1.0, limit=None, peers=(), absent=(absent,))])
    assert shown.splitlines()[-1] == "peer not installed: pip install aiogram"


def test_every_row_of_the_list_has_something_to_be_compared_with() -> None:
    assert [row.id for row in ROWS if row.limit is None and row.ceiling is None] == []
    assert len({(row.id, row.path) for row in ROWS}) == len(ROWS)
