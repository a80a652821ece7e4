"""`botkit run` leaves the collector and the imports as they should be, whatever becomes of the start."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from botkit.cli.startup import started, starting


def test_nothing_is_collected_until_the_bot_runs_and_the_start_is_kept_from_then_on() -> None:
    before = gc.get_freeze_count()
    try:
        with starting():
            assert not gc.isenabled()
            started()
            assert gc.isenabled()
            assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()


def test_a_start_that_fails_leaves_the_collector_on() -> None:
    with pytest.raises(ValueError, match="no bot"), starting():
        raise ValueError("no bot")
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def said_by(code: str) -> list[str]:
    shown = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    return shown.stdout.split()


def test_structlog_is_imported_without_rich_and_rich_is_there_for_who_asks_later() -> None:
    said = said_by(
        "import sys; from botkit.cli.startup import starting\n"
        "with starting(): print('structlog' in sys.modules, 'rich' in sys.modules)\n"
        "import rich.table; print(rich.table.Table.__name__)"
    )
    assert said == ["True", "False", "Table"]


def test_a_rich_that_is_there_already_stays() -> None:
    said = said_by(
        "import rich, sys; from botkit.cli.startup import starting\n"
        "with starting(): print(sys.modules['rich'] is rich)"
    )
    assert said == ["True"]
