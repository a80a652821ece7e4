"""Builds the wheel and has pyright verify that every public name in it is typed: `make surface`.

The wheel is installed alone, into an environment that finds its requirements beside it: an
editable installation would be judged as sources are, not as a package that somebody installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from botkit.config import surroundings

__all__ = ["verify"]

ROOT = Path(__file__).resolve().parents[1]


def verify(folder: Path) -> subprocess.CompletedProcess[str]:
    """Return what pyright says of the wheel that the repository makes now."""
    uv = [Path(sys.executable).with_name("uv")]
    environment = folder / "venv"
    _run([*uv, "build", "-q", "--wheel", "--no-build-isolation", "-o", folder, ROOT])
    _run([*uv, "venv", "-q", "--python", sys.executable, environment])
    (wheel,) = folder.glob("*.whl")
    python = environment / "bin" / "python"
    _run([*uv, "pip", "install", "-q", "--python", python, "--no-deps", wheel])
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "requirements.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return subprocess.run(
        [
            *[sys.executable, "-m", "pyright"],
            *["--verifytypes", "botkit", "--ignoreexternal"],
        ],
        cwd=folder,  # away from the settings of the repository
        env={
            **surroundings(),
            "PATH": f"{environment / 'bin'}{os.pathsep}{surroundings()['PATH']}",
            "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def _run(command: list[str | Path]) -> None:
    subprocess.run(
        command, check=True, cwd=ROOT, env={**surroundings(), "VIRTUAL_ENV": sys.prefix}
    )


def main() -> int:
    """Print what is not typed; nothing when all is."""
    with tempfile.TemporaryDirectory() as folder:
        said = verify(Path(folder))
    if said.returncode:
        sys.stdout.write(said.stdout + said.stderr)
    return said.returncode


if __name__ == "__main__":
    sys.exit(main())
