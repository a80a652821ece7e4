"""botkit as it is handed out: the wheel serves a new project outside of this repository."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from botkit.config import surroundings

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(sys.executable).parent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and source archive, as `make dist` builds them."""
    folder = tmp_path_factory.mktemp("dist")
    _run([str(HERE / "hatchling"), "build", "-d", str(folder)], ROOT)
    return folder


@pytest.fixture(scope="module")
def site(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("site")
    (wheel,) = dist.glob("*.whl")
    _install(folder, str(wheel))
    return folder


def _run(command: list[str], folder: Path, site: Path | None = None) -> str:
    path = {"PYTHONPATH": str(site)} if site is not None else {}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**surroundings(), **path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _install(into: Path, what: str, *options: str) -> None:
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps"]
    _run([*pip, *options, "--target", str(into), what], into)


def test_the_wheel_holds_the_package_with_its_data_and_nothing_else(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"botkit"}
    files = ("py.typed", "cli/templates/Dockerfile.txt", "protocol/api/operations.json")
    for file in (*files, "cli/commands/runtime.lock"):
        assert f"botkit/{file}" in names


def test_the_source_archive_builds_without_the_repository(dist: Path) -> None:
    (source,) = dist.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "botkit/__init__.py"} <= names
    assert not any(name.startswith(("tests/", "docs/")) for name in names)


def test_a_new_project_outside_the_repository_installs_and_its_test_passes(
    dist: Path, site: Path, tmp_path: Path
) -> None:
    where = _run([sys.executable, "-c", "import botkit; print(botkit.__file__)"], tmp_path, site)
    assert Path(where.strip()).is_relative_to(site)
    _run([sys.executable, "-m", "botkit", "new", "mybot"], tmp_path, site)
    project = tmp_path / "mybot"
    (wheel,) = dist.glob("*.whl")
    shutil.copy(wheel, project / "wheels")
    _run([sys.executable, "-m", "botkit", "new", "--lock", "."], project, site)
    own = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert f"--hash=sha256:{own}" in (project / "requirements.lock").read_text(encoding="utf-8")
    _run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], project, site)
    installed = tmp_path / "installed"
    installed.mkdir()
    _install(installed, str(project), "--no-build-isolation")
    assert (installed / "mybot" / "bot.py").is_file()
    assert not (installed / "wheels").exists()
