"""The changes that are made on purpose are such that a module can still be read."""

from __future__ import annotations

import pytest

from tests.mutation.changes import changes_of

SOURCE = """
LIMIT = 5
QUERY = "SELECT a FROM b WHERE a <= ?1"
KINDS = {"a", "b"}


async def judge(row, *, key=True):
    if row.user_id == row.account_id and not key:
        return
    async with row.lock:
        try:
            await row.store(row.user_id, LIMIT, fence=key)
        except ValueError:
            row.count += 1
        finally:
            row.close()
    if min(row.count, 3) < LIMIT - 1:
        raise ValueError("too few")
    return sorted(row.items)
"""


@pytest.mark.parametrize(
    ("kind", "new"),
    [
        ("boundary", "((min(row.count, 3)) <= (LIMIT - 1))"),
        ("negated", "((row.user_id) != (row.account_id))"),
        ("and/or", "((row.user_id == row.account_id) or (not key))"),
        ("half a condition", "((not key))"),
        ("constant", "(6)"),
        ("constant", "False"),
        ("word", "'ax'"),
        ("sql", "<"),
        ("dropped element", "{'b'}"),
        ("other id", "row.account_id"),
        ("min/max", "max"),
        ("min/max", "list"),
        ("swapped arguments", "row.store(LIMIT, row.user_id, fence=key)"),
        ("dropped argument", "row.store(row.user_id, LIMIT)"),
        ("dropped statement", "pass"),
        ("dropped raise", "pass"),
        ("no early return", "pass"),
        ("returns nothing", "return None"),
        ("no cleanup", "pass"),
        ("uncaught", "raise"),
        ("no lock", "if True"),
        ("arithmetic", "((LIMIT) + (1))"),
    ],
)
def test_each_kind_of_change_is_made_and_compiles(kind: str, new: str) -> None:
    made = [one for one in changes_of(SOURCE) if (one.kind, one.new) == (kind, new)]

    assert made
    for one in made:
        compile(one.apply(SOURCE), "changed", "exec")


def test_what_changes_nothing_is_not_drawn() -> None:
    told = [one.new for one in changes_of(SOURCE + 'T = TypeVar("T")\n')]

    assert "min(3, row.count)" not in told
    assert "'Tx'" not in told


def test_a_change_names_the_lines_whose_tests_ought_to_notice_it() -> None:
    told = {(one.kind, one.new): (one.lines, one.where) for one in changes_of(SOURCE)}

    assert told["constant", "(6)"] == ((2, 2), "module")
    assert told["and/or", "((row.user_id == row.account_id) or (not key))"] == ((8, 8), "function")
    assert told["constant", "False"] == ((7, 7), "other")
    assert told["no cleanup", "pass"] == ((16, 16), "function")
