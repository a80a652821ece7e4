"""Settings: the only reader of the environment.

`botkit.toml` < environment `BOTKIT_*` < `BOTKIT_*_FILE` and the secrets directory < `--set`.
Read once, into one frozen object; all faults in one list, before any network.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_settings import InitSettingsSource

from botkit.config.sections import (
    AppSettings,
    BotSettings,
    BudgetSettings,
    ConnectSettings,
    HttpSettings,
    LogSettings,
    RunSettings,
    Settings,
    StoreSettings,
    XSettings,
)
from botkit.config.sources import Findings, TomlFile, assignments, environment
from botkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from pydantic_settings import PydanticBaseSettingsSource

__all__ = [
    "AppSettings",
    "BotSettings",
    "BudgetSettings",
    "ConnectSettings",
    "HttpSettings",
    "LogSettings",
    "RunSettings",
    "Settings",
    "StoreSettings",
    "XSettings",
    "load_settings",
]

_QUIET = {"PYDANTIC_DISABLE_PLUGINS": "__all__", "PYDANTIC_SETTINGS_DEBUG": ""}


def surroundings() -> dict[str, str]:
    """Return the whole environment, for a process that is started."""
    return dict(os.environ)


def load_settings(
    *,
    config_file: Path | None = None,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Read all settings, once.

    Args:
        config_file: A botkit.toml; by default `BOTKIT_CONFIG`, else botkit.toml in `folder`.
        overrides: `section.name=value`, from `--set`; the strongest.
        environ: Instead of the process's environment, for tests.
        folder: Where to look for botkit.toml; by default the current folder.

    Raises:
        ConfigError: With every fault in `problems`; no value of a secret is in it.
    """
    names = os.environ if environ is None else environ
    chosen = config_file or (Path(names["BOTKIT_CONFIG"]) if names.get("BOTKIT_CONFIG") else None)
    where = (folder or Path.cwd()) if chosen is None else chosen.parent.absolute()
    file = chosen or where / "botkit.toml"
    findings = Findings()
    # From the weakest to the strongest.
    toml = [TomlFile(file, findings)] if chosen or file.exists() else []
    sources = [*toml, *environment(names, findings), *assignments(overrides, findings)]
    sources.append(InitSettingsSource(Settings, init_kwargs={"folder": where}))
    return _settings(sources, findings)


def _settings(sources: Sequence[PydanticBaseSettingsSource], findings: Findings) -> Settings:
    """Return what the sources hold together, the strongest last.

    Raises:
        ConfigError: With every fault that was found.
    """
    problems = findings.problems
    if {("app",), ("apps", "default")} <= {path[:-1] for path in findings.origins}:
        problems.append("[app] and [apps.default] are the same app: keep one of them.")
    given: dict[str, Any] = {"_build_sources": (tuple(reversed(sources)), {})}
    settings: Settings | None = None
    try:
        with _unheard():
            settings = Settings(**given)
    except ValidationError as error:
        problems.extend(_faults(error, findings))
    if settings is not None and settings.connect.on and settings.connect.public_url is None:
        problems.append("[connect] on: needs public_url, like https://bot.example.")
    if problems or settings is None:
        raise ConfigError(
            f"{len(problems)} setting(s) are wrong: " + " ".join(problems), problems=problems
        )
    return settings


def _faults(error: ValidationError, findings: Findings) -> Iterator[str]:
    origins = findings.origins
    for fault in error.errors(include_url=False, include_input=False):
        path = tuple(str(part) for part in fault["loc"])
        origin = origins.get(path) or origins.get(path[:-1]) or ".".join(path)
        yield f"{origin}: {fault['msg'].removeprefix('Value error, ')}."


@contextmanager
def _unheard() -> Generator[None]:
    """Keep the values away from pydantic's plug-ins and from the log of pydantic-settings.

    All that is validated passes through each plug-in that is installed, as for telemetry, and
    `PYDANTIC_SETTINGS_DEBUG` has the raw values logged: here both would be secrets. Models of
    others keep their plug-ins: pydantic asks at each class that it builds.
    """
    before = {name: os.environ.get(name) for name in _QUIET}
    os.environ.update(_QUIET)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
