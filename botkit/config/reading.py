"""Reads settings: from a file, the environment, files of secrets, the command line.

Each value keeps the name of where it came from; all faults are collected, and told at once.
"""

from __future__ import annotations

import os
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel, ValidationError

from botkit.config.sections import SECTIONS, AppSettings, Settings
from botkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

__all__ = ["Reading", "setting_names"]

_PREFIX = "BOTKIT_"
_FILE = "_FILE"
_RESERVED = frozenset({"BOTKIT_CONFIG", "BOTKIT_SECRETS_DIR"})
"""Names that say where to read, and are no settings themselves."""
_SECRETS = frozenset({"client_secret", "api_secret", "bearer_token", "key", "previous_key"})
_PLUG_INS = "PYDANTIC_DISABLE_PLUGINS"
_MAX_FILE_BYTES = 64 * 1024


def setting_names() -> list[str]:
    """Every setting as `section.name`; `apps.NAME.*` stands for each named app."""
    names: list[str] = []
    for section, field in Settings.model_fields.items():
        model = SECTIONS.get(section, BaseModel)
        if field.annotation is Path:
            continue
        prefix = "apps.NAME" if section == "apps" else section
        names.extend(f"{prefix}.{name}" for name in model.model_fields)
    return names


class Reading:
    """Collects values, where each came from, and all the faults."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, ...], Any] = {}
        self.origins: dict[tuple[str, ...], str] = {}
        self.problems: list[str] = []

    def _put(self, path: tuple[str, ...], value: Any, origin: str) -> None:
        self.values[path] = value
        self.origins[path] = origin

    def toml(self, file: Path, *, required: bool) -> None:
        """Take what botkit.toml says; nothing, if it need not be there and is not."""
        if not required and not file.exists():
            return
        try:
            document = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
        except OSError as error:
            self.problems.append(f"{file}: cannot be read ({error.strerror}).")
            return
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            self.problems.append(f"{file}: is not valid TOML: {error}.")
            return
        for path, value in _leaves(document):
            if self._known(path, f"{file.name}: [{'.'.join(path[:-1])}] {path[-1]}"):
                origin = f"{file.name} [{'.'.join(path[:-1])}] {path[-1]}"
                is_text = isinstance(value, str)
                self._put(path, self._clean(value, origin) if is_text else value, origin)

    def environment(self, names: Mapping[str, str]) -> None:
        """Take what the environment says, and the files that it names."""
        plain = {n: v for n, v in names.items() if n.startswith(_PREFIX) and n not in _RESERVED}
        for name, value in sorted(plain.items()):
            path = self._path_of(name)
            if _exists(path):
                self._put(path, self._clean(value, name), name)
        for name, value in sorted(plain.items()):
            if _exists(self._path_of(name)):
                continue
            path = self._path_of(name.removesuffix(_FILE))
            if name.endswith(_FILE) and _exists(path):
                self._from_file(path, Path(value), name)
            else:
                self._unknown(name, _environment_names())
        if names.get("BOTKIT_SECRETS_DIR"):
            self._secrets_dir(Path(names["BOTKIT_SECRETS_DIR"]))

    def overrides(self, assignments: Sequence[str]) -> None:
        """Take what `--set` says: `section.name=value`, never a secret."""
        for assignment in assignments:
            name, separator, value = assignment.partition("=")
            path = tuple(name.strip().split("."))
            if not separator:
                self.problems.append(f"--set {name}: write it as section.name=value.")
            elif self._known(path, f"--set {name}"):
                if path[-1] in _SECRETS:
                    self.problems.append(
                        f"--set {name}: a secret does not belong on the command line;"
                        f" use {_environment_name(path)}_FILE."
                    )
                else:
                    self._put(path, self._clean(value, f"--set {name}"), f"--set {name}")

    def finish(self, folder: Path) -> Settings:
        """All settings; relative paths start at `folder`.

        Raises:
            ConfigError: With every fault that was met.
        """
        if ("app",) in {p[:1] for p in self.values} and ("apps", "default") in {
            p[:2] for p in self.values
        }:
            self.problems.append("[app] and [apps.default] are the same app: keep one of them.")
        nested: dict[str, Any] = {name: {} for name in SECTIONS if name != "app"}
        for path, value in self.values.items():
            at = nested
            for part in path[:-1]:
                at = at.setdefault(part, {})
            at[path[-1]] = value
        settings: Settings | None = None
        try:
            with _unseen_by_plug_ins():
                settings = Settings(**nested, folder=folder)
        except ValidationError as error:
            self.problems.extend(self._faults(error))
        if settings is not None and settings.connect.on and settings.connect.public_url is None:
            self.problems.append("[connect] on: needs public_url, like https://bot.example.")
        if self.problems or settings is None:
            raise ConfigError(
                f"{len(self.problems)} setting(s) are wrong: " + " ".join(self.problems),
                problems=self.problems,
            )
        return settings

    def _faults(self, error: ValidationError) -> Iterator[str]:
        for fault in error.errors(include_url=False, include_input=False):
            path = tuple(str(part) for part in fault["loc"])
            origin = self.origins.get(path) or self.origins.get(path[:-1]) or ".".join(path)
            yield f"{origin}: {fault['msg'].removeprefix('Value error, ')}."

    def _from_file(self, path: tuple[str, ...], file: Path, origin: str) -> None:
        try:
            if file.stat().st_size > _MAX_FILE_BYTES:
                self.problems.append(f"{origin}: {file} is larger than 64 KiB.")
                return
            text = file.read_bytes().decode("utf-8-sig")
        except OSError as error:
            self.problems.append(f"{origin}: {file} cannot be read ({error.strerror}).")
        except UnicodeDecodeError:
            self.problems.append(f"{origin}: {file} is not UTF-8 text.")
        else:
            self._put(path, self._clean(text, origin), origin)

    def _secrets_dir(self, folder: Path) -> None:
        if not folder.is_dir():
            self.problems.append(f"BOTKIT_SECRETS_DIR: {folder} is not a folder.")
            return
        for file in sorted(folder.iterdir()):
            name = file.name.upper()
            if file.is_file() and name.startswith(_PREFIX):
                path = self._path_of(name)
                if self._known(path, f"secrets file {file.name}"):
                    self._from_file(path, file, f"secrets file {file.name}")

    def _path_of(self, name: str) -> tuple[str, ...]:
        """The setting that a name of the environment means.

        Such names have no case: an app keeps the letters that botkit.toml gives it.
        """
        section, *rest = name.removeprefix(_PREFIX).lower().split("__")
        if section == "apps" and rest:
            written = {known[1].lower(): known[1] for known in self.values if known[0] == section}
            rest[0] = written.get(rest[0], rest[0])
        return (section, *rest)

    def _clean(self, value: str, origin: str) -> str:
        """Trim a BOM, white space and line ends; refuse what looks like quoting by accident."""
        text = value.removeprefix("\ufeff").strip()
        if not text:
            self.problems.append(f"{origin}: is empty; set it or remove it.")
        elif len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
            self.problems.append(f"{origin}: stands in quotes; write it without them.")
        elif any(ord(c) < ord(" ") for c in text):
            self.problems.append(f"{origin}: holds a line end or a control character.")
        return text

    def _known(self, path: tuple[str, ...], origin: str) -> bool:
        if _exists(path):
            return True
        self._unknown(origin, setting_names(), wanted=".".join(path))
        return False

    def _unknown(self, origin: str, known: Sequence[str], *, wanted: str = "") -> None:
        import difflib

        near = difflib.get_close_matches(wanted or origin, known, n=1, cutoff=0.5)
        cure = f"did you mean {near[0]}?" if near else "see the settings reference."
        self.problems.append(f"{origin}: there is no such setting; {cure}")


@contextmanager
def _unseen_by_plug_ins() -> Generator[None]:
    """No plug-in of pydantic is given the settings, and none is looked for.

    What is validated passes through every plug-in that is installed, as for telemetry: here that
    would be secrets. Models of others keep theirs: pydantic asks at each class that it builds.
    """
    before = os.environ.get(_PLUG_INS)
    os.environ[_PLUG_INS] = "__all__"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_PLUG_INS]
        else:
            os.environ[_PLUG_INS] = before


def _exists(path: tuple[str, ...]) -> bool:
    match path:
        case ("apps", _, name):
            return name in AppSettings.model_fields
        case ("x", "extra_headers", _):
            return True
        case (section, name):
            return name in SECTIONS.get(section, BaseModel).model_fields
        case _:
            return False


def _environment_name(path: tuple[str, ...]) -> str:
    return _PREFIX + "__".join(part.upper() for part in path)


def _environment_names() -> list[str]:
    plain = [_environment_name(tuple(name.split("."))) for name in setting_names()]
    return plain + [name + _FILE for name in plain]


def _leaves(
    document: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in document.items():
        here = (*path, name)
        if isinstance(value, dict):
            yield from _leaves(cast("dict[str, Any]", value), here)
        else:
            yield here, value
