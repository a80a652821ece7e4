"""One simulated X for all clients: each test brings an account and an app of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.conformance.sandbox_process import Member, SandboxProcess, run_sandbox

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def sandbox_x(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with run_sandbox(tmp_path_factory.mktemp("sandbox")) as served:
        yield served


@pytest.fixture
def enrol(sandbox_x: SandboxProcess) -> Callable[[str], Member]:
    """Make a user with an app; its name gets a number, so that no two tests share one."""
    return lambda name: sandbox_x.enrol(f"{name}{next(_numbers)}")
