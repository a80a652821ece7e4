"""Each group of modules that decide things has modules and tests, wherever they were moved."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.groups import GROUPS, Group

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_each_pattern_of_a_group_finds_modules_and_each_of_its_tests_is_there(
    group: Group,
) -> None:
    assert [glob for glob in group.modules if not list(ROOT.glob(glob))] == []
    assert [name for name in group.tests if not (ROOT / name).exists()] == []
