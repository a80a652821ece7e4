"""Provide the fixture `sandbox` to pytest; it costs nothing until a test asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from botkit.sandbox.harness.sandbox import Sandbox

__all__ = ["sandbox"]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Return a simulated X for this test alone, in virtual time."""
    from botkit.sandbox.harness.sandbox import Sandbox as Front

    return Front(tmp_path / "sandbox")
