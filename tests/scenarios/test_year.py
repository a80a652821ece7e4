"""The first days of the year that `make year` lives through, so that it still runs when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.year import few_signs_of_life, live

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_mention_a_day_is_answered_once_over_a_crash(tmp_path: Path) -> None:
    with few_signs_of_life():
        assert await live(11, tmp_path) == []
