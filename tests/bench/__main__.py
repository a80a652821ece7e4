"""`python -m tests.bench`: measures the rows and prints the table; exit code 1 on a missed bar."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.bench.rows import ROWS
from tests.bench.running import ROOT, Peers, run
from tests.bench.table import table

__all__ = ["main"]

_PEERS = ROOT / ".cache" / "bench-peers" / "bin" / "python"
_REPETITIONS = 5
_QUICK_REPETITIONS = 1


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for; gives the exit code."""
    asked = _parser().parse_args(arguments)
    wanted = [name.strip() for name in asked.rows.split(",")] if asked.rows else []
    rows = [row for row in ROWS if not wanted or row.id in wanted]
    unknown = sorted(set(wanted) - {row.id for row in ROWS})
    if unknown:
        print(f"no such row: {', '.join(unknown)}", file=sys.stderr)
        return 2
    repetitions = asked.repetitions or (_QUICK_REPETITIONS if asked.quick else _REPETITIONS)
    second = asked.peers or (str(_PEERS) if _PEERS.exists() else "")
    peers = Peers(second)
    outcomes = []
    for row in rows:
        print(f"{row.id} {row.path} ...", file=sys.stderr, flush=True)
        outcomes.append(
            run(row, repetitions=repetitions, quick=asked.quick, peers=peers, folder=asked.folder)
        )
    print(table(outcomes))
    missed = [outcome.row.id for outcome in outcomes if outcome.verdict == "MISSED"]
    return 1 if missed and not asked.quick else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rows", help="some rows only, for instance A1,C1")
    parser.add_argument("--repetitions", type=int, help=f"turns, {_REPETITIONS} if not given")
    parser.add_argument(
        "--quick", action="store_true", help="a fiftieth of the work: says that it runs, no more"
    )
    parser.add_argument(
        "--peers",
        metavar="PYTHON",
        help="the interpreter of an environment with more peers "
        "(if not given, .cache/bench-peers/bin/python when it is there)",
    )
    parser.add_argument(
        "--folder", type=Path, help="where stores are made: the disk that is measured"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
