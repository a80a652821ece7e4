"""Read settings from file, environment and `--set`, as sources of pydantic-settings.

pydantic-settings nests and merges the values. This module adds `*_FILE` variables, limits on the
files that are opened, the refusal of unknown names with the nearest known one, and one list of all
faults. The sources are made from the weakest to the strongest, and the faults come in that order.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic_settings import EnvSettingsSource, InitSettingsSource, TomlConfigSettingsSource

from botkit.config.file_faults import unreadable
from botkit.config.sections import (
    ENV_DELIMITER,
    ENV_PREFIX,
    Settings,
    is_setting,
    setting_names,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pydantic_settings.sources import ConfigFileSourceType

    from botkit.config.sections import SettingPath

__all__ = [
    "Findings",
    "TomlFile",
    "Variables",
    "assignments",
    "environment",
    "secret_variables",
]

_FILE = "_FILE"
_SECRETS_DIR = "BOTKIT_SECRETS_DIR"
_RESERVED = frozenset({"BOTKIT_CONFIG", _SECRETS_DIR})
"""Variables that name places to read from, and are no settings themselves."""
_SECRETS = frozenset(
    {"client_secret", "api_secret", "bearer_token", "key", "previous_key"}
    | {"token", "secret", "previous_token", "previous_secret"}
)
_OTHERS = 0o077
_VISIBLE = re.compile(r"[\x21-\x7e]+", re.ASCII)
_PRINTABLE = re.compile(r"[\x20-\x7e]+", re.ASCII)
"""The characters of a client secret. Source: RFC 6749, appendix A.2."""
_KIB = 1024
_MAX_TOML_BYTES = 1024 * _KIB
_MAX_VALUE_BYTES = 64 * _KIB


class Findings:
    """Collects every fault, and the origin of each value."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.origins: dict[SettingPath, str] = {}

    def take(
        self, path: SettingPath, value: Any, origin: str, *, unknown: str = ""
    ) -> dict[SettingPath, Any]:
        """Return the value under its path, or {} if there is no such setting.

        A BOM, white space and line ends around a text are removed. It is a fault if the text is
        empty, is in quotes, or contains a line end or another control character, and for a secret
        also if it contains a character that no key has. A fault of the name is reported under
        `unknown` if that is given, every other one under `origin`.
        """
        if not is_setting(path):
            self.refuse_name(unknown or origin, ".".join(path), setting_names())
            return {}
        self.origins[path] = origin
        if not isinstance(value, str):
            return {path: value}
        text = value.removeprefix("\ufeff").strip()
        if not text:
            self.problems.append(f"{origin}: is empty; set it or remove it.")
        elif len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
            self.problems.append(f"{origin}: stands in quotes; write it without them.")
        elif any(unicodedata.category(c) == "Cc" for c in text):
            self.problems.append(f"{origin}: holds a line end or a control character.")
        elif path[-1] == "client_secret" and not _PRINTABLE.fullmatch(text):
            self.problems.append(f"{origin}: holds a letter that no client secret has.")
        elif path[-1] in _SECRETS - {"client_secret"} and not _VISIBLE.fullmatch(text):
            self.problems.append(f"{origin}: holds a blank or another character that no key has.")
        return {path: text}

    def take_file(self, path: SettingPath, file: Path, origin: str) -> dict[SettingPath, Any]:
        """Return the text of the file as the value, or {} after a fault."""
        try:
            return self.take(path, _read(file, _MAX_VALUE_BYTES).decode("utf-8-sig"), origin)
        except _UnusableFileError as fault:
            self.problems.append(f"{origin}: {file} {fault}.")
        except UnicodeDecodeError:
            self.problems.append(f"{origin}: {file} is not UTF-8 text.")
        return {}

    def refuse_name(self, origin: str, wanted: str, known: Sequence[str]) -> None:
        """Note that there is no such setting, with the nearest name that exists."""
        import difflib

        near = difflib.get_close_matches(wanted or origin, known, n=1, cutoff=0.5)
        cure = f"did you mean {near[0]}?" if near else "see the settings reference."
        self.problems.append(f"{origin}: there is no such setting; {cure}")


class TomlFile(TomlConfigSettingsSource):
    """The known settings of botkit.toml."""

    def __init__(self, file: Path, findings: Findings) -> None:
        self._findings = findings
        super().__init__(Settings, toml_file=file)

    def _read_files(
        self,
        files: ConfigFileSourceType | None,
        deep_merge: bool = False,  # noqa: FBT001, FBT002 - the signature is pydantic-settings'
    ) -> dict[str, Any]:
        """Read the file. A missing or special one is a fault; pydantic-settings would skip it."""
        del deep_merge
        file = cast("Path", files)
        values: dict[SettingPath, Any] = {}
        try:
            document = tomllib.loads(_read(file, _MAX_TOML_BYTES).decode("utf-8-sig"))
            for path, value in _leaves(document):
                place = f"[{'.'.join(path[:-1])}] {path[-1]}"
                origin, unknown = f"{file.name} {place}", f"{file.name}: {place}"
                values |= self._findings.take(path, value, origin, unknown=unknown)
                if path in values and path[-1] in _SECRETS:
                    self._refuse_shown(file, path, origin)
        except _UnusableFileError as fault:
            self._findings.problems.append(f"{file}: {fault}.")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            self._findings.problems.append(f"{file}: is not valid TOML: {error}.")
        return _nested(values)

    def _refuse_shown(self, file: Path, path: SettingPath, origin: str) -> None:
        """Note a fault if other users may read a secret in the file."""
        mode = stat.S_IMODE(file.stat().st_mode)
        if os.name != "nt" and mode & _OTHERS:
            self._findings.problems.append(
                f"{origin}: is a secret, and other users may read {file} (mode {mode:04o}): chmod"
                f" 600 {file}, or better keep it in a file of its own, named by"
                f" {_variable_of(path)}{_FILE}."
            )


class Variables(EnvSettingsSource):
    """Values under the names of environment variables, read from variables or from files."""

    def __init__(self, values: Mapping[SettingPath, str]) -> None:
        self._values = values
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        prefix = ENV_PREFIX.lower()
        return {prefix + ENV_DELIMITER.join(path): text for path, text in self._values.items()}


def environment(names: Mapping[str, str], findings: Findings) -> tuple[Variables, Variables]:
    """Return two sources: the values in the environment, and those in the files that it names."""
    apps = {path[1].lower(): path[1] for path in findings.origins if path[0] == "apps"}
    values: dict[SettingPath, Any] = {}
    others: list[str] = []
    for name in sorted(names):
        if not name.startswith(ENV_PREFIX) or name in _RESERVED:
            continue
        if is_setting(path := _path_of(name, apps)):
            values |= findings.take(path, names[name], name)
        else:
            others.append(name)
    files: dict[SettingPath, Any] = {}
    for name in others:
        path = _path_of(name.removesuffix(_FILE), apps)
        if name.endswith(_FILE) and is_setting(path):
            files |= findings.take_file(path, Path(names[name]), name)
        else:
            findings.refuse_name(name, name, _variable_names())
    if names.get(_SECRETS_DIR):
        files |= _secrets_folder(Path(names[_SECRETS_DIR]), apps, findings)
    return Variables(values), Variables(files)


def secret_variables(names: Iterable[str]) -> list[str]:
    """Return the names of those variables that hold a secret themselves."""
    own = [name for name in names if name.startswith(ENV_PREFIX)]
    paths = {name: _path_of(name, {}) for name in own}
    return [name for name, path in paths.items() if is_setting(path) and path[-1] in _SECRETS]


def assignments(texts: Sequence[str], findings: Findings) -> list[InitSettingsSource]:
    """Return a source for each `--set`: the text is `section.name=value`, never a secret."""
    sources: list[InitSettingsSource] = []
    for text in texts:
        name, separator, value = text.partition("=")
        path = tuple(name.strip().split("."))
        if not separator:
            findings.problems.append(f"--set {name}: write it as section.name=value.")
        elif is_setting(path) and path[-1] in _SECRETS:
            findings.problems.append(
                f"--set {name}: a secret does not belong on the command line;"
                f" use {_variable_of(path)}{_FILE}."
            )
        else:
            values = findings.take(path, value, f"--set {name}")
            sources.append(InitSettingsSource(Settings, init_kwargs=_nested(values)))
    return sources


def _secrets_folder(
    folder: Path, apps: Mapping[str, str], findings: Findings
) -> dict[SettingPath, Any]:
    """Return the values of the files in the folder that are named like variables.

    The source for folders in pydantic-settings silently skips special files, and links that lead
    out of the folder.
    """
    try:
        files = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        findings.problems.append(f"{_SECRETS_DIR}: {folder} is not a folder.")
        return {}
    except OSError as error:
        findings.problems.append(f"{_SECRETS_DIR}: {folder} {unreadable(error)}.")
        return {}
    values: dict[SettingPath, Any] = {}
    for file in files:
        name, origin = file.name.upper(), f"secrets file {file.name}"
        path = _path_of(name, apps)
        if name.startswith(ENV_PREFIX) and is_setting(path):
            values |= findings.take_file(path, file, origin)
        elif name.startswith(ENV_PREFIX) and os.path.isfile(file):  # noqa: PTH113 - never raises
            findings.refuse_name(origin, ".".join(path), setting_names())
    return values


def _path_of(name: str, apps: Mapping[str, str]) -> SettingPath:
    """Return the path of the setting that a variable stands for.

    The case of a variable does not count, that of an app's name does: `apps` maps the lower-case
    name of each app of botkit.toml to its name. A hook's name has hyphens where the variable has
    single underscores.
    """
    section, *rest = name.removeprefix(ENV_PREFIX).lower().split(ENV_DELIMITER)
    if section == "apps" and rest:
        rest[0] = apps.get(rest[0], rest[0])
    if section == "hooks" and rest:
        rest[0] = rest[0].replace("_", "-")
    return (section, *rest)


def _variable_of(path: SettingPath) -> str:
    return ENV_PREFIX + ENV_DELIMITER.join(part.upper().replace("-", "_") for part in path)


def _variable_names() -> list[str]:
    plain = [_variable_of(tuple(name.split("."))) for name in setting_names()]
    return plain + [name + _FILE for name in plain]


class _UnusableFileError(Exception):
    """A file was not read. The text has the reason; messages put the file's name before it."""


def _read(file: Path, limit: int) -> bytes:
    """Return the content of a regular file of at most `limit` bytes.

    A pipe or a device is not opened: it could block, or never end.
    """
    try:
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a folder fails when it is opened
            raise _UnusableFileError("is not a regular file")
        with file.open("rb") as opened:
            content = opened.read(limit + 1)
    except OSError as error:
        raise _UnusableFileError(unreadable(error)) from error
    if len(content) > limit:
        raise _UnusableFileError(f"is larger than {limit // _KIB} KiB")
    return content


def _leaves(
    document: Mapping[str, Any], path: SettingPath = ()
) -> Iterator[tuple[SettingPath, Any]]:
    for name, value in document.items():
        here = (*path, name)
        if isinstance(value, dict):
            yield from _leaves(cast("dict[str, Any]", value), here)
        else:
            yield here, value


def _nested(values: Mapping[SettingPath, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for path, value in values.items():
        at = nested
        for part in path[:-1]:
            at = at.setdefault(part, {})
        at[path[-1]] = value
    return nested
