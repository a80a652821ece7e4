"""The settings: one frozen class for each section, with the rules for each value."""

from __future__ import annotations

import base64
import binascii
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, TypeAlias
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from botkit.errors import ConfigError

__all__ = [
    "ENV_DELIMITER",
    "ENV_PREFIX",
    "NAMED_SECTIONS",
    "SECTIONS",
    "AppSettings",
    "BotSettings",
    "BudgetSettings",
    "ConnectSettings",
    "HookSettings",
    "HttpSettings",
    "LogSettings",
    "RunSettings",
    "SettingPath",
    "Settings",
    "StoreSettings",
    "WebhookSettings",
    "XSettings",
    "is_setting",
    "setting_names",
]

SettingPath: TypeAlias = tuple[str, ...]
"""The parts of a setting's name, like `("store", "url")` or `("apps", "NAME", "client_id")`."""

ENV_PREFIX = "BOTKIT_"
ENV_DELIMITER = "__"
"""The separator between section and name in a variable."""

_DEFAULT_REDIRECT = "http://127.0.0.1:8765/callback"
_LOOPBACK_V6 = "::1"
_HEADER_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_OWN_HEADERS = frozenset(
    {"authorization", "host", "content-length", "content-type", "transfer-encoding", "connection"}
)
_LONGEST_WEBHOOK_URL = 200
_WEBHOOK_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_TAKEN_PATHS = frozenset({"healthz", "readyz", "connect", "hooks"})
_HOOK_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_HOOK_NAME = 64
_SHORTEST_PROOF = 16
"""The least length of a hook's token or secret: a shorter one can be guessed."""
_STANDARD_SECRET = "whsec_"  # noqa: S105 - the prefix, not a secret
"""The prefix of a secret of Standard Webhooks; base64 stands behind it."""


def _checked_url(url: str) -> str:
    return _checked_issuer(url).rstrip("/")


def _checked_issuer(url: str) -> str:
    """Check an address and return it unchanged: an issuer is compared letter by letter."""
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
    """Check an origin and return it exactly as a browser sends it in `Origin`."""
    url = _checked_url(url)
    parts = urlsplit(url)
    default = {"https": 443, "http": 80}[parts.scheme]
    if parts.path or parts.netloc != parts.netloc.lower() or parts.port == default:
        raise ValueError("must be https://HOST: no path, no capitals, no default port")
    return url


def _headers_in(given: object) -> object:
    """Parse headers given as text, by environment or command line; return others unchanged.

    The text is `NAME: VALUE`, or a JSON object of several.
    """
    if not isinstance(given, str):
        return given
    if given.startswith("{"):
        try:
            return json.loads(given)
        except json.JSONDecodeError:
            raise ValueError("begins like a JSON object and is none") from None
    name, colon, value = given.partition(":")
    if not colon:
        raise ValueError('is neither "NAME: VALUE" nor a JSON object')
    return {name.strip(): value.strip()}


def _checked_headers(headers: dict[str, str]) -> dict[str, str]:
    """Check names and values. Source: RFC 9110, sections 5.1 and 5.5."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError("holds a name that no header can have")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"cannot set {name}: botkit sets it itself")
        if not value.isprintable() or not value.isascii():
            raise ValueError(f"{name} has a value that no header can have")
    return headers


Url = Annotated[str, AfterValidator(_checked_url)]
Issuer = Annotated[str, AfterValidator(_checked_issuer)]


class _Section(BaseModel):
    # pydantic builds it together with Settings, once.
    model_config: ClassVar[ConfigDict] = ConfigDict(
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
    """The issuer (`iss`) of a server that is not X; each redirect must carry it then."""
    ca_file: Path | None = None
    extra_headers: Annotated[
        dict[str, str], BeforeValidator(_headers_in), AfterValidator(_checked_headers)
    ] = Field(default_factory=dict)
    """Headers that every request carries, for instance through a gateway: a table, or in one text
    `NAME: VALUE`, or a JSON object of several."""
    use_proxy: bool = False
    """True to honour HTTPS_PROXY, ALL_PROXY and NO_PROXY; loopback never uses a proxy."""


class AppSettings(_Section):
    """One app of X's console: its credentials, and the callback address registered for it."""

    client_id: str | None = None
    client_secret: SecretStr | None = None
    api_key: str | None = None
    api_secret: SecretStr | None = None
    bearer_token: SecretStr | None = None
    redirect_uri: str = _DEFAULT_REDIRECT
    plan: Literal["self-serve", "enterprise"] = "self-serve"
    """The app's plan at X: it decides how many rules and subscriptions the app may have, how long
    a rule or query may be, and whether a stream delivers again what was missed."""


class BotSettings(_Section):
    """Which bot runs, for which account, and where its events come from."""

    target: str | None = None
    """`MODULE:BOT`."""
    account: str | None = None
    source: Literal["auto", "stream", "webhook", "poll"] = "auto"
    """`auto`: activity stream and slow poll if the app has a bearer token, else the poll.
    `webhook`: X delivers to `[webhook] public_url`."""
    links: Literal["refuse", "allow"] = "refuse"
    """Refuse or allow a bare domain in a post: X turns it into a link, which costs 0.200 USD."""
    answers_per_author: int = Field(default=30, ge=0)
    """The most replies to one author in one conversation within a day; 0 for no limit."""
    answers_to_automated: int = Field(default=3, ge=0)
    """The same limit for a labelled automated account, or two bots would answer forever."""
    late_ids_s: float = Field(default=300, ge=0, le=3600)
    """The longest time that X takes to show a new post: polls read that far back again."""


class StoreSettings(_Section):
    """Where the state is kept, and the vault key when it comes from the environment."""

    url: str = "sqlite:///botkit.db"
    key_from: Literal["file", "keyring"] = "file"
    """Where the vault key is kept when `key` is not given: a file, or the system's keyring."""
    key: SecretStr | None = None
    previous_key: SecretStr | None = None
    keep_events_days: int = Field(default=7, ge=7, le=3650)
    """The days for which ended events are kept; longer while X may deliver them again."""
    keep_dead_days: int = Field(default=90, ge=7, le=3650)
    """The days for which dead letters are kept, for `botkit events retry`."""
    keep_writes_days: int = Field(default=90, ge=30, le=3650)
    """The days for which ended writes are kept: they prevent a second answer to the same post."""


class LogSettings(_Section):
    """The level and format of the log; `auto` writes text on a terminal and JSON elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "text", "json"] = "auto"


class HttpSettings(_Section):
    """The running bot's own HTTP server: there for `on`, `[connect]`, a hook or a webhook."""

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


def _checked_webhook_url(url: str) -> str:
    """Check an address at which X delivers.

    Source: X API docs, "Webhooks"; X's OpenAPI document.
    """
    url = _checked_url(url)
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.port is not None:
        raise ValueError("must have no port: X delivers to none but 443")
    if len(url) > _LONGEST_WEBHOOK_URL:
        raise ValueError(f"is longer than {_LONGEST_WEBHOOK_URL} characters")
    if not _WEBHOOK_PATH.fullmatch(parts.path):
        raise ValueError("needs a path of letters, digits and . _ ~ - as in https://HOST/x")
    if parts.path.split("/")[1] in _TAKEN_PATHS:
        raise ValueError("has a path at which the bot's server has something else")
    return url


class WebhookSettings(_Section):
    """Where X delivers the events if `[bot] source` is `webhook`."""

    public_url: Annotated[str, AfterValidator(_checked_webhook_url)] | None = None
    """`https://HOST/PATH` as X sees it; the bot's server takes the deliveries at the same path."""
    app: str = "default"
    """The app that the webhook belongs to: its `api_secret` signs the deliveries."""
    previous_api_secret: SecretStr | None = None
    """The app's API secret before, taken too while X changes to the new one."""


def _checked_hook_name(name: str) -> str:
    if not _HOOK_NAME.fullmatch(name) or len(name) > _LONGEST_HOOK_NAME:
        raise ValueError(
            "is no name of a hook: write small letters and digits with single hyphens between"
            " them, as in order-shipped"
        )
    return name


def _checked_proof(proof: SecretStr) -> SecretStr:
    """Check the length of a token or secret, and the base64 of a secret of Standard Webhooks."""
    text = proof.get_secret_value()
    if len(text) < _SHORTEST_PROOF:
        raise ValueError(
            f"is shorter than {_SHORTEST_PROOF} characters: make one with `openssl rand -hex 32`"
        )
    if text.startswith(_STANDARD_SECRET):
        try:
            base64.b64decode(text.removeprefix(_STANDARD_SECRET), validate=True)
        except binascii.Error:
            raise ValueError("begins with whsec_, and no base64 follows") from None
    return proof


Proof = Annotated[SecretStr, AfterValidator(_checked_proof)]


class HookSettings(_Section):
    """Other software that tells the bot something at `POST /hooks/NAME`: its proof and limits.

    Either `token` or `secret` is set. In a variable the hyphens of the name are underscores.
    """

    token: Proof | None = None
    """The token of `Authorization: Bearer TOKEN`."""
    secret: Proof | None = None
    """The key of a signature over the body: of Standard Webhooks if it begins with `whsec_`, else
    of `X-Hub-Signature-256`."""
    previous_token: Proof | None = None
    """The token before, taken too while the sender changes to the new one."""
    previous_secret: Proof | None = None
    """The secret before, taken too while the sender changes to the new one."""
    account: str | None = None
    """The account whose bot is told; by default `[bot] account`, or the only account."""
    max_kib: int = Field(default=64, ge=1, le=1024)
    """The largest body, in KiB."""
    per_minute: int = Field(default=600, ge=1, le=100_000)
    """The most deliveries in a minute; one more is answered with 429."""
    same_body_s: float = Field(default=86_400, ge=0, le=604_800)
    """The time for which the same body again, without a key of the sender, is no new event."""

    @model_validator(mode="after")
    def _one_proof(self) -> Self:
        if (self.token is None) == (self.secret is None):
            raise ValueError("needs either token or secret (and not both)")
        return self


class BudgetSettings(_Section):
    """The most that may be spent for each account, USD; 0 stands for no limit."""

    hour_usd: Decimal = Field(default=Decimal(0), ge=0)
    day_usd: Decimal = Field(default=Decimal(50), ge=0)
    hearing_day_usd: Decimal = Field(default=Decimal(0), ge=0)
    """The most that reads and events may cost in a day (UTC); then the account hears nothing."""


class RunSettings(_Section):
    """How the process runs and ends."""

    drain_s: float = Field(default=8.0, ge=0, le=300)
    slots: int = Field(default=128, ge=1, le=10_000)
    """How many handlers run at the same time at most."""
    write_policy: Literal["reconcile", "hold", "resend"] = "reconcile"
    """How a write is settled whose answer was lost: see the explanation of delivery."""
    state_kib: int = Field(default=256, ge=1, le=65_536)
    """The most that one piece of state, a signal or a result of `act.once` may take, in KiB."""
    fallback: bool = True
    """Whether an account's OAuth 1.0a token stands in when its OAuth 2.0 login has ended."""
    debuggable: bool = False
    """Whether core files are written and a debugger may attach: both show the secrets."""
    keeper: Literal["auto", "never"] = "auto"
    """`auto`: one process of a store refreshes the logins; `never`: this one does not."""


class Settings(BaseSettings):
    """All settings, frozen. `load_settings` reads them; the constructor reads nothing."""

    # pydantic builds it at the first use, for which `load_settings` keeps plug-ins away.
    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        defer_build=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
        enable_decoding=False,  # a value is never JSON
    )

    x: XSettings = Field(default_factory=XSettings)
    app: AppSettings | None = None
    apps: dict[str, AppSettings] = Field(default_factory=dict)
    bot: BotSettings = Field(default_factory=BotSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    connect: ConnectSettings = Field(default_factory=ConnectSettings)
    hooks: dict[Annotated[str, AfterValidator(_checked_hook_name)], HookSettings] = Field(
        default_factory=dict
    )
    webhook: WebhookSettings = Field(default_factory=WebhookSettings)
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
        """Use the arguments only: `load_settings` passes its own sources."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    def app_named(self, name: str = "default") -> AppSettings:
        """Return the app's settings; empty ones for the default app if none are set.

        Raises:
            ConfigError: The settings have no app of this name.
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
    def serves_http(self) -> bool:
        """Whether the running bot has an HTTP server."""
        return bool(self.http.on or self.connect.on or self.hooks or self.bot.source == "webhook")

    @property
    def store_url(self) -> str:
        """The store's address; a relative SQLite path starts at the folder of botkit.toml.

        Raises:
            ConfigError: It begins with a `~`, and this user has no home folder.
        """
        prefix = "sqlite:///"
        if not self.store.url.startswith(prefix):
            return self.store.url
        path = Path(unquote(self.store.url.removeprefix(prefix)))
        try:
            path = path.expanduser()
        except RuntimeError as error:
            raise ConfigError(
                f"store.url: ~ in {self.store.url} stands for a home folder, and there is none.",
                hint="Set HOME, or write the whole path, with four slashes behind sqlite:.",
            ) from error
        whole = path if path.is_absolute() else self.folder / path
        return prefix + str(whole).replace("%", "%25")  # it is read as an address, not as a path


SECTIONS: dict[str, type[BaseModel]] = {
    "x": XSettings,
    "app": AppSettings,
    "apps": AppSettings,
    "bot": BotSettings,
    "store": StoreSettings,
    "log": LogSettings,
    "http": HttpSettings,
    "connect": ConnectSettings,
    "hooks": HookSettings,
    "webhook": WebhookSettings,
    "budget": BudgetSettings,
    "run": RunSettings,
}
NAMED_SECTIONS = frozenset({"apps", "hooks"})
"""The sections that hold one section for each name: `[apps.NAME]`, `[hooks.NAME]`."""


def setting_names() -> list[str]:
    """Return every setting as `section.name`; `apps.NAME.*` stands for each named app."""
    return [
        f"{section}.NAME.{name}" if section in NAMED_SECTIONS else f"{section}.{name}"
        for section, model in SECTIONS.items()
        for name in model.model_fields
    ]


def is_setting(path: SettingPath) -> bool:
    """Return True if there is a setting of this name."""
    match path:
        case ("apps" | "hooks" as section, _, name):
            return name in SECTIONS[section].model_fields
        case ("x", "extra_headers", _):
            return True
        case (section, name):
            return name in SECTIONS.get(section, BaseModel).model_fields
        case _:
            return False
