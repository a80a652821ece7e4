"""An app's keys: all there, not mixed up, taken by X.

Where X refuses a pair, it is asked whether the two are swapped, or are another pair of the same
app in the wrong place: its answer is the proof, what they look like is a hint.

Source: docs/explanation/x-facts.md, 2.6, 3.1 to 3.6 and 5.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from msgspec import Struct

from botkit.client.logins.endpoints import AppKeys
from botkit.doctor.findings import fine, of_error, response_of, untold, wrong
from botkit.doctor.probes import KeyAndSecret
from botkit.errors import BotkitError, InvalidClient
from botkit.model.tokens import CredentialKind
from botkit.protocol.oauth.key_shapes import look_at
from botkit.protocol.refusals.table import Topic, diagnose_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botkit.doctor.findings import Finding
    from botkit.doctor.probes import Probes
    from botkit.model.tokens import Secret

__all__ = ["CheckedApp", "look", "prove_api", "prove_bearer", "prove_client"]

_PAGE = "the app's Keys and tokens page in X's console"
_CLIENT, _API, _BEARER = "keys.client", "keys.api", "keys.bearer"
_COMPARE = f"Compare them with {_PAGE}."


class CheckedApp(Struct, frozen=True, kw_only=True):
    """An app of the settings. `uses` are the kinds of login that its accounts have."""

    name: str
    keys: AppKeys
    redirect_uri: str
    uses: frozenset[CredentialKind] = frozenset()

    @property
    def about(self) -> str:
        """How findings call it."""
        return f"app {self.name}"

    @property
    def client(self) -> KeyAndSecret | None:
        """Its id and secret of OAuth 2.0, if both are there."""
        keys = self.keys
        if not keys.client_id or not keys.client_secret:
            return None
        return KeyAndSecret(name=keys.client_id, secret=keys.client_secret)

    @property
    def api(self) -> KeyAndSecret | None:
        """Its key and secret of OAuth 1.0a, if both are there."""
        return (
            KeyAndSecret(name=self.keys.api_key, secret=self.keys.api_secret)
            if self.keys.can_sign
            else None
        )

    @property
    def setting(self) -> str:
        """The beginning of its settings' names in the environment."""
        return "BOTKIT_APP__" if self.name == "default" else f"BOTKIT_APPS__{self.name.upper()}__"


def look(app: CheckedApp, *, hints: bool) -> list[Finding]:
    """What can be seen without asking X: what is missing, and what cannot be so.

    With `hints` also what only looks odd, for when X is not asked.
    """
    found = [*_missing(app)]
    for oddity in look_at(_texts(app.keys)):
        if oddity.sure:
            found.append(wrong("keys", oddity.text, _COMPARE, about=app.about))
        elif hints:
            cause = f"{oddity.text} That is a hint only, X's answer is the proof."
            found.append(untold("keys", cause, _COMPARE, about=app.about))
    if not found:
        found.append(fine("keys", "nothing is missing, nothing is odd", about=app.about))
    return found


async def prove_client(app: CheckedApp, asking: Probes) -> list[Finding]:
    """Whether X takes client id and secret; no token is spent for it."""
    pair = app.client
    if pair is None:
        return []
    try:
        refused = await asking.client_refusal(pair)
    except BotkitError as error:
        asking.note(app.name, error)
        return [of_error(_CLIENT, error, about=app.about, topic=Topic.CLIENT_KEYS)]
    if refused is None:
        return [fine(_CLIENT, "X takes client id and secret", about=app.about)]
    try:
        mixed_up = await _mixed_up_client(app, pair, asking)
    except BotkitError:
        mixed_up = ""
    return [_not_taken(_CLIENT, refused, mixed_up, _hint(app, "client_"), app)]


async def _mixed_up_client(app: CheckedApp, pair: KeyAndSecret, asking: Probes) -> str:
    """How the keys are mixed up, as X proves it; "" when they are not."""
    if await asking.takes_client(pair.swapped()):
        return "client_id and client_secret are swapped: X takes them the other way round."
    if await asking.bearer_of(pair) is not None:
        return "These are the API Key and Secret: they belong into api_key and api_secret."
    if app.api is not None and await asking.takes_client(app.api):
        return "The right ones stand in api_key and api_secret."
    return ""


async def prove_api(app: CheckedApp, asking: Probes) -> tuple[list[Finding], Secret | None]:
    """Whether X takes key and secret, and the bearer token that it gives for them."""
    pair = app.api
    if pair is None:
        return [], None
    try:
        bearer = await asking.fetch_bearer(pair)
    except InvalidClient as error:
        refused = error
    except BotkitError as error:
        asking.note(app.name, error)
        return [of_error(_API, error, about=app.about, topic=Topic.API_KEYS)], None
    else:
        return [fine(_API, "X takes api key and secret", about=app.about)], bearer
    try:
        mixed_up = await _mixed_up_api(app, pair, asking)
    except BotkitError:
        mixed_up = ""
    return [_not_taken(_API, refused, mixed_up, _hint(app, "api_"), app)], None


async def _mixed_up_api(app: CheckedApp, pair: KeyAndSecret, asking: Probes) -> str:
    """How the keys are mixed up, as X proves it; "" when they are not."""
    if await asking.bearer_of(pair.swapped()) is not None:
        return "api_key and api_secret are swapped: X takes them the other way round."
    if await asking.takes_client(pair):
        return "These are the Client ID and Secret: they belong into client_id and client_secret."
    if app.client is not None and await asking.bearer_of(app.client) is not None:
        return "The right ones stand in client_id and client_secret."
    return ""


async def prove_bearer(
    app: CheckedApp, asking: Probes, *, given: Secret | None, fetched: Secret | None
) -> list[Finding]:
    """Whether X takes the app's bearer token, and whether it is this app's.

    `given` is one that the operator gave, `fetched` what X gave for the api key and secret.
    """
    bearer = given or fetched
    if bearer is None:
        return []
    foreign = given is not None and fetched is not None and not _same(given, fetched)
    try:
        await asking.usage(app.name, bearer)
    except BotkitError as error:
        return [_refused(app, error, foreign=foreign, is_given=given is not None)]
    if foreign:
        cause = "The bearer token works, and belongs to another app than api_key and api_secret."
        cure = f"Take all from one app, or remove bearer_token: botkit fetches it. {_COMPARE}"
        return [wrong(_BEARER, cause, cure, about=app.about)]
    return [fine(_BEARER, "X takes the app's bearer token", about=app.about)]


def _refused(app: CheckedApp, error: BotkitError, *, foreign: bool, is_given: bool) -> Finding:
    response = response_of(error)
    row = None if response is None else diagnose_error(response)
    if row is not None and row.id == "wrong-kind":
        cause = "bearer_token holds a user's access token, which X knows, and not the app's."
        return wrong(_BEARER, cause, f"Take the Bearer Token of {_PAGE}.", about=app.about)
    found = of_error(_BEARER, error, about=app.about, topic=Topic.LOGIN)
    if row is None or row.topic is not Topic.LOGIN or not is_given:
        return found
    cure = f"Compare bearer_token with {_PAGE}. {_hint(app, 'bearer_')}"
    if foreign:
        cure = "Remove bearer_token: botkit fetches the right one with api_key and api_secret."
    return wrong(_BEARER, found.cause, cure.strip(), about=app.about)


def _not_taken(
    check: str, refused: InvalidClient, mixed_up: str, hint: str, app: CheckedApp
) -> Finding:
    """X refuses a pair: in the words of the table, unless X proved how it is mixed up."""
    found = of_error(check, refused, about=app.about)
    cure = mixed_up or f"{hint} {found.cure}".strip()
    return wrong(check, found.cause, cure, about=app.about)


def _missing(app: CheckedApp) -> Iterator[Finding]:
    keys = app.keys
    has_api = bool(keys.api_key or keys.api_secret)
    has_client = bool(keys.client_id or keys.client_secret)
    if has_client or CredentialKind.OAUTH2 in app.uses or not (app.uses or has_api):
        yield from _lacks(app, _CLIENT, client_id=keys.client_id, client_secret=keys.client_secret)
    if has_api or CredentialKind.OAUTH1 in app.uses:
        yield from _lacks(app, _API, api_key=keys.api_key, api_secret=keys.api_secret)


def _lacks(app: CheckedApp, check: str, **fields: object) -> Iterator[Finding]:
    for name, value in fields.items():
        if not value:
            variable = f"{app.setting}{name.upper()}"
            file = f", or {variable}_FILE" if name.endswith("secret") else ""
            cure = f"Take it from {_PAGE} and set {variable}{file}."
            yield wrong(check, f"{name} is missing.", cure, about=app.about)


def _hint(app: CheckedApp, prefix: str) -> str:
    """What looks odd about the fields that begin so, as a hint in words."""
    odd = [
        oddity.text
        for oddity in look_at(_texts(app.keys))
        if any(name.startswith(prefix) for name in oddity.fields)
    ]
    return f"A hint: {' '.join(odd)}" if odd else ""


def _texts(keys: AppKeys) -> dict[str, str]:
    return {
        "client_id": keys.client_id,
        "client_secret": keys.client_secret.reveal(),
        "api_key": keys.api_key,
        "api_secret": keys.api_secret.reveal(),
        "bearer_token": keys.bearer_token.reveal(),
    }


def _same(one: Secret, other: Secret) -> bool:
    """Some copy the token percent-encoded, as X's console shows it."""
    return unquote(one.reveal().strip()) == unquote(other.reveal().strip())
