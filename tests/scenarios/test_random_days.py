"""Random days end with bookings that equal the bill, or say the most that they may be above it.

`python -m tests.scenarios.random_days --seeds 0-199` lives more of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.scenarios.random_days import live

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("seed", [3, 5, 10])
async def test_a_random_day_is_never_booked_below_the_bill_nor_above_what_is_said(
    tmp_path: Path, seed: int
) -> None:
    day = await live(seed, tmp_path)
    assert day.end in {"equal", "at most"}, day
