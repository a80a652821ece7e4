"""What every test runs under: no blocking call of botkit's in the event loop, and canned HTTP answers on request."""

from __future__ import annotations

import logging
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aioresponses import aioresponses

# blockbuster wants it for patching built-in types; it has no wheel (pyproject.toml, [tool.uv]), so an empty one stands in.
sys.modules.setdefault("forbiddenfruit", ModuleType("forbiddenfruit"))

pytest.register_assert_rewrite("tests.storage.conformance")

# How long an example takes says more about the machine than about the code.
settings.register_profile("botkit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("botkit")

import blockbuster.blockbuster as blocking  # noqa: E402

blocking.HAS_FORBIDDENFRUIT = False

# Calls through built-in types (a file's read, a cursor's execute) are caught where the object is made.
OPENERS = ("builtins.open", "io.open", "os.open", "os.fsync", "os.fdatasync", "sqlite3.connect")


@pytest.fixture(scope="session", autouse=True)
def _no_blocking_in_the_loop() -> Iterator[None]:
    """Raise `BlockingError` when code of botkit blocks the event loop's thread."""
    with blocking.blockbuster_ctx("botkit") as guard:
        openers = [
            blocking.BlockBusterFunction(None, name, scanned_modules="botkit") for name in OPENERS
        ]
        for function in (*openers, *guard.functions.values()):
            # Reading sources for a traceback, and modules at their first use.
            function.can_block_in("/linecache.py", {"updatecache", "checkcache", "lazycache"})
            function.can_block_in("<frozen importlib._bootstrap>", {"_find_and_load"})
        for function in openers:
            function.activate()
        yield
        for function in openers:
            function.deactivate()


@pytest.fixture(scope="session", autouse=True)
def _this_process_may_dump() -> Iterator[None]:
    """Commands run in this process too, and what it may not do no process of a test may do."""
    with pytest.MonkeyPatch.context() as patch:
        for place in ("botkit.telemetry.core_dumps", "botkit.bot.serving"):
            patch.setattr(f"{place}.forbid_dumps", lambda: None)
        yield


@pytest.fixture(autouse=True)
def _secrets_of_this_test_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """`load_settings` remembers the secrets that it took out of the environment."""
    monkeypatch.setattr("botkit.config._taken", {})


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A test that sets logging up leaves the next one what it found."""
    handlers, levels = logging.root.handlers[:], _levels()
    yield
    logging.root.handlers[:] = handlers
    for logger in _levels():
        logger.setLevel(levels.get(logger, logging.NOTSET))
    structlog.reset_defaults()


def _levels() -> dict[logging.Logger, int]:
    named = logging.root.manager.loggerDict.values()
    loggers = [one for one in named if isinstance(one, logging.Logger)]
    return {logger: logger.level for logger in (logging.root, *loggers)}


@pytest.fixture
def canned(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    """Answers for aiohttp's client session without a socket.

    aioresponses 0.7.9 builds responses as aiohttp 3.13 did; this adds what 3.14 asks for.
    """
    import aiohttp
    import aioresponses.core

    class Response(aiohttp.ClientResponse):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.setdefault("stream_writer", _Written())
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(aioresponses.core, "ClientResponse", Response)
    with aioresponses.core.aioresponses() as answers:
        yield answers


class _Written:
    """The writer of a request that has been sent."""

    output_size = 0
