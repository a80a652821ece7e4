"""`-p tests.canary.plugin`: the tests' run fails when a secret was said anywhere, and only then.

    make canary

Secrets are made with a mark (`marks.py`); all that processes say is looked through (`watch.py`).
Source: docs/explanation/requirements.md, G1 and G2.
"""

from __future__ import annotations

import collections
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from _pytest.capture import CaptureFixture

from tests.canary.marks import KINDS
from tests.canary.watch import watch

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

REPORT = Path(tempfile.mkdtemp(prefix="canary-")) / "report"
REPORT.touch()
os.environ["CANARY_REPORT"] = str(REPORT)  # noqa: TID251 - for the processes that tests start
os.environ["PYTHONPATH"] = f"{HERE / 'site'}{os.pathsep}{ROOT}"  # noqa: TID251
WATCHING = watch(REPORT)


def pytest_addoption(parser: pytest.Parser) -> None:
    words = "fail too when a kind of secret was never made: the net would be blind for it"
    parser.addoption("--every-kind", action="store_true", help=words)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    WATCHING.where = item.nodeid
    yield


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "teardown":
        for name, text in report.sections:
            WATCHING.look(text, name)


# Looking is not what the event loop may do in the product: the guard against blocking is off here.
sys.modules.setdefault("forbiddenfruit", ModuleType("forbiddenfruit"))
import blockbuster.blockbuster as blocking  # noqa: E402

blocking.BlockBusterFunction.activate = blocking.BlockBusterFunction.deactivate  # type: ignore[method-assign]

_readouterr = CaptureFixture.readouterr


def _read(self: Any) -> Any:
    captured = _readouterr(self)
    for name, text in zip(("stdout", "stderr"), captured, strict=True):
        WATCHING.look(text if isinstance(text, str) else text.decode("utf-8", "replace"), name)
    return captured


CaptureFixture.readouterr = _read  # type: ignore[method-assign]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    lines = REPORT.read_text(encoding="utf-8", errors="replace").splitlines()
    shutil.rmtree(REPORT.parent)
    made = collections.Counter(line.split("\t")[1] for line in lines if line.startswith("made"))
    leaks = list(dict.fromkeys(line for line in lines if line.startswith("leak\t")))
    session.config.stash[_FOUND] = (made, leaks)
    if leaks or (session.config.option.every_kind and set(KINDS) - set(made)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


_FOUND = pytest.StashKey[tuple[collections.Counter[str], list[str]]]()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    made, leaks = config.stash[_FOUND]
    terminalreporter.section("canaries")
    for kind in KINDS:
        terminalreporter.line(f"{made[kind]:6} {kind}" + ("" if made[kind] else ": NONE MADE"))
    for leak in leaks:
        terminalreporter.line(leak)
    terminalreporter.line(f"{len(leaks)} leak(s)")
