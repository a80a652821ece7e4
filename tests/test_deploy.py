"""What an operator is handed: no secret in it, nobody runs as root, signals reach the bot."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from botkit.config import load_settings
from botkit.config.sections import setting_names

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
SECRETS = ("SECRET", "TOKEN", "KEY", "PASSWORD")


@cache
def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and their arguments, one line each."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [
        (name.upper(), rest.strip())
        for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())
    ]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    start = max(number for number, (name, _) in enumerate(found) if name == "FROM")
    return found[start:]


def arguments(name: str) -> list[str]:
    return [rest for found, rest in last_stage() if found == name]


def environment() -> dict[str, str]:
    pairs = [pair for rest in arguments("ENV") for pair in shlex.split(rest)]
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def sources() -> list[str]:
    """What the image takes from the folder: the first arguments of each COPY."""
    return [
        source
        for name, rest in instructions()
        if name == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    ]


def test_the_base_can_be_chosen_and_is_the_base_of_every_stage() -> None:
    assert instructions()[0] == ("ARG", "BASE=python:3.13-slim-trixie")
    stages = [rest.split()[0] for name, rest in instructions() if name == "FROM"]
    assert stages == ["${BASE}"] * len(stages)
    assert len(stages) > 1, "what builds it does not go with it"


def test_the_image_runs_as_a_number_that_is_not_root() -> None:
    last = arguments("USER")[-1]
    user, _, group = last.partition(":")
    assert int(user) > 0
    assert int(group) > 0
    after = [name for name, _ in last_stage()]
    assert after.index("USER") > max(n for n, name in enumerate(after) if name in {"RUN", "COPY"})


@pytest.mark.parametrize("name", ["ENTRYPOINT", "CMD"])
def test_the_bot_is_the_process_that_gets_the_signals(name: str) -> None:
    (command,) = arguments(name)
    words = json.loads(command)
    assert words
    assert all(isinstance(word, str) for word in words)
    assert words[0] not in {"sh", "bash", "/bin/sh"}
    assert arguments("STOPSIGNAL") == ["SIGTERM"]


def test_the_health_check_is_a_command_that_exists() -> None:
    (check,) = arguments("HEALTHCHECK")
    words = json.loads(check.partition("CMD")[2])
    assert words[0] == "botkit"
    known = subprocess.run(
        [sys.executable, "-m", "botkit", words[1], "--help"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert all(word in known.stdout for word in words[2:])


def test_one_volume_is_all_that_is_written_to() -> None:
    assert [json.loads(rest) for rest in arguments("VOLUME")] == [["/data"]]
    store = environment()["BOTKIT_STORE__URL"].removeprefix("sqlite:///")
    assert Path(store).parent == Path("/data")
    assert environment()["PYTHONDONTWRITEBYTECODE"] == "1"


def test_the_settings_of_the_image_are_settings(tmp_path: Path) -> None:
    mine = {name: text for name, text in environment().items() if name.startswith("BOTKIT_")}
    settings = load_settings(environ=mine, folder=tmp_path)
    module, _, attribute = str(settings.bot.target).partition(":")
    bot = (ROOT / "examples" / f"{module}.py").read_text(encoding="utf-8")
    assert f"examples/{module}.py" in sources()
    assert re.search(rf"^{attribute} = Bot\(", bot, re.MULTILINE)


def test_no_secret_is_in_the_image_or_comes_by_a_build_argument() -> None:
    named = [rest for name, rest in instructions() if name in {"ARG", "ENV", "LABEL"}]
    words = " ".join(named).upper()
    assert [word for word in SECRETS if word in words] == []
    assert {rest.partition("=")[0] for name, rest in instructions() if name == "ARG"} == {"BASE"}


def test_packages_are_installed_from_the_locks_and_checked_by_hash() -> None:
    steps = [
        step.strip()
        for name, rest in instructions()
        if name == "RUN"
        for step in rest.split("&&")
        if "pip install" in step
    ]
    assert steps
    for step in steps:
        assert "--require-hashes" in step or "--no-deps" in step, step
        assert re.search(r"-r (bootstrap|requirements-runtime)\.lock", step) or (
            "--build-constraints requirements.lock" in step
        ), step


def test_what_the_image_copies_is_there_and_not_kept_from_it() -> None:
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = [rule[1:].rstrip("/") for rule in rules if rule.startswith("!")]
    assert "*" in rules, "a new file, a secret too, is not sent to the builder"
    for source in sources():
        name = source.removeprefix("./")
        assert (ROOT / name).exists(), name
        assert any(fnmatch.fnmatch(name, rule) for rule in allowed), name


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return found


def test_compose_gives_secrets_as_files_and_the_bot_no_rights() -> None:
    (bot,) = compose()["services"].values()
    assert bot["read_only"] is True
    assert bot["cap_drop"] == ["ALL"]
    assert bot["security_opt"] == ["no-new-privileges:true"]
    assert (DEPLOY / bot["build"]["context"] / bot["build"]["dockerfile"]).exists()
    known = {"BOTKIT_" + name.replace(".", "__").upper() + "_FILE" for name in setting_names()}
    assert set(bot["environment"]) <= known
    given = {value.removeprefix("/run/secrets/") for value in bot["environment"].values()}
    assert given == set(bot["secrets"]) == set(compose()["secrets"])
    assert {one["file"] for one in compose()["secrets"].values()} == {
        f"./secrets/{name}" for name in given
    }


def test_a_stop_leaves_the_bot_the_time_it_drains_in(tmp_path: Path) -> None:
    drain_s = load_settings(environ={}, folder=tmp_path).run.drain_s
    (bot,) = compose()["services"].values()
    assert int(bot["stop_grace_period"].removesuffix("s")) > drain_s + 2
    assert int(unit()["TimeoutStopSec"][0]) > drain_s + 2


def test_the_secrets_of_compose_are_not_taken_into_the_repository() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    asked = ["git", "check-ignore", "-q", "deploy/secrets/vault_key"]
    assert subprocess.run(asked, cwd=ROOT, check=False).returncode == 0


def unit() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "botkit.service").read_text(encoding="utf-8").splitlines():
        name, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_the_service_is_a_user_of_its_own_that_may_nothing_else() -> None:
    service = unit()
    assert service["User"] == ["botkit"]
    assert service["NoNewPrivileges"] == ["yes"]
    assert service["CapabilityBoundingSet"] == [""]
    assert service["ProtectSystem"] == ["strict"]
    assert service["StateDirectoryMode"] == ["0700"]
    assert [
        text for text in service["Environment"] if re.search(r"SECRET=|TOKEN=|KEY=", text)
    ] == []


def test_the_service_is_not_started_again_when_a_person_must_act() -> None:
    assert unit()["Restart"] == ["on-failure"]
    assert unit()["RestartPreventExitStatus"] == ["2 5"]
    assert unit()["ExecStart"] == ["/opt/botkit/bin/botkit run"]
