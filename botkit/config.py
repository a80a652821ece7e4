"""Settings: the only reader of the environment.

`botkit.toml` < environment `BOTKIT_*` < `BOTKIT_*_FILE` and the secrets directory < `--set`.
Read once, into one frozen object; all faults in one list, before any network.
"""

from __future__ import annotations

import os
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from botkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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

_PREFIX = "BOTKIT_"
_FILE = "_FILE"
_RESERVED = frozenset({"BOTKIT_CONFIG", "BOTKIT_SECRETS_DIR"})
"""Names that say where to read, and are no settings themselves."""
_SECRETS = frozenset({"client_secret", "api_secret", "bearer_token", "key", "previous_key"})
_DEFAULT_REDIRECT = "http://127.0.0.1:8765/callback"
_MAX_FILE_BYTES = 64 * 1024
_LOOPBACK_V6 = "::1"


def _checked_url(url: str) -> str:
    return _checked_issuer(url).rstrip("/")


def _checked_issuer(url: str) -> str:
    """As an address, but kept to the letter: it is compared, not called."""
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError("is not an http(s) address")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must hold neither credentials nor a query nor a fragment")
    host = parts.hostname
    loopback = host == _LOOPBACK_V6 or (
        host.startswith("127.") and host.replace(".", "").isdigit()
    )
    if parts.scheme == "http" and not loopback:
        raise ValueError(
            "is plain http; only a loopback address (127.0.0.1 or [::1]) may be: use https"
        )
    return url


def _checked_origin(url: str) -> str:
    """An origin in the letters in which a browser sends it back."""
    url = _checked_url(url)
    parts = urlsplit(url)
    default = {"https": 443, "http": 80}[parts.scheme]
    if parts.path or parts.netloc != parts.netloc.lower() or parts.port == default:
        raise ValueError("must be https://HOST: no path, no capitals, no default port")
    return url


Url = Annotated[str, AfterValidator(_checked_url)]
Issuer = Annotated[str, AfterValidator(_checked_issuer)]


class _Section(BaseModel):
    # Built once, as a part of Settings, and not for each section beforehand.
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True
    )


class XSettings(_Section):
    """Where X is. The other endpoints derive from `api_url` by X's paths; each can be set."""

    api_url: Url = "https://api.x.com"
    consent_url: Url = "https://x.com/i/oauth2/authorize"
    token_url: Url | None = None
    revoke_url: Url | None = None
    app_token_url: Url | None = None
    app_invalidate_url: Url | None = None
    request_token_url: Url | None = None
    authorize_url: Url | None = None
    """Where a person consents to an OAuth 1.0a login; it may be `.../oauth/authenticate`."""
    access_token_url: Url | None = None
    invalidate_url: Url | None = None
    issuer: Issuer | None = None
    """What a server that is not X says of itself (`iss`); then each redirect must say it."""
    ca_file: Path | None = None
    extra_headers: dict[str, str] = Field(default_factory=dict)
    use_proxy: bool = False
    """Whether HTTPS_PROXY and its kin are honoured; never for loopback."""


class AppSettings(_Section):
    """One app of X's console: its credentials, and the callback address registered for it."""

    client_id: str | None = None
    client_secret: SecretStr | None = None
    api_key: str | None = None
    api_secret: SecretStr | None = None
    bearer_token: SecretStr | None = None
    redirect_uri: str = _DEFAULT_REDIRECT


class BotSettings(_Section):
    """Which bot runs, for which account, and where its events come from."""

    target: str | None = None
    """`MODULE:BOT`."""
    account: str | None = None
    source: Literal["auto", "stream", "poll"] = "auto"
    """`auto`: activity stream and slow poll when the app's bearer is there, else the poll."""


class StoreSettings(_Section):
    """Where the state is kept, and the vault key when it comes from the environment."""

    url: str = "sqlite:///botkit.db"
    key_from: Literal["file", "keyring"] = "file"
    """Where the vault key is kept when `key` is not given: a file, or the system's keyring."""
    key: SecretStr | None = None
    previous_key: SecretStr | None = None


class LogSettings(_Section):
    """What is logged and how; `auto` is readable on a terminal and JSON elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "text", "json"] = "auto"


class HttpSettings(_Section):
    """The running bot's own HTTP server; it is there when `on`, or when `[connect]` is."""

    on: bool = False
    """Serve `/healthz` and `/readyz`."""
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)


class ConnectSettings(_Section):
    """Whether the running bot lets accounts log in by invitation, and at what public address."""

    on: bool = False
    public_url: Annotated[str, AfterValidator(_checked_origin)] | None = None
    """`https://HOST` as browsers see it; the callback to register is `/connect/callback` there."""
    app: str = "default"
    """The app of an invitation that names none."""


class BudgetSettings(_Section):
    """The most that may be spent for each account, USD; 0 stands for no limit."""

    hour_usd: Decimal = Field(default=Decimal(0), ge=0)
    day_usd: Decimal = Field(default=Decimal(50), ge=0)


class RunSettings(_Section):
    """How the process runs and ends."""

    drain_s: float = Field(default=8.0, ge=0, le=300)
    slots: int = Field(default=128, ge=1, le=10_000)
    """How many handlers run at the same time at most."""
    write_policy: Literal["reconcile", "hold", "resend"] = "reconcile"
    """What happens to a write whose answer was lost: see the explanation of delivery."""
    fallback: bool = True
    """Whether an account's OAuth 1.0a token goes on where its OAuth 2.0 login has ended."""
    debuggable: bool = False
    """Whether core files are written and a debugger may attach: both show the secrets."""
    keeper: Literal["auto", "never"] = "auto"
    """`auto`: one process of a store refreshes the logins; `never`: this one does not."""


class Settings(BaseSettings):
    """All settings, frozen. Made by `load_settings`."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    x: XSettings = Field(default_factory=XSettings)
    app: AppSettings | None = None
    apps: dict[str, AppSettings] = Field(default_factory=dict)
    bot: BotSettings = Field(default_factory=BotSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    connect: ConnectSettings = Field(default_factory=ConnectSettings)
    budget: BudgetSettings = Field(default_factory=BudgetSettings)
    run: RunSettings = Field(default_factory=RunSettings)
    folder: Path = Path()
    """The folder of botkit.toml: relative paths start there. Not a setting of its own."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_settings` has merged: the environment is read there, once."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    def app_named(self, name: str = "default") -> AppSettings:
        """The app's settings; an empty one for the default app when nothing is set.

        Raises:
            ConfigError: There is no such app.
        """
        if name == "default":
            return self.app or self.apps.get("default") or AppSettings()
        try:
            return self.apps[name]
        except KeyError:
            known = ", ".join(["default", *self.apps])
            raise ConfigError(
                f"There is no app {name!r} in the settings.",
                hint=f"Known: {known}. Add [apps.{name}] to botkit.toml.",
            ) from None

    @property
    def store_url(self) -> str:
        """The store's address; a relative SQLite path starts at the folder of botkit.toml."""
        prefix = "sqlite:///"
        if not self.store.url.startswith(prefix):
            return self.store.url
        path = Path(self.store.url.removeprefix(prefix)).expanduser()
        return prefix + str(path if path.is_absolute() else self.folder / path)


def surroundings() -> dict[str, str]:
    """The whole environment, for a process that is started."""
    return dict(os.environ)


def setting_names() -> list[str]:
    """Every setting as `section.name`; `apps.NAME.*` stands for each named app."""
    names: list[str] = []
    for section, field in Settings.model_fields.items():
        model = _SECTIONS.get(section, _Section)
        if field.annotation is Path:
            continue
        prefix = "apps.NAME" if section == "apps" else section
        names.extend(f"{prefix}.{name}" for name in model.model_fields)
    return names


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
    reading = _Reading()
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


class _Reading:
    """Collects values, where each came from, and all the faults."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, ...], Any] = {}
        self.origins: dict[tuple[str, ...], str] = {}
        self.problems: list[str] = []

    def put(self, path: tuple[str, ...], value: Any, origin: str) -> None:
        self.values[path] = value
        self.origins[path] = origin

    def toml(self, file: Path, *, required: bool) -> None:
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
                self.put(path, value, f"{file.name} [{'.'.join(path[:-1])}] {path[-1]}")

    def environment(self, names: Mapping[str, str]) -> None:
        plain = {n: v for n, v in names.items() if n.startswith(_PREFIX) and n not in _RESERVED}
        for name, value in sorted(plain.items()):
            path = _path_of(name)
            if _exists(path):
                self.put(path, self._clean(value, name), name)
        for name, value in sorted(plain.items()):
            path = _path_of(name)
            if _exists(path):
                continue
            if name.endswith(_FILE) and _exists(_path_of(name.removesuffix(_FILE))):
                self._from_file(_path_of(name.removesuffix(_FILE)), Path(value), name)
            else:
                self._unknown(name, _environment_names())
        if names.get("BOTKIT_SECRETS_DIR"):
            self._secrets_dir(Path(names["BOTKIT_SECRETS_DIR"]))

    def overrides(self, assignments: Sequence[str]) -> None:
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
                    self.put(path, value.strip(), f"--set {name}")

    def finish(self, folder: Path) -> Settings:
        if ("app",) in {p[:1] for p in self.values} and ("apps", "default") in {
            p[:2] for p in self.values
        }:
            self.problems.append("[app] and [apps.default] are the same app: keep one of them.")
        nested: dict[str, Any] = {name: {} for name in _SECTIONS if name != "app"}
        for path, value in self.values.items():
            at = nested
            for part in path[:-1]:
                at = at.setdefault(part, {})
            at[path[-1]] = value
        settings: Settings | None = None
        try:
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
            self.put(path, self._clean(text, origin), origin)

    def _secrets_dir(self, folder: Path) -> None:
        if not folder.is_dir():
            self.problems.append(f"BOTKIT_SECRETS_DIR: {folder} is not a folder.")
            return
        for file in sorted(folder.iterdir()):
            name = file.name.upper()
            if file.is_file() and name.startswith(_PREFIX):
                path = _path_of(name)
                if self._known(path, f"secrets file {file.name}"):
                    self._from_file(path, file, f"secrets file {file.name}")

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


_SECTIONS: dict[str, type[BaseModel]] = {
    "x": XSettings,
    "app": AppSettings,
    "apps": AppSettings,
    "bot": BotSettings,
    "store": StoreSettings,
    "log": LogSettings,
    "http": HttpSettings,
    "connect": ConnectSettings,
    "budget": BudgetSettings,
    "run": RunSettings,
}


def _exists(path: tuple[str, ...]) -> bool:
    match path:
        case ("apps", _, name):
            return name in AppSettings.model_fields
        case ("x", "extra_headers", _):
            return True
        case (section, name):
            return name in _SECTIONS.get(section, _Section).model_fields
        case _:
            return False


def _path_of(name: str) -> tuple[str, ...]:
    return tuple(name.removeprefix(_PREFIX).lower().split("__"))


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
