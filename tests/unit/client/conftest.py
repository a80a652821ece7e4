"""What the tests of this room share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.client import fakes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[fakes.World]:
    """A store with nobody in it, and a peer."""
    async with fakes.world(tmp_path) as opened:
        yield opened
