"""Make small changes in the modules that decide things, one at a time, and see who notices.

    make mutants                       # some of each group
    make mutants MUTANTS='--sample 40 --seed 7 --only guard'

Each change is made in a copy of the repository, where the tests that cover its module are run.
Prints how many were noticed, and those that nobody noticed. Not every survivor is a fault: a
change may change nothing.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutation.changes import Change, changes_of

ROOT = Path(__file__).parents[2]
LONGEST_S = 300


@dataclass(frozen=True)
class Group:
    """Modules, and the tests that ought to notice a change in them."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


GROUPS = {
    "rules": Group(("botkit/protocol/rules/*.py",), ("tests/unit/protocol/rules",)),
    "guard": Group(
        ("botkit/runtime/writes/checks/guard.py", "botkit/runtime/writes/checks/budget.py"),
        ("tests/unit/runtime/writes",),
    ),
    "outbox": Group(
        ("botkit/runtime/writes/outbox.py", "botkit/runtime/writes/reconcile.py"),
        ("tests/unit/runtime/writes",),
    ),
    "refresh": Group(("botkit/client/refresh/*.py",), ("tests/unit/client/refresh",)),
    "store": Group(
        ("botkit/storage/sql/**/*.py", "botkit/storage/sqlite/*.py"),
        ("tests/storage", "tests/unit/storage"),
    ),
}


@dataclass(frozen=True)
class Mutant:
    """A change of a module."""

    group: str
    module: Path
    change: Change

    def __str__(self) -> str:
        old = " ".join(self.change.old.split())
        return f"{self.module}:{self.change.line}: {old}  ->  {self.change.new}"


def mutants_of(name: str, folder: Path) -> list[Mutant]:
    """Return every mutant of a group."""
    modules = {path for glob in GROUPS[name].modules for path in folder.glob(glob)}
    return [
        Mutant(name, path.relative_to(folder), change)
        for path in sorted(modules)
        if not path.name.startswith("_generate")
        for change in changes_of(path.read_text())
    ]


def copied(folder: Path) -> None:
    """Copy what git knows of the repository."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True
    ).stdout.split(b"\0")
    for name in filter(None, names):
        source = ROOT / name.decode()
        if source.is_file():
            target = folder / name.decode()
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())


def is_noticed(mutant: Mutant, folder: Path) -> bool:
    """Return True if the group's tests fail with the change."""
    path = folder / mutant.module
    source = path.read_text()
    path.write_text(mutant.change.apply(source))
    try:
        return not passes(mutant.group, folder)
    finally:
        path.write_text(source)


def passes(group: str, folder: Path) -> bool:
    """Run a group's tests there."""
    options = ("-q", "-x", "-p", "no:randomly", "--timeout", "60")
    command = [sys.executable, "-m", "pytest", *options, *GROUPS[group].tests]
    try:
        done = subprocess.run(
            command, cwd=folder, check=False, capture_output=True, timeout=LONGEST_S
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Try a sample of each group; the exit code is 1 if less than 95 of 100 are noticed."""
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("--sample", type=int, default=12, help="mutants of each group")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=GROUPS, action="append")
    asked = parser.parse_args()
    tried = noticed = 0
    with TemporaryDirectory() as name:
        folder = Path(name)
        copied(folder)
        for group in asked.only or GROUPS:
            if not passes(group, folder):
                say(f"{group}: its tests fail without any change")
                return 2
            everyone = mutants_of(group, folder)
            chosen = random.Random(asked.seed).sample(everyone, min(asked.sample, len(everyone)))
            survivors = [one for one in chosen if not is_noticed(one, folder)]
            tried += len(chosen)
            noticed += len(chosen) - len(survivors)
            say(
                f"{group}: {len(chosen) - len(survivors)} of {len(chosen)} ({len(everyone)} in all)"
            )
            for survivor in survivors:
                say(f"  survived  {survivor}")
    say(f"noticed: {noticed} of {tried}")
    return 0 if noticed * 100 >= tried * 95 else 1


if __name__ == "__main__":
    sys.exit(main())
