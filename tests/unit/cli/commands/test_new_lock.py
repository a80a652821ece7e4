"""The lock of a new project names what is installed here."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from botkit.cli import main
from botkit.cli.commands import new_lock
from botkit.cli.commands.new_lock import LOCK, has_hashes, lock_text


def pinned(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;\\]+)", text, re.MULTILINE))


def hashes(text: str) -> dict[str, list[str]]:
    blocks = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
    return {each.partition("==")[0]: re.findall("sha256:([0-9a-f]{64})", each) for each in blocks}


@pytest.fixture
def wheel(tmp_path: Path) -> bytes:
    """botkit's wheel, in the project's folder for wheels."""
    content = b"a wheel"
    (tmp_path / "wheels").mkdir()
    (tmp_path / f"wheels/botkit-{version('botkit')}-py3-none-any.whl").write_bytes(content)
    (tmp_path / "wheels/botkit-0.0.1-py3-none-any.whl").write_bytes(b"an old one")
    return content


def test_the_lock_names_botkit_and_all_that_it_needs_in_service(tmp_path: Path) -> None:
    lock = pinned(lock_text(tmp_path))
    for name in ("botkit", "aiohttp", "pydantic-settings", "yarl", "authlib", "cffi"):
        assert lock[name] == version(name)
    assert not {"pytest", "watchfiles", "keyring", "hatchling"} & set(lock)
    assert list(lock) == sorted(lock)


def test_with_botkits_wheel_each_package_has_its_hashes(tmp_path: Path, wheel: bytes) -> None:
    text = lock_text(tmp_path)
    assert has_hashes(text)
    assert pinned(text).items() >= pinned(lock_text(tmp_path / "elsewhere")).items()
    found = hashes(text)
    assert found.pop("botkit") == [hashlib.sha256(wheel).hexdigest()]
    assert found == hashes(Path("requirements-runtime.lock").read_text(encoding="utf-8"))
    assert "# via" not in text
    assert "://" not in text


def test_a_wheel_that_the_installer_noted_has_its_hash_without_lying_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = new_lock.distribution
    noted = {"url": "file:///w", "archive_info": {"hashes": {"sha256": "ab" * 32}}}

    class Noted:
        version = version("botkit")
        requires = found("botkit").requires

        def read_text(self, name: str) -> str | None:
            return json.dumps(noted) if name == "direct_url.json" else None

    monkeypatch.setattr(
        new_lock, "distribution", lambda name: Noted() if name == "botkit" else found(name)
    )
    assert hashes(lock_text(tmp_path))["botkit"] == ["ab" * 32]


def test_a_version_whose_hash_is_not_known_makes_a_lock_without_hashes_that_says_so(
    tmp_path: Path, wheel: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = new_lock.distribution

    class Newer:
        version = "99.0"
        requires: tuple[str, ...] = ()

    monkeypatch.setattr(
        new_lock, "distribution", lambda name: Newer() if name == "click" else found(name)
    )
    text = lock_text(tmp_path)
    assert not has_hashes(text)
    assert "none is known of click." in text
    assert pinned(text)["click"] == "99.0"


def test_a_botkit_that_brings_no_lock_says_what_has_no_hash(
    tmp_path: Path, wheel: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_lock, "_SHIPPED", (tmp_path / "none",))
    text = lock_text(tmp_path)
    assert re.search(r"none is known of \S+, \S+, \S+ and \d+ more\.", text)


def test_what_is_for_another_system_is_left_out_of_a_lock_without_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs = {"botkit": ["colorama; os_name == 'nt'", "No.Such_Package>=3 ; python_version < '3'"]}
    found = new_lock.distribution

    class Needy:
        version = "1.0"
        requires = needs["botkit"]

        def read_text(self, name: str) -> str | None:
            return None

    monkeypatch.setattr(
        new_lock, "distribution", lambda name: Needy() if name == "botkit" else found(name)
    )
    assert "no-such-package" not in pinned(lock_text(tmp_path))


def test_the_lock_is_written_anew_in_a_project_only(
    tmp_path: Path,
    wheel: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "mybot"]) == 0
    Path("mybot", LOCK).write_text("old==1\n")
    Path("mybot", "botkit.toml").write_text("# mine\n")
    assert main(["new", "--lock", "mybot"]) == 0
    assert Path("mybot", LOCK).read_text(encoding="utf-8") == lock_text(Path("mybot"))
    assert Path("mybot", "botkit.toml").read_text(encoding="utf-8") == "# mine\n"
    assert "without hashes: its first lines say why" in capsys.readouterr().out
    for each in (tmp_path / "wheels").glob("*.whl"):
        each.rename(tmp_path / "mybot/wheels" / each.name)
    assert main(["new", "--lock", "mybot"]) == 0
    assert has_hashes(Path("mybot", LOCK).read_text(encoding="utf-8"))
    assert "with their hashes" in capsys.readouterr().out
    assert main(["new", "--lock", "."]) == 2
    assert "holds no project" in capsys.readouterr().err
