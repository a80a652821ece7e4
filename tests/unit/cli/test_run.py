"""`botkit run` leaves the collector as it should be, whatever becomes of the start."""

from __future__ import annotations

import gc

import pytest

from botkit.cli.run import _all_is_kept


def test_nothing_is_collected_until_the_bot_runs_and_the_start_is_kept_from_then_on() -> None:
    before = gc.get_freeze_count()
    try:
        with _all_is_kept() as settle:
            assert not gc.isenabled()
            settle()
            assert gc.isenabled()
            assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()


def test_a_start_that_fails_leaves_the_collector_on() -> None:
    with pytest.raises(ValueError, match="no bot"), _all_is_kept():
        raise ValueError("no bot")
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
