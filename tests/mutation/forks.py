"""A plugin of pytest: collects once, and tries each change in a process forked off from there.

It is told what to do, and answers, through files in the folder `CHANGES_IN`:

- `modules.json`: whose lines are watched; `known.json`: which test ran which of them;
- `jobs.json`: a list of `{module, source, where, lines}`; `answers.jsonl`: what became of each.

`CHANGES_WORK` is `measure` (make `known.json`), `try` (the jobs) or `fresh` (the first job alone,
which stands in its file before this process begins).
"""

from __future__ import annotations

import gc
import json
import os
import signal
import time
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.main import pytest_runtestloop as run_all

from tests.mutation.patches import find_functions, put

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(os.environ["CHANGES_IN"])
WORK = os.environ.get("CHANGES_WORK", "try")
FAILED = FOLDER / "failed.txt"


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Do the work instead of running the tests."""
    if WORK == "measure":
        if _forked(lambda: _measure(session), limit_s=1800) != 0:
            session.testsfailed = 1
        return True
    known = json.loads((FOLDER / "known.json").read_text())
    jobs = json.loads((FOLDER / "jobs.json").read_text())
    if WORK == "fresh":
        session.items[:] = _chosen(session, known, jobs[0])
        return None
    _warm_up(session)
    with (FOLDER / "answers.jsonl").open("a") as answers:
        for job in jobs:
            began = time.monotonic()
            answer = _tried(session, known, job)
            took = round(time.monotonic() - began, 1)
            answers.write(json.dumps({"answer": answer, "seconds": took}) + "\n")
            answers.flush()
    return True


class _Nothing:
    """The next test of which only the session is known: fixtures of the session stay set up."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session

    def listchain(self) -> list[pytest.Session]:
        return [self._session]


def _warm_up(session: pytest.Session) -> None:
    """Run one test here, so that no fork sets up what lives as long as the session."""
    first: Any = session.items[0]
    first.config.hook.pytest_runtest_protocol(item=first, nextitem=_Nothing(session))
    session.testsfailed = 0
    gc.collect()
    find_functions()
    gc.freeze()


def _tried(session: pytest.Session, known: dict[str, Any], job: dict[str, Any]) -> str:
    """Return what became of a change; a test that fails without it too, now, is left out."""
    chosen = _chosen(session, known, job)
    while chosen:
        FAILED.unlink(missing_ok=True)
        answer = _tried_by(session, chosen, known, job)
        failed = FAILED.read_text() if FAILED.is_file() else ""
        doubted = [one for one in chosen if one.nodeid == failed]
        if answer != "noticed" or not doubted:
            return answer
        if _passes(session, doubted, known):
            return answer
        chosen = [one for one in chosen if one.nodeid != failed]
    return "nobody runs it"


def _passes(session: pytest.Session, chosen: list[pytest.Item], known: dict[str, Any]) -> bool:
    return _forked(lambda: _run(session, chosen), limit_s=_limit_s(chosen, known)) == 0


def _limit_s(chosen: list[pytest.Item], known: dict[str, Any]) -> float:
    took_s: float = sum(known["tests"][one.nodeid] for one in chosen)
    return 60 + 6 * took_s


def _tried_by(
    session: pytest.Session,
    chosen: list[pytest.Item],
    known: dict[str, Any],
    job: dict[str, Any],
) -> str:
    path = Path(job["module"]).absolute()

    def run() -> int:
        try:
            if not put(path, job["source"], where=job["where"]):
                return 3
        except Exception:  # noqa: BLE001 - whatever the change broke
            return 1
        return _run(session, chosen)

    with _on_disk(path, job["source"]):
        code = _forked(run, limit_s=_limit_s(chosen, known))
    return {0: "survived", 3: "not here", None: "noticed: too slow"}.get(code, "noticed")


class _Noting:
    """Writes down which test failed."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            FAILED.write_text(report.nodeid)


def _run(session: pytest.Session, chosen: list[pytest.Item]) -> int:
    """Run some tests up to the first that fails; return 1 if one does."""
    session.items[:] = chosen
    session.config.option.maxfail = 1
    session.config.pluginmanager.register(_Noting())
    try:
        run_all(session)
    except session.Failed:
        return 1
    return 1 if session.testsfailed else 0


def _chosen(
    session: pytest.Session, known: dict[str, Any], job: dict[str, Any]
) -> list[pytest.Item]:
    """Return the tests that run these lines: the module's own first, then the quick ones.

    For what runs at an import, also those of the module's own that only look at a constant.
    """
    ran = known["lines"].get(job["module"], {})
    first, last = job["lines"]
    places = {place for line in range(first, last + 1) for place in ran.get(str(line), ())}
    if job["where"] != "function" or (WORK == "fresh" and not places):
        places = {place for each in ran.values() for place in each}
    names = {known["names"][place] for place in places}
    stem = Path(job["module"]).stem
    if job["where"] != "function":
        names |= {name for name in known["names"] if f"/test_{stem}.py::" in name}
    return sorted(
        (one for one in session.items if one.nodeid in names),
        key=lambda one: (stem not in one.nodeid, known["tests"][one.nodeid]),
    )


def _forked(run: Any, *, limit_s: float) -> int | None:
    """Return the exit code of a function run in a process of its own; None if it took too long."""
    child = os.fork()
    if child == 0:
        os.setsid()
        code = 2
        try:
            code = run()
        except BaseException:  # noqa: BLE001 - it is written down
            (FOLDER / "broken.log").write_text(traceback.format_exc())
        finally:
            os._exit(code)
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


@contextmanager
def _on_disk(path: Path, source: str) -> Iterator[None]:
    """Change the file too, for what imports it later and for processes that tests start."""
    before = path.read_text()
    path.write_text(source)
    try:
        yield
    finally:
        path.write_text(before)


def _measure(session: pytest.Session) -> int:
    """Run every test once, unchanged, and note which lines it runs."""
    import coverage

    modules = json.loads((FOLDER / "modules.json").read_text())
    watch = coverage.Coverage(
        data_file=None, config_file=False, include=[str(Path(one).absolute()) for one in modules]
    )
    tests: dict[str, float] = {}
    failed: set[str] = set()

    class Watching:
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
            watch.switch_context(item.nodeid)
            began = time.monotonic()
            result = yield
            tests[item.nodeid] = time.monotonic() - began
            return result

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed:
                failed.add(report.nodeid)

    session.config.pluginmanager.register(Watching())
    watch.start()
    run_all(session)
    watch.stop()
    data = watch.get_data()
    names = [name for name in tests if name not in failed]
    places = {name: place for place, name in enumerate(names)}
    lines = {
        str(Path(file).relative_to(Path.cwd())): {
            line: [places[one] for one in ran if one in places]
            for line, ran in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }
    known = {"tests": tests, "names": names, "lines": lines, "failed": sorted(failed)}
    (FOLDER / "known.json").write_text(json.dumps(known))
    return 0
