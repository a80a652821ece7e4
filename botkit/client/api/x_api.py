"""Call X's API for the core: choose the credential, keep the rate window, read the answer.

A call is sent once. It is sent again only after one of three answers by which X shows that it did
not carry out the call: a 401 to an old token, a 429 whose window ends within seconds, and a 400 to
a read, because X has renamed or removed fields.
Source: docs/explanation/requirements.md, "Writes" and faults 14 to 17; X API docs, "Rate limits"
and "Response codes and errors".
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from botkit.client.api.credential_choice import CredentialChooser
from botkit.client.logins.login_states import setup_command
from botkit.errors import (
    BadRequest,
    Forbidden,
    Parked,
    PaymentRequired,
    RateLimited,
    ResponseError,
    TransportError,
    Unauthorized,
)
from botkit.model.tokens import CredentialKind
from botkit.ports.io import HttpRequest, HttpResponse
from botkit.protocol.api import requests
from botkit.protocol.api.rate_limits import read_date
from botkit.protocol.api.responses import Response, read_error, read_level, read_response
from botkit.protocol.rules import access, pricing
from botkit.protocol.rules.pricing import Charge

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from datetime import datetime

    from botkit.client.api.credential_choice import ChosenCredential
    from botkit.client.api.limiter import Limiter
    from botkit.client.refresh.token_keeper import TokenKeeper
    from botkit.model.tokens import Secret
    from botkit.ports import OnSpend, ReadRecord
    from botkit.ports.io import HttpStream
    from botkit.protocol.api.requests import Request

__all__ = ["XApi"]

_TIMEOUT_S = 30.0
_JSON = ("Content-Type", "application/json")
_MOST_LIMITED = 3
_OK = 200


class _Moved(Exception):
    """Raised before sending if the call now needs another credential; nothing was sent."""


class _ApiCall:
    """Hold the retries that one call has used."""

    __slots__ = ("limited", "renewed", "request", "respelled")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.renewed: set[CredentialKind] = set()
        self.respelled = False
        self.limited = 0


class XApi:
    """Send the calls of all accounts (`ports.Sender`).

    Args:
        app: The app whose bearer token is used if no account is given.
        on_spend: Called for each read that X charges for: account id ("" for the app), charge,
            name of the app. The sender of a write books its charge.
        on_date: Called with X's time for each answer that carries it.
        reads: Told of each read before it is sent, and of what became of it.
    """

    def __init__(
        self,
        keeper: TokenKeeper,
        *,
        limiter: Limiter,
        app: str = "default",
        on_spend: OnSpend | None = None,
        on_date: Callable[[datetime], None] | None = None,
        reads: ReadRecord | None = None,
    ) -> None:
        self._keeper = keeper
        self._context = keeper.context
        self._transport = keeper.context.transport
        self._limiter = limiter
        self._callers = CredentialChooser(keeper, app=app)
        self._on_spend = on_spend
        self._on_date = on_date
        self._reads = reads
        self._respelled = False

    async def send(self, request: Request, *, account_id: str = "") -> Response:
        """See `ports.Sender.send`."""
        callers, limiter = self._callers, self._limiter
        caller = callers.chosen(request, account_id) or await callers.choose(request, account_id)
        call: _ApiCall | None = None
        asked = request
        while True:
            key = (request.operation, caller.owner)
            token = callers.fresh_token(caller)
            if token is None:
                caller, token = await callers.proof(request, caller)
            version = self._keeper.version
            http = self._http(request, token) or await self._signed(request, caller)
            if not limiter.enter_nowait(key):
                await limiter.enter(key)
            try:
                if http.writes:
                    stop = partial(self._look_again, request, account_id, caller, version)
                    answer = await self._transport.send(http, before_bytes=stop)
                    outcome = self._read(request, answer)
                else:
                    answer, outcome = await self._read_from_x(asked, http, account_id, caller.app)
                if isinstance(outcome, Response):
                    limiter.note(key, outcome)
            except _Moved:
                caller = await callers.choose(request, account_id)
                continue
            finally:
                limiter.leave(key)
            if caller.kind is not CredentialKind.OAUTH2:
                await self._heard(caller, answer, outcome)
            if isinstance(outcome, Response):
                return outcome
            call = call or _ApiCall(request)
            caller = await self._go_again(call, caller, token, answer, outcome)
            request = call.request

    async def ready(self, request: Request, *, account_id: str = "") -> None:
        """See `ports.Sender.ready`."""
        caller = await self._callers.choose(request, account_id)
        caller, _ = await self._callers.proof(request, caller)
        await self._limiter.ready((request.operation, caller.owner))

    async def credential(self, operation: str, *, account_id: str) -> CredentialKind:
        """See `ports.Sender.credential`."""
        kind = await self._callers.kind_for(operation, account_id)
        if kind is CredentialKind.OAUTH1:
            await self._keeper.oauth1_logins.learn_level(account_id)
            kind = await self._callers.kind_for(operation, account_id)
        return kind

    @asynccontextmanager
    async def stream(
        self, request: Request, *, account_id: str = ""
    ) -> AsyncGenerator[HttpStream]:
        """See `ports.Sender.stream`. May also raise `Parked` for the app's login."""
        as_app = msgspec.structs.replace(request, as_app=True)
        caller = await self._callers.choose(as_app, account_id)
        for is_last in (False, True):
            token = await self._callers.token(caller)
            http = self._http(as_app, token)
            assert http is not None  # `token` returns None only for OAuth 1.0a, not for an app
            async with self._transport.stream(http) as stream:
                self._note_date(stream.headers)
                if stream.status == _OK:
                    await self._keeper.bearers.works(caller.app)
                    yield stream
                    return
                answer = _whole(stream, await stream.read())
            error = self._error(request, answer)
            if is_last or not isinstance(error, Unauthorized):
                raise error
            if not await self._callers.renew(caller, token, answer, error):
                raise error

    async def kinds(self, account_id: str) -> dict[CredentialKind, tuple[str, ...]]:
        """See `ports.Sender.kinds`."""
        return await self._keeper.holdings(account_id)

    def _read(self, request: Request, answer: HttpResponse) -> Response | ResponseError:
        now = self._context.clock.now()
        self._note_date(answer.headers)
        try:
            return read_response(request.name, answer.status, answer.headers, answer.body, now=now)
        except ResponseError as error:
            return error

    def _note_date(self, headers: Mapping[str, str]) -> None:
        date = read_date(headers)
        if date is not None and self._on_date is not None:
            self._on_date(date)

    async def _look_again(
        self, request: Request, account_id: str, caller: ChosenCredential, version: int
    ) -> None:
        """Check the credential a last time: after all waiting, with a connection open."""
        if self._keeper.version == version:
            return
        if not await self._callers.check_again(request, account_id, caller):
            raise _Moved

    async def _heard(
        self, caller: ChosenCredential, answer: HttpResponse, outcome: Response | ResponseError
    ) -> None:
        """Update the state of a token that never expires from X's answer to a call."""
        if caller.kind is CredentialKind.APP_ONLY:
            if isinstance(outcome, Response) and not self._keeper.bearers.is_fine(caller.app):
                await self._keeper.bearers.works(caller.app)
            return
        pairs = self._keeper.oauth1_logins
        level = read_level(answer.headers)
        if level:
            await pairs.note_level(caller.account_id, level)
        if isinstance(outcome, Response):
            if pairs.any_doubt:
                await pairs.works(caller.account_id)
        elif isinstance(outcome, Forbidden) and access.is_level_refusal(
            outcome.problem_type, outcome.codes
        ):
            row = await self._keeper.row_of(caller.account_id, CredentialKind.OAUTH1)
            if row is not None:
                outcome.hint = access.level_hint(row.granted_at, setup_command(row))

    async def _go_again(
        self,
        call: _ApiCall,
        caller: ChosenCredential,
        token: Secret | None,
        answer: HttpResponse,
        error: ResponseError,
    ) -> ChosenCredential:
        """Return the credential for sending the call again; raise if it must not be sent again."""
        match error:
            case Unauthorized() if caller.kind not in call.renewed:
                call.renewed.add(caller.kind)
                other = await self._after_401(call.request, caller, token, answer, error)
                if other is not None:
                    return other
            case Unauthorized():
                await self._callers.doubt(caller, error)
            case RateLimited():
                self._limiter.limited((call.request.operation, caller.owner), error.retry_at)
                call.limited += 1
                if call.limited < _MOST_LIMITED:
                    return caller
            case PaymentRequired():
                until = self._limiter.no_credit(caller.owner)
                raise Parked("credits", until=until) from error
            case BadRequest() if not call.respelled and _may_be_spelling(call.request, answer):
                call.respelled = True
                self._respelled = not self._respelled
                return caller
            case BadRequest() if _may_be_spelling(call.request, answer):
                self._respelled = not self._respelled  # both spellings failed: restore the first
                call.request = requests.stripped(call.request) or call.request
                if not _has_fields(call.request):
                    return caller
            case _:
                pass
        raise error

    async def _after_401(
        self,
        request: Request,
        caller: ChosenCredential,
        token: Secret | None,
        answer: HttpResponse,
        error: Unauthorized,
    ) -> ChosenCredential | None:
        """Return the credential for a retry after a 401, None if there is none."""
        try:
            return caller if await self._callers.renew(caller, token, answer, error) else None
        except Parked:
            other = self._callers.stand_in(request, caller)
            if other is None:
                raise
            return other

    def _http(self, request: Request, token: Secret | None) -> HttpRequest | None:
        """Return the call as HTTP with that token; None without a token, for a call to sign."""
        if token is None:
            return None
        if self._respelled and request.method == "GET":
            request = requests.respelled(request)
        url = self._context.endpoints.url_of(request)
        return _http_of(request, url, f"Bearer {token.reveal()}")

    async def _signed(self, request: Request, caller: ChosenCredential) -> HttpRequest:
        if self._respelled and request.method == "GET":
            request = requests.respelled(request)
        url = self._context.endpoints.url_of(request)
        return _http_of(request, url, await self._callers.signature(caller, request, url))

    async def _read_from_x(
        self, request: Request, http: HttpRequest, account_id: str, app: str
    ) -> tuple[HttpResponse, Response | ResponseError]:
        """Send a read, recorded while it is under way, and book its charge."""
        reads = self._reads
        read = await reads.begin(request, account_id=account_id, app=app) if reads else None
        charge: Charge | None = None
        try:
            answer = await self._transport.send(http)
            outcome = self._read(request, answer)
            if isinstance(outcome, Response):
                charge = self._spend(request, outcome, account_id, app)
            elif not pricing.may_have_charged(outcome):
                charge = Charge()
        except TransportError as error:
            if not pricing.may_have_charged(error):
                charge = Charge()
            raise
        finally:
            if reads is not None and read is not None:
                reads.end(read, charge)
        return answer, outcome

    def _spend(self, request: Request, answer: Response, account_id: str, app: str) -> Charge:
        charge = pricing.charge_of_answer(request, answer.data)
        if self._on_spend is not None:
            self._on_spend(account_id, charge, app=app)
        return charge

    def _error(self, request: Request, answer: HttpResponse) -> ResponseError:
        return read_error(
            request.name,
            answer.status,
            answer.headers,
            answer.body,
            now=self._context.clock.now(),
        )


def _http_of(request: Request, url: str, authorization: str) -> HttpRequest:
    reads = request.method == "GET"
    proof = ("Authorization", authorization)
    return HttpRequest(
        method=request.method,
        url=url,
        name=request.name,
        headers=(proof,) if request.json is None else (proof, _JSON),
        body=request.json,
        timeout_s=_TIMEOUT_S,
        writes=not reads,
        follow_same_origin=reads,
    )


def _may_be_spelling(request: Request, answer: HttpResponse) -> bool:
    """Return True if X may have refused a read because it has renamed a field."""
    if request.method != "GET" or not _has_fields(request):
        return False
    return b".fields" in answer.body or b"expansions" in answer.body


def _has_fields(request: Request) -> bool:
    return any(name.endswith(".fields") for name, _ in request.query)


def _whole(stream: HttpStream, body: bytes) -> HttpResponse:
    return HttpResponse(status=stream.status, headers=dict(stream.headers), body=body)
