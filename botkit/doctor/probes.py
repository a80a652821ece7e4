"""Probe X, by calls that change nothing, for its presence, its time and the validity of keys.

Each probe is one call with a time limit, to a configured address. An answer that also tells about
credits, enrolment or suspension is kept as evidence for `account_standing`.

Source: docs/explanation/x-facts.md, 2.16, 3.3, 3.5, 5.5 and 7.8.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from botkit.client.http.signer import Signer
from botkit.errors import BotkitError, InvalidClient, InvalidGrant, MalformedAnswer, ResponseError
from botkit.model.tokens import Secret
from botkit.ports.io import HttpRequest
from botkit.protocol.api import requests
from botkit.protocol.api.json_values import json_object
from botkit.protocol.api.rate_limits import read_date
from botkit.protocol.api.responses import read_response
from botkit.protocol.oauth import oauth1_flow, oauth2, token_answers
from botkit.protocol.oauth.oauth1 import SigningTemplate

if TYPE_CHECKING:
    from botkit.client.logins.endpoints import Endpoints
    from botkit.ports import Clock, Entropy, Transport
    from botkit.ports.io import HttpResponse

__all__ = ["Evidence", "KeyAndSecret", "Probes"]

_TIMEOUT_S = 10.0


class KeyAndSecret(Struct, frozen=True, kw_only=True):
    """Hold an id or key with its secret."""

    name: str
    secret: Secret

    def swapped(self) -> KeyAndSecret:
        """Return a copy in which key and secret are exchanged."""
        return KeyAndSecret(name=self.secret.reveal(), secret=Secret(self.name))


class Evidence(Struct, frozen=True, kw_only=True):
    """Hold the outcome of one API call: its app and account, and the error if X refused.

    `billed` is True if the call costs something: a success then proves that there is credit.
    """

    app: str
    account_id: str = ""
    error: BotkitError | None = None
    billed: bool = False


class Probes:
    """Make the calls, and hold the evidence from their answers.

    Attributes:
        clock_off: X's time minus ours; None until a call has returned X's time.
        evidence: The outcomes of the API calls.
        posts_read: By app, the posts read in this billing cycle, and the most that are allowed.
    """

    def __init__(
        self, transport: Transport, endpoints: Endpoints, clock: Clock, entropy: Entropy
    ) -> None:
        self._transport = transport
        self._endpoints = endpoints
        self._clock = clock
        self._entropy = entropy
        self.clock_off: timedelta | None = None
        self.evidence: list[Evidence] = []
        self.posts_read: dict[str, tuple[int, int]] = {}

    def note(self, app: str, error: BotkitError) -> None:
        """Keep an error as evidence on an app."""
        self.evidence.append(Evidence(app=app, error=error))

    async def status_of_x(self) -> int:
        """Call X without any credential; return the status and note X's time.

        Raises:
            TransportError: X cannot be reached.
        """
        ask = requests.get_me()
        before = self._clock.now()
        answer = await self._send("GET", self._endpoints.url_of(ask), ask.name)
        theirs = read_date(answer.headers)
        if theirs is not None:
            # X's time is cut to whole seconds; adding half a second halves the error.
            ours = before + (self._clock.now() - before) / 2
            self.clock_off = theirs + timedelta(seconds=0.5) - ours
        return answer.status

    async def takes_client(self, pair: KeyAndSecret) -> bool:
        """Return True if X knows this client id with this secret. Raises as `client_refusal`."""
        return await self.client_refusal(pair) is None

    async def client_refusal(self, pair: KeyAndSecret) -> InvalidClient | None:
        """Return X's refusal of this client id with this secret; None if X takes them.

        The call carries a made-up refresh token. If X takes the client, it refuses the token;
        else it refuses the client. No real token is spent.

        Raises:
            ResponseError: X's answer does not tell whether it takes them.
            TransportError: X could not be asked.
        """
        made_up = Secret(f"made-up-by-botkit-doctor-{self._entropy.token_bytes(16).hex()}")
        answer = await self._post(
            self._endpoints.token_url,
            "POST /2/oauth2/token",
            authorization=oauth2.basic_authorization(pair.name, pair.secret),
            body=oauth2.refresh_form(made_up),
        )
        try:
            token_answers.read_token_answer(answer, now=self._clock.now())
        except InvalidGrant:
            return None
        except InvalidClient as refused:
            return refused
        raise MalformedAnswer(
            "X gave tokens for a refresh token that does not exist.",
            request="POST /2/oauth2/token",
            status=answer.status,
            hint="Check token_url in [x]: this server is not X.",
        )

    async def bearer_of(self, pair: KeyAndSecret) -> Secret | None:
        """Return the token of `fetch_bearer`; None if X does not take key and secret."""
        try:
            return await self.fetch_bearer(pair)
        except InvalidClient:
            return None

    async def fetch_bearer(self, pair: KeyAndSecret) -> Secret:
        """Return the app's bearer token for its key and secret.

        X answers with the same token each time, so the call does no harm; the token is not kept.

        Raises:
            InvalidClient: X does not take key and secret.
            ResponseError: X's answer does not tell whether it takes them.
            TransportError: X could not be asked.
        """
        answer = await self._post(
            self._endpoints.app_token_url,
            "POST /oauth2/token",
            authorization=oauth2.basic_authorization(pair.name, pair.secret),
            body=oauth2.client_credentials_form(),
        )
        return token_answers.read_bearer_answer(answer, now=self._clock.now())

    async def check_callback(self, pair: KeyAndSecret, callback: str) -> None:
        """Check that the app has this callback URL, by a request token that is never used.

        Raises:
            ConfigError: The callback URL is not registered for the app.
            AuthError: X does not take the key and secret.
            ResponseError: X's answer does not tell whether it is registered.
            TransportError: X could not be asked.
        """
        url, name = self._endpoints.request_token_url, oauth1_flow.REQUEST_TOKEN
        template = SigningTemplate(pair.name.strip(), pair.secret)
        signer = Signer(self._clock, self._entropy, clock_off=self.clock_off or timedelta(0))
        signed = signer.authorization(template, "POST", url, {"oauth_callback": callback})
        answer = await self._send("POST", url, name, ("Authorization", signed))
        oauth1_flow.read_request_token(answer, callback=callback, now=self._clock.now())

    async def usage(self, app: str, bearer: Secret) -> None:
        """Ask for the app's reads in this billing cycle, by a free call with the bearer token.

        Raises:
            ResponseError: X refused.
            TransportError: X could not be asked.
        """
        ask = requests.get_usage()
        proof = ("Authorization", f"Bearer {bearer.reveal().strip()}")
        answer = await self._send("GET", self._endpoints.url_of(ask), ask.name, proof)
        try:
            found = read_response(
                ask.name, answer.status, answer.headers, answer.body, now=self._clock.now()
            )
        except ResponseError as error:
            self.note(app, error)
            raise
        self.evidence.append(Evidence(app=app))
        usage = json_object(found.data) or {}
        read, most = str(usage.get("project_usage", "")), str(usage.get("project_cap", ""))
        if read.isdecimal() and most.isdecimal():
            self.posts_read[app] = int(read), int(most)

    async def _post(self, url: str, name: str, *, authorization: str, body: bytes) -> HttpResponse:
        form = ("Content-Type", f"{oauth2.FORM_TYPE};charset=UTF-8")
        return await self._send(
            "POST", url, name, ("Authorization", authorization), form, body=body
        )

    async def _send(
        self,
        method: str,
        url: str,
        name: str,
        *headers: tuple[str, str],
        body: bytes | None = None,
    ) -> HttpResponse:
        request = HttpRequest(
            method=method,
            url=url,
            name=name,
            headers=headers,
            body=body,
            timeout_s=_TIMEOUT_S,
            follow_same_origin=method == "GET",
        )
        return await self._transport.send(request)
