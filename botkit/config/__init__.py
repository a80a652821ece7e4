"""Read the settings. Only this package reads the environment.

From the weakest source to the strongest: `botkit.toml`, environment `BOTKIT_*`, `BOTKIT_*_FILE`
and the secrets directory, `--set`. They are read once, into one frozen object, before any network
is used; all faults come in one list.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_settings import InitSettingsSource

from botkit.config.file_faults import as_config_error
from botkit.config.proxies import proxy_problems
from botkit.config.sections import (
    AppSettings,
    BotSettings,
    BudgetSettings,
    ConnectSettings,
    HookSettings,
    HttpSettings,
    LogSettings,
    RunSettings,
    Settings,
    StoreSettings,
    WebhookSettings,
    XSettings,
)
from botkit.config.sources import (
    Findings,
    TomlFile,
    assignments,
    environment,
    secret_variables,
)
from botkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from pydantic_settings import PydanticBaseSettingsSource

__all__ = [
    "AppSettings",
    "BotSettings",
    "BudgetSettings",
    "ConnectSettings",
    "HookSettings",
    "HttpSettings",
    "LogSettings",
    "RunSettings",
    "Settings",
    "StoreSettings",
    "WebhookSettings",
    "XSettings",
    "load_settings",
    "secrets_in_environment",
    "secrets_of",
    "wants_color",
]

_QUIET = {"PYDANTIC_DISABLE_PLUGINS": "__all__", "PYDANTIC_SETTINGS_DEBUG": ""}
_SECRET_VARIABLE = re.compile(
    r"(?i)(SECRET|TOKEN|PASSWORD|PASSPHRASE|CREDENTIALS?|API_?KEY|PRIVATE_?KEY|STORE__KEY)$"
)
_taken: dict[str, str] = {}
"""Secrets already moved out of the environment, kept for the next call of `load_settings`."""
_SHORTEST_SECRET = 12
"""The least length of a secret in a foreign variable: a shorter one may be a word (`none`)."""


def surroundings() -> dict[str, str]:
    """Return the whole environment of this process, to start another one with it."""
    return dict(os.environ)


def wants_color(*, on_terminal: bool) -> bool:
    """Return True if output has colors: on a terminal, unless the environment says otherwise.

    NO_COLOR turns them off, FORCE_COLOR turns them on; some terminals cannot show them.
    Source: no-color.org, force-color.org.
    """
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (
        on_terminal and os.environ.get("TERM") != "dumb"
    )


def secrets_of(settings: Settings) -> list[str]:
    """Return the secrets of settings and environment, which no log or output may show."""
    held = [settings.store.key, settings.store.previous_key]
    held.append(settings.webhook.previous_api_secret)
    for app in (settings.app_named(), *settings.apps.values()):
        held += [app.client_secret, app.api_secret, app.bearer_token]
    for hook in settings.hooks.values():
        held += [hook.token, hook.secret, hook.previous_token, hook.previous_secret]
    given = [secret.get_secret_value() for secret in held if secret is not None]
    return [*given, *secrets_in_environment()]


def secrets_in_environment() -> list[str]:
    """Return the values of all variables whose names look like those of secrets.

    They include those of other programs, and the bot's own keys, for instance one for a model.
    """
    return [
        value
        for name, value in (_taken | os.environ).items()
        if _SECRET_VARIABLE.search(name) and len(value) >= _SHORTEST_SECRET
    ]


def load_settings(
    *,
    config_file: Path | None = None,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Read all settings, once.

    Secrets among botkit's own variables are taken out of the process's environment, so that
    programs that a handler starts do not inherit them.

    Args:
        config_file: A botkit.toml; by default `BOTKIT_CONFIG`, else botkit.toml in `folder`.
        overrides: Texts `section.name=value`, from `--set`; they win over all other sources.
        environ: Variables to read instead of the process's environment.
        folder: Where to look for botkit.toml; by default the current folder.

    Raises:
        ConfigError: A setting is wrong. `problems` lists every fault, never a secret's value.
    """
    names = {**_taken, **os.environ} if environ is None else environ
    chosen = config_file or (Path(names["BOTKIT_CONFIG"]) if names.get("BOTKIT_CONFIG") else None)
    try:
        where = (folder or Path.cwd()) if chosen is None else chosen.parent.absolute()
    except OSError as fault:
        raise as_config_error(fault) or fault from fault
    file = chosen or where / "botkit.toml"
    findings = Findings()
    # From the weakest to the strongest.
    toml = [TomlFile(file, findings)] if chosen or _may_exist(file) else []
    sources = [*toml, *environment(names, findings), *assignments(overrides, findings)]
    sources.append(InitSettingsSource(Settings, init_kwargs={"folder": where}))
    if environ is None:
        for name in secret_variables(os.environ):
            _taken[name] = os.environ.pop(name)
    return _settings(sources, findings, names)


def _may_exist(file: Path) -> bool:
    """Return True if the file exists or its folder cannot be searched: reading it explains why."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _settings(
    sources: Sequence[PydanticBaseSettingsSource], findings: Findings, names: Mapping[str, str]
) -> Settings:
    """Return the settings of all sources, the strongest of which comes last.

    Raises:
        ConfigError: A setting is wrong. `problems` lists every fault.
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
    if settings is not None and settings.x.use_proxy:
        problems.extend(proxy_problems(names))
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

    An installed plug-in, for instance of a telemetry product, sees every value that pydantic
    validates, and `PYDANTIC_SETTINGS_DEBUG` logs raw values: some of them are secrets here. The
    plug-ins stay for models of other packages, because pydantic reads the variable for each class
    that it builds.
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
