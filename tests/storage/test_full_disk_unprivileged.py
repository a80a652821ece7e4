"""The tests that mount a small volume, for a user who is not root: in a namespace of the user's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN_ROOT = ("unshare", "--user", "--map-root-user", "--mount")
TESTS = ("tests/storage/test_full_disk.py", "tests/crash/test_refresh_errors.py")


def _may_have_a_namespace() -> bool:
    if shutil.which(OWN_ROOT[0]) is None:
        return False
    return subprocess.run([*OWN_ROOT, "true"], check=False, capture_output=True).returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() == 0, reason="root runs them as they are"
)
def test_a_full_disk_is_tried_without_being_root() -> None:
    if not _may_have_a_namespace():
        pytest.skip("this system lets no user mount in a namespace")
    command = [*OWN_ROOT, sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", *TESTS]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout
