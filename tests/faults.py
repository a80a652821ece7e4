"""The fault catalogue: `python -m tests.faults` lists each fault and where it is tested.

The faults stand in docs/explanation/requirements.md, each with a number. A test of one has its
number in its name, `test_fault_31_...`, or stands in `faults.toml`. Those of the intake must have
a test that is named after their number.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "explanation" / "requirements.md"
_ROW = re.compile(r'^\| <a id="fault-(\d+)"></a>\d+ \| ([^|]+) \|', re.MULTILINE)
_TEST = re.compile(r"^ *(?:async )?def (test_\w+)\(", re.MULTILINE)
_NUMBER = re.compile(r"fault_(\d+)_")
_DATA = tomllib.loads((TESTS / "faults.toml").read_text("utf-8"))

INTAKE = frozenset(_DATA["intake"])
"""The numbers of the faults that concern how events are taken in and handled."""
LISTED: dict[str, list[str]] = _DATA["tests"]
"""The names of tests by the number of the fault that they try, for the others."""


class Fault(NamedTuple):
    """A fault, with its number, its name, and the tests of it."""

    number: int
    title: str
    tests: tuple[str, ...]

    @property
    def is_named(self) -> bool:
        """Whether a test has the number in its name."""
        return any(f"fault_{self.number}_" in test for test in self.tests)


def places() -> dict[str, str]:
    """Return the file of each test, by the test's name; of the same name in two files, the last."""
    return {
        name: file.relative_to(TESTS.parent).as_posix()
        for file in sorted(TESTS.rglob("*.py"))
        for name in _TEST.findall(file.read_text("utf-8"))
    }


def catalogue() -> list[Fault]:
    """Return all faults with their tests, as `file::name`; an unknown name as it is."""
    where = places()
    tests: defaultdict[int, list[str]] = defaultdict(list)
    for name in sorted(where):
        for number in _NUMBER.findall(name):
            tests[int(number)].append(name)
    for number, names in LISTED.items():
        tests[int(number)] += [f"test_{name}" for name in names]
    return [
        Fault(
            int(number),
            title.strip(),
            tuple(
                f"{where[name]}::{name}" if name in where else name for name in tests[int(number)]
            ),
        )
        for number, title in _ROW.findall(PAGE.read_text("utf-8"))
    ]


def main() -> int:
    """Print the catalogue; return 1 if a fault of the intake has no test of its number."""
    faults = catalogue()
    lines: list[str] = []
    for fault in faults:
        mark = " (intake)" if fault.number in INTAKE else ""
        lines.append(f"{fault.number:>2}  {fault.title}{mark}")
        lines += [f"      {test}" for test in fault.tests or ("not tested",)]
    untested = [str(fault.number) for fault in faults if not fault.tests]
    lacking = [each.number for each in faults if each.number in INTAKE and not each.is_named]
    if lacking:
        lines.append(f"\nof the intake without a test of their number: {lacking}")
    lines.append(f"\n{len(faults)} faults, not tested: {', '.join(untested) or 'none'}")
    sys.stdout.write("\n".join([*lines, ""]))
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
