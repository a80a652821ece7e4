"""The settings of hooks: one proof each, from file or environment, never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from botkit.config import load_settings, secrets_of
from botkit.errors import ConfigError

TOKEN = "a-token-of-sixteen"


def problems_of(folder: Path, environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load_settings(environ=environ, folder=folder)
    return list(refused.value.problems)


def test_a_hook_comes_from_file_and_environment_and_its_secret_is_not_shown(
    tmp_path: Path,
) -> None:
    (tmp_path / "botkit.toml").write_text('[hooks.order-shipped]\naccount = "shop"\n')
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    settings = load_settings(
        environ={
            "BOTKIT_HOOKS__ORDER_SHIPPED__TOKEN_FILE": str(file),
            "BOTKIT_HOOKS__ORDER_SHIPPED__PER_MINUTE": "5",
        },
        folder=tmp_path,
    )
    hook = settings.hooks["order-shipped"]
    assert (hook.account, hook.per_minute, hook.max_kib) == ("shop", 5, 64)
    assert hook.token is not None
    assert TOKEN in secrets_of(settings)
    assert TOKEN not in repr(settings)


def test_a_secret_of_a_hook_does_not_belong_on_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="BOTKIT_HOOKS__ORDER_SHIPPED__TOKEN_FILE"):
        load_settings(
            environ={}, folder=tmp_path, overrides=[f"hooks.order-shipped.token={TOKEN}"]
        )


def test_a_secret_of_a_hook_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "botkit.toml"
    file.write_text(f'[hooks.a]\nsecret = "{TOKEN}"\n')
    file.chmod(0o644)
    (found,) = problems_of(tmp_path, {})
    assert found.startswith("botkit.toml [hooks.a] secret: is a secret")
    assert TOKEN not in found


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"ACCOUNT": "shop"}, "needs either token or secret"),
        ({"TOKEN": TOKEN, "SECRET": TOKEN}, "needs either token or secret"),
        ({"TOKEN": "short"}, "shorter than 16"),
        ({"SECRET": "whsec_no*base64*at*all"}, "no base64 follows"),
        ({"SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MAX_KIB": "0"}, "greater than"),
    ],
)
def test_a_hook_that_cannot_work_is_refused(
    tmp_path: Path, environ: dict[str, str], fault: str
) -> None:
    names = {f"BOTKIT_HOOKS__A__{name}": value for name, value in environ.items()}
    (found,) = problems_of(tmp_path, names)
    assert fault in found
    assert TOKEN not in found


@pytest.mark.parametrize("name", ["Order", "order_shipped", "-a", "a--b", "x" * 65, "a b"])
def test_a_name_that_could_not_stand_in_an_address_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "botkit.toml"
    file.write_text(f'[hooks."{name}"]\ntoken = "{TOKEN}"\n')
    file.chmod(0o600)
    (found,) = problems_of(tmp_path, {})
    assert "no name of a hook" in found
