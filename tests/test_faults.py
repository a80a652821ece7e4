"""Each fault of the intake has a test of its number, and what the catalogue names is there."""

from __future__ import annotations

import pytest

from tests import faults

CATALOGUE = faults.catalogue()


def test_the_page_lists_84_faults_in_order() -> None:
    assert [fault.number for fault in CATALOGUE] == list(range(1, 85))


@pytest.mark.parametrize("fault", CATALOGUE, ids=lambda fault: str(fault.number))
def test_a_fault_of_the_intake_has_a_test_that_is_named_after_its_number(
    fault: faults.Fault,
) -> None:
    assert fault.is_named or fault.number not in faults.INTAKE


def test_the_tests_that_are_listed_are_there_and_stand_for_a_fault() -> None:
    where = faults.places()
    listed = {f"test_{name}" for names in faults.LISTED.values() for name in names}
    assert sorted(listed - where.keys()) == []
    assert {int(number) for number in faults.LISTED} | faults.INTAKE == set(range(1, 85))
    assert {int(number) for number in faults.LISTED}.isdisjoint(faults.INTAKE)


def test_the_command_lists_every_fault_and_says_which_are_not_tested(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert faults.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(not line.startswith(" " * 6) for line in lines) == 84 + 2
    assert lines[-1] == "84 faults, not tested: 69, 70"
