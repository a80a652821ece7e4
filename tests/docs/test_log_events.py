"""Every log event has a name by the rule and a meaning on the page that lists them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "docs" / "_ext"))

from log_events import logged, meanings

NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


def test_every_event_of_the_code_has_a_meaning_and_every_meaning_an_event() -> None:
    assert logged().keys() == meanings().keys()


def test_the_meanings_stand_in_the_order_of_their_names() -> None:
    assert list(meanings()) == sorted(meanings())


@pytest.mark.parametrize("name", logged())
def test_the_name_of_an_event_is_a_noun_and_its_verb_or_state(name: str) -> None:
    assert NAME.fullmatch(name)


def test_the_fields_of_an_event_are_read_from_its_calls() -> None:
    assert "waiting" in logged()["store.unavailable"].fields
    assert "exception" in logged()["handler.failed"].fields
