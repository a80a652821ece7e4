"""Check an app's keys: none is missing, none is mixed up, and X takes them.

If X refuses a key and its secret, further calls test whether the two are swapped, or are the app's
other key and secret in the wrong place. X's answer is the proof; the look of a key is a hint.

Source: docs/explanation/x-facts.md, 2.6, 3.1 to 3.6 and 5.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from msgspec import Struct

from botkit.client.logins.endpoints import AppKeys
from botkit.config.app_names import variables_of
from botkit.doctor.findings import Check, about_app, diagnosis_of
from botkit.doctor.probes import KeyAndSecret
from botkit.errors import BotkitError, InvalidClient
from botkit.model.tokens import CredentialKind
from botkit.protocol.oauth.key_shapes import look_at
from botkit.protocol.refusals.table import Topic

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from botkit.doctor.findings import Finding
    from botkit.doctor.probes import Probes
    from botkit.model.tokens import Secret

__all__ = ["CheckedApp", "look", "prove_api", "prove_bearer", "prove_client"]

_PAGE = "the app's Keys and tokens page in X's console"
_CLIENT, _API, _BEARER = "keys.client", "keys.api", "keys.bearer"
_COMPARE = f"Compare them with {_PAGE}."


class CheckedApp(Struct, frozen=True, kw_only=True):
    """Hold an app of the settings; `uses` are the kinds of login that its accounts have."""

    name: str
    keys: AppKeys
    redirect_uri: str
    uses: frozenset[CredentialKind] = frozenset()

    def check(self, name: str) -> Check:
        """Return the check of that name, about this app."""
        return Check(name, about_app(self.name))

    @property
    def client(self) -> KeyAndSecret | None:
        """Return the id and secret of OAuth 2.0, if both are there."""
        keys = self.keys
        if not keys.client_id or not keys.client_secret:
            return None
        return KeyAndSecret(name=keys.client_id, secret=keys.client_secret)

    @property
    def api(self) -> KeyAndSecret | None:
        """Return the key and secret of OAuth 1.0a, if both are there."""
        return (
            KeyAndSecret(name=self.keys.api_key, secret=self.keys.api_secret)
            if self.keys.can_sign
            else None
        )

    @property
    def setting(self) -> str:
        """Return the prefix of the environment variables that hold the app's settings."""
        return f"{variables_of(self.name)}__"


def look(app: CheckedApp, *, hints: bool) -> list[Finding]:
    """Check, without asking X, that no key is missing or has an impossible form.

    With `hints`, keys that only look odd are findings, too: used if X will not be asked.
    """
    check = app.check("keys")
    found = [*_missing(app)]
    for oddity in look_at(_texts(app.keys)):
        if oddity.sure:
            found.append(check.wrong(oddity.text, _COMPARE))
        elif hints:
            cause = f"{oddity.text} That is a hint only, X's answer is the proof."
            found.append(check.untold(cause, _COMPARE))
    return found or [check.fine("nothing is missing, nothing is odd")]


async def prove_client(app: CheckedApp, probes: Probes) -> list[Finding]:
    """Ask X whether it takes client id and secret; spend no token."""
    check, pair = app.check(_CLIENT), app.client
    if pair is None:
        return []
    try:
        refused = await probes.client_refusal(pair)
    except BotkitError as error:
        probes.note(app.name, error)
        return [check.of_error(error, topic=Topic.CLIENT_KEYS)]
    if refused is None:
        return [check.fine("X takes client id and secret")]
    mixed_up = _mixed_up_client(app, pair, probes)
    return [await _not_taken(check, refused, _hint(app, "client_"), mixed_up)]


async def _mixed_up_client(app: CheckedApp, pair: KeyAndSecret, probes: Probes) -> str:
    """Ask X how client id and secret are mixed up; return the cure, "" if nothing is proved."""
    if await probes.takes_client(pair.swapped()):
        return "client_id and client_secret are swapped: X takes them the other way round."
    if await probes.bearer_of(pair) is not None:
        return "These are the API Key and Secret: they belong into api_key and api_secret."
    if app.api is not None and await probes.takes_client(app.api):
        return "The right ones stand in api_key and api_secret."
    return ""


async def prove_api(app: CheckedApp, probes: Probes) -> tuple[list[Finding], Secret | None]:
    """Ask X whether it takes api key and secret; return also the bearer token of its answer."""
    check, pair = app.check(_API), app.api
    if pair is None:
        return [], None
    try:
        bearer = await probes.fetch_bearer(pair)
    except InvalidClient as error:
        refused = error
    except BotkitError as error:
        probes.note(app.name, error)
        return [check.of_error(error, topic=Topic.API_KEYS)], None
    else:
        return [check.fine("X takes api key and secret")], bearer
    mixed_up = _mixed_up_api(app, pair, probes)
    return [await _not_taken(check, refused, _hint(app, "api_"), mixed_up)], None


async def _mixed_up_api(app: CheckedApp, pair: KeyAndSecret, probes: Probes) -> str:
    """Ask X how api key and secret are mixed up; return the cure, "" if nothing is proved."""
    if await probes.bearer_of(pair.swapped()) is not None:
        return "api_key and api_secret are swapped: X takes them the other way round."
    if await probes.takes_client(pair):
        return "These are the Client ID and Secret: they belong into client_id and client_secret."
    if app.client is not None and await probes.bearer_of(app.client) is not None:
        return "The right ones stand in client_id and client_secret."
    return ""


async def prove_bearer(
    app: CheckedApp, probes: Probes, *, given: Secret | None, fetched: Secret | None
) -> list[Finding]:
    """Ask X whether it takes the bearer token, and check that the token is this app's.

    `given` is the operator's bearer token, `fetched` is X's answer to the api key and secret.
    """
    check = app.check(_BEARER)
    bearer = given or fetched
    if bearer is None:
        return []
    foreign = given is not None and fetched is not None and not _same(given, fetched)
    try:
        await probes.usage(app.name, bearer)
    except BotkitError as error:
        return [_refused_bearer(app, error, foreign=foreign, is_given=given is not None)]
    if foreign:
        cause = "The bearer token works, and belongs to another app than api_key and api_secret."
        cure = f"Take all from one app, or remove bearer_token: botkit fetches it. {_COMPARE}"
        return [check.wrong(cause, cure)]
    return [check.fine("X takes the app's bearer token")]


def _refused_bearer(
    app: CheckedApp, error: BotkitError, *, foreign: bool, is_given: bool
) -> Finding:
    check, row = app.check(_BEARER), diagnosis_of(error)
    if row is not None and row.id == "wrong-kind":
        cause = "bearer_token holds a user's access token, which X knows, and not the app's."
        return check.wrong(cause, f"Take the Bearer Token of {_PAGE}.")
    found = check.of_error(error, topic=Topic.LOGIN)
    if row is None or row.topic is not Topic.LOGIN or not is_given:
        return found
    cure = f"Compare bearer_token with {_PAGE}. {_hint(app, 'bearer_')}"
    if foreign:
        cure = "Remove bearer_token: botkit fetches the right one with api_key and api_secret."
    return check.wrong(found.cause, cure.strip())


async def _not_taken(
    check: Check, refused: InvalidClient, hint: str, mixed_up: Awaitable[str]
) -> Finding:
    """Return the finding on a key and secret that X refuses; its cure is `mixed_up`, if proved."""
    found = check.of_error(refused)
    try:
        proved = await mixed_up
    except BotkitError:
        proved = ""
    return check.wrong(found.cause, proved or f"{hint} {found.cure}".strip())


def _missing(app: CheckedApp) -> Iterator[Finding]:
    keys = app.keys
    has_api = bool(keys.api_key or keys.api_secret)
    has_client = bool(keys.client_id or keys.client_secret)
    if has_client or CredentialKind.OAUTH2 in app.uses or not (app.uses or has_api):
        yield from _lacks(
            app, app.check(_CLIENT), client_id=keys.client_id, client_secret=keys.client_secret
        )
    if has_api or CredentialKind.OAUTH1 in app.uses:
        yield from _lacks(app, app.check(_API), api_key=keys.api_key, api_secret=keys.api_secret)


def _lacks(app: CheckedApp, check: Check, **fields: object) -> Iterator[Finding]:
    for name, value in fields.items():
        if not value:
            variable = f"{app.setting}{name.upper()}"
            file = f", or {variable}_FILE" if name.endswith("secret") else ""
            cure = f"Take it from {_PAGE} and set {variable}{file}."
            yield check.wrong(f"{name} is missing.", cure)


def _hint(app: CheckedApp, prefix: str) -> str:
    """Return a hint on the odd-looking fields with this prefix; "" if there are none."""
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
    """Return True if two tokens are equal once decoded: X's console shows them percent-encoded."""
    return unquote(one.reveal().strip()) == unquote(other.reveal().strip())
