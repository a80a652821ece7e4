"""The pytest plugin: the fixture `sandbox`. Costs nothing until a test asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from botkit.sandbox.harness.sandbox import Sandbox

__all__ = ["sandbox"]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """A simulated X of the test's own, in virtual time."""
    from botkit.sandbox.harness.sandbox import Sandbox as Front

    return Front(tmp_path / "sandbox")
