"""The suite that every backend must pass, on SQLite."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from botkit.ports import Store
from botkit.storage import open_store
from tests.storage.conformance import StoreConformance, SuiteClock

if TYPE_CHECKING:
    from tests.storage.conformance.bench import OpenRival


class TestSqlite(StoreConformance):
    @pytest.fixture
    def open_rival(self, clock: SuiteClock, tmp_path: Path) -> OpenRival:
        def open_one() -> AbstractAsyncContextManager[Store]:
            return open_store(f"sqlite:///{tmp_path}/bot.db", clock=clock)

        return open_one
