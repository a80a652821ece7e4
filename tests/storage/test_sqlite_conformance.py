"""The suite that every driver must pass, on SQLite; the shared jobs are watched meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from botkit.ports import Store
from botkit.storage import open_store
from botkit.storage.sqlite.engine import Engine
from tests.storage.conformance import StoreConformance, SuiteClock
from tests.storage.watched_jobs import watch_jobs

if TYPE_CHECKING:
    from tests.storage.conformance.bench import OpenRival


class TestSqlite(StoreConformance):
    @pytest.fixture
    def open_rival(self, clock: SuiteClock, tmp_path: Path) -> OpenRival:
        def open_one() -> AbstractAsyncContextManager[Store]:
            return open_store(f"sqlite:///{tmp_path}/bot.db", clock=clock)

        return open_one

    @pytest.fixture(autouse=True)
    def shared_jobs_lock_what_they_read_and_run_on_any_driver(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[None]:
        faults: list[str] = []
        for name, watched in watch_jobs(Engine, faults).items():
            monkeypatch.setattr(Engine, name, watched)
        yield
        assert sorted(set(faults)) == []
