"""What a process does so that its memory is not written down."""

from __future__ import annotations

import subprocess
import sys

import pytest

from botkit.telemetry import core_dumps
from botkit.telemetry.core_dumps import forbid_dumps

SHOWN = """
import ctypes, resource, sys
from botkit.telemetry.core_dumps import forbid_dumps
forbid_dumps()
print(resource.getrlimit(resource.RLIMIT_CORE)[0], ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel by prctl")
def test_the_limit_of_core_files_is_0_and_the_process_is_not_dumpable() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", SHOWN], check=True, capture_output=True, text=True
    )

    assert shown.stdout.split() == ["0", "0"]


def test_a_system_without_such_limits_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_dumps.sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "resource", None)

    forbid_dumps()
