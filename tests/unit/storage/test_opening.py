"""A URL becomes a store, or an error that says what to write instead."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from botkit.errors import ConfigError
from botkit.storage import open_store


async def test_a_store_needs_nothing_but_its_url(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/bot.db") as store:
        fence = await store.leases.acquire("runner", "me", ttl=timedelta(minutes=1))
        assert fence is not None
        assert await store.leases.holder("runner") == "me"


async def test_without_a_clock_the_machines_time_goes_on(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/bot.db") as store:
        await store.leases.acquire("runner", "me", ttl=timedelta(microseconds=1))
        assert await store.leases.holder("runner") is None


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
async def test_postgresql_is_answered_plainly_and_its_password_not_repeated(scheme: str) -> None:
    with pytest.raises(ConfigError, match="PostgreSQL is not there yet") as refused:
        async with open_store(f"{scheme}://ada:hunter2@localhost/bots"):
            pass
    assert "hunter2" not in str(refused.value)
    assert refused.value.hint.startswith("Use sqlite:///botkit.db")


async def test_an_unknown_kind_of_store_is_refused() -> None:
    with pytest.raises(ConfigError, match="'mysql' is not a kind of store that botkit knows"):
        async with open_store("mysql://localhost/bots"):
            pass
