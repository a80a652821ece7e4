"""Make small changes in the modules that decide things, one at a time, and see who notices.

    make mutants                       # some of each group
    make mutants MUTANTS='--sample 40 --seed 7 --only guard'

Each change is made in a copy of the repository, where the tests are run that run the changed
lines. Prints how many were noticed, and those that nobody noticed. Not every survivor is a fault:
a change may change nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutation.groups import GROUPS, Group, Mutant, sample_of

ROOT = Path(__file__).parents[2]
KNOWN = ROOT / ".cache" / "mutation"
LONGEST_S = 3600
TEST_S = 120
"""More than the suite allows a test, since the first one imports everything on a busy machine."""


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


def digest_of(group: Group, folder: Path) -> str:
    """Return a digest of a group's modules and tests."""
    digest = hashlib.sha256()
    tests = [
        path
        for each in group.tests
        for path in ((folder / each).glob("**/*.py") if each[-3:] != ".py" else [folder / each])
    ]
    for path in [*(folder / one for one in group.files(folder)), *sorted(tests)]:
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def ran(group: Group, folder: Path, work: str) -> bool:
    """Run pytest with the plugin `forks`; True if all passed."""
    options = ["-q", "-p", "no:randomly", "-p", "tests.mutation.forks", f"--timeout={TEST_S}"]
    if work != "measure":
        options.append("-x")
    environment = {
        **os.environ,
        "CHANGES_IN": str(folder),
        "CHANGES_WORK": work,
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    temporary = f"--basetemp={folder}/tmp"
    command = [sys.executable, "-m", "pytest", *options, temporary, "--hypothesis-seed=0"]
    try:
        done = subprocess.run(
            [*command, *group.tests],
            cwd=folder,
            env=environment,
            check=False,
            capture_output=True,
            timeout=LONGEST_S,
        )
    except subprocess.TimeoutExpired:
        return False
    (folder / f"{work}.log").write_bytes(done.stdout + done.stderr)
    return done.returncode == 0


def measured(name: str, group: Group, folder: Path) -> bool:
    """Find out which test runs which lines, unless it is known of this very code and tests."""
    known = KNOWN / f"{name}-{digest_of(group, folder)}.json"
    if not known.is_file():
        (folder / "modules.json").write_text(json.dumps([str(one) for one in group.files(folder)]))
        if not ran(group, folder, "measure"):
            say((folder / "measure.log").read_text()[-2000:])
            return False
        KNOWN.mkdir(parents=True, exist_ok=True)
        for old in KNOWN.glob(f"{name}-*.json"):
            old.unlink()
        known.write_bytes((folder / "known.json").read_bytes())
    (folder / "known.json").write_bytes(known.read_bytes())
    for failed in json.loads(known.read_text())["failed"]:
        say(f"  left out, it fails without any change: {failed}")
    return True


def survivors_of(group: Group, folder: Path, mutants: list[Mutant]) -> list[Mutant]:
    """Return the changes that no test noticed, neither in a fork nor in a process of their own."""
    jobs = [one.job() for one in mutants]
    # The last one changes nothing: where it is noticed, the others may be noticed for nothing.
    unchanged = {**jobs[-1], "source": (folder / mutants[-1].module).read_text()}
    (folder / "jobs.json").write_text(json.dumps([*jobs, unchanged]))
    (folder / "answers.jsonl").write_text("")
    ran(group, folder, "try")
    lines = (folder / "answers.jsonl").read_text().splitlines()
    *answers, of_nothing = (json.loads(line)["answer"] for line in lines)
    if of_nothing.startswith("noticed"):
        say(f"  do not believe this: {mutants[-1].module} without any change is {of_nothing}")
    left: list[Mutant] = []
    for mutant, answer in zip(mutants, answers, strict=True):
        # What follows from a constant, and what runs only at an import, a fork does not see.
        sure = answer == "survived" and mutant.change.where == "function"
        if not answer.startswith("noticed") and (sure or passes(group, folder, mutant)):
            left.append(mutant)
    return left


def passes(group: Group, folder: Path, mutant: Mutant) -> bool:
    """Run the tests of the changed lines once more, where the change is imported."""
    (folder / "jobs.json").write_text(json.dumps([mutant.job()]))
    path = folder / mutant.module
    before = path.read_text()
    path.write_text(mutant.source)
    try:
        return ran(group, folder, "fresh")
    finally:
        path.write_text(before)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Try a sample of each group; the exit code is 1 if one notices less than it must."""
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("--sample", type=int, default=12, help="changes of each group")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=GROUPS, action="append")
    asked = parser.parse_args()
    missed = False
    with TemporaryDirectory() as name:
        folder = Path(name).resolve()
        copied(folder)
        for each in asked.only or GROUPS:
            group = GROUPS[each]
            if not measured(each, group, folder):
                say(f"{each}: its tests cannot be run")
                return 2
            mutants = sample_of(group, folder, size=asked.sample, seed=asked.seed)
            survivors = survivors_of(group, folder, mutants)
            noticed = len(mutants) - len(survivors)
            missed |= noticed * 100 < len(mutants) * group.must
            say(f"{each}: {noticed} of {len(mutants)} (it must be {group.must} of 100)")
            for survivor in survivors:
                say(f"  survived  {survivor}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
