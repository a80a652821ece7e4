"""The suite itself: it leaves no method out, and its watcher sees what it is there for."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from botkit.ports import store as ports
from tests.storage.watched_jobs import WatchedTransaction

_SUITE = Path(__file__).parent / "conformance"
_GROUPS = {
    name: getattr(ports, hint)
    for name, hint in ports.Store.__annotations__.items()
    if hasattr(ports, hint)
}


def methods_of(port: type) -> set[str]:
    return {name for name, found in vars(port).items() if name[0] != "_" and callable(found)}


def asked_for() -> set[tuple[str, str]]:
    """Pairs of names with a dot between them, anywhere in the suite: `events.append`."""
    pairs: set[tuple[str, str]] = set()
    for file in _SUITE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                left = node.value
                name = getattr(left, "attr", getattr(left, "id", ""))
                pairs.add((name, node.attr))
    return pairs


@pytest.mark.parametrize("group", sorted(_GROUPS))
def test_the_suite_runs_every_method_of_a_group(group: str) -> None:
    assert {
        name for name in methods_of(_GROUPS[group]) if (group, name) not in asked_for()
    } == set()


def test_the_suite_runs_every_method_of_the_store() -> None:
    assert len(_GROUPS) == 10
    assert {
        name for name in methods_of(ports.Store) if ("store", name) not in asked_for()
    } == set()


class Quiet:
    """A transaction that does nothing."""

    scrub = False

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def faults_of(*steps: tuple[str, str]) -> list[str]:
    faults: list[str] = []
    transaction = WatchedTransaction(Quiet(), "job", faults)
    for method, argument in steps:
        getattr(transaction, method)(argument)
    return faults


READ = ("execute", "SELECT state FROM write WHERE id = ?1")
WRITE = ("execute", "UPDATE write SET state = 'QUEUED' WHERE id = ?1")


def test_a_write_after_a_read_needs_a_lock() -> None:
    assert faults_of(READ, WRITE) == ["job: writes after a read, and locked nothing"]
    assert faults_of(("lock", "write/1"), READ, WRITE) == []
    assert faults_of(WRITE, READ) == []


def test_a_lock_comes_first() -> None:
    assert faults_of(READ, ("lock", "write/1")) == ["job: locks write/1 after its first statement"]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM gap WHERE until < ? AND state != 'open'",
        "DELETE FROM user WHERE id = ?1",
        "SELECT value FROM json_each(?1)",
        "SELECT id FROM account WHERE username = ?1 COLLATE NOCASE",
        "INSERT INTO gap VALUES (?1) RETURNING id",
        "SELECT id FROM event WHERE 1 ORDER BY seq",
        "UPDATE write SET first_clean_at = min(coalesce(first_clean_at, ?1), ?1)",
    ],
)
def test_a_statement_of_one_driver_only_is_seen(statement: str) -> None:
    assert len(faults_of(("execute", statement))) == 1


@pytest.mark.parametrize(
    "statement",
    [
        'DELETE FROM "user" WHERE user_id = ?1',
        "SELECT max(seq) FROM event WHERE account_id = ?1 AND queue IN (0, 1)",
    ],
)
def test_a_shared_statement_is_not_complained_of(statement: str) -> None:
    assert faults_of(("execute", statement)) == []
