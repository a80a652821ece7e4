"""Settings: the only reader of the environment.

`botkit.toml` < environment `BOTKIT_*` < `BOTKIT_*_FILE` and the secrets directory < `--set`.
Read once, into one frozen object; all faults in one list, before any network.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from botkit.config.reading import Reading, setting_names
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

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    "setting_names",
    "surroundings",
]


def surroundings() -> dict[str, str]:
    """The whole environment, for a process that is started."""
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
    reading = Reading()
    where = folder or Path.cwd()
    chosen = config_file or (Path(names["BOTKIT_CONFIG"]) if names.get("BOTKIT_CONFIG") else None)
    if chosen is not None:
        where = chosen.parent.absolute()
        reading.toml(chosen, required=True)
    else:
        reading.toml(where / "botkit.toml", required=False)
    reading.environment(names)
    reading.overrides(overrides)
    return reading.finish(where)
