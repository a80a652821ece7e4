"""Choose a call's credential, and take the next step if X does not accept it.

Source: X's OpenAPI document (which credentials an operation takes);
docs/explanation/requirements.md, C14, faults 16 and 61.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from msgspec import Struct, structs

from botkit.client.http.signer import Signer
from botkit.client.logins.login_states import setup_command
from botkit.errors import (
    AccessDenied,
    InvalidClient,
    InvalidGrant,
    Parked,
    ResponseError,
    TransportError,
)
from botkit.model.tokens import CredentialKind, Secret
from botkit.protocol.api.rate_limits import read_date
from botkit.protocol.oauth.oauth1 import SigningTemplate
from botkit.protocol.rules import access

if TYPE_CHECKING:
    from botkit.client.refresh.token_keeper import TokenKeeper
    from botkit.errors import Unauthorized
    from botkit.model.tokens import TokenPair
    from botkit.ports.io import HttpResponse
    from botkit.protocol.api.requests import Request

__all__ = ["ChosenCredential", "CredentialChooser"]

_log = structlog.get_logger(__name__)

_MOST_CHOSEN = 20_000
_OUT_OF_BOUNDS = 135


class ChosenCredential(Struct, frozen=True, gc=False):
    """Hold the credential of a call. `owner` owns the rate window: account id or `app/NAME`."""

    kind: CredentialKind
    account_id: str
    app: str
    owner: str


class CredentialChooser:
    """Choose credentials and get their tokens. Use those of `app` if no account is given."""

    def __init__(self, keeper: TokenKeeper, *, app: str) -> None:
        self._keeper = keeper
        self._clock = keeper.context.clock
        self._entropy = keeper.context.entropy
        self._app = app
        self._templates: dict[str, tuple[TokenPair, SigningTemplate]] = {}
        self._signer = Signer(self._clock, self._entropy)
        self._chosen: dict[tuple[str, str, bool], tuple[int, ChosenCredential]] = {}

    def chosen(self, request: Request, account_id: str) -> ChosenCredential | None:
        """Return the earlier choice for such a request, None if a login has changed since."""
        known = self._chosen.get((request.operation, account_id, request.as_app))
        return known[1] if known is not None and known[0] == self._keeper.version else None

    async def choose(self, request: Request, account_id: str) -> ChosenCredential:
        """Return the credential for a request, and remember it for `chosen`.

        Raises:
            AccessDenied: No credential of the account or app allows the operation.
            Parked: As `kind_for`.
        """
        caller = await self._choose(request, account_id)
        key = (request.operation, account_id, request.as_app)
        if len(self._chosen) >= _MOST_CHOSEN:
            self._chosen.clear()
        self._chosen[key] = (self._keeper.version, caller)
        return caller

    async def _choose(self, request: Request, account_id: str) -> ChosenCredential:
        if not account_id or request.as_app:
            app = await self._keeper.app_of(account_id) if account_id else self._app
            can_serve = self._keeper.app_can_serve(app)
            held: dict[CredentialKind, tuple[str, ...]] = {}
            if can_serve:
                held[CredentialKind.APP_ONLY] = ()
            kind = access.choose_credential(request.operation, held)
            return ChosenCredential(kind, account_id, app, f"app/{app}")
        kind = await self.kind_for(request.operation, account_id)
        app = await self._keeper.app_of(account_id)
        owner = f"app/{app}" if kind is CredentialKind.APP_ONLY else account_id
        return ChosenCredential(kind, account_id, app, owner)

    async def kind_for(self, operation: str, account_id: str) -> CredentialKind:
        """Return the kind of credential that the account uses for the operation now.

        Raises:
            AccessDenied: No credential of the account allows the operation; the error says when
                the credential was granted, and the cure.
            Parked: `login`: a person removed the account's logins while this process ran.
        """
        held = await self._keeper.holdings(account_id)
        if self._keeper.has_left(account_id):
            raise Parked("login")
        resting = self._keeper.fallback.resting(account_id)
        try:
            return access.choose_credential(operation, held, resting=resting)
        except AccessDenied as denied:
            raise await self._explained(denied, account_id) from None

    async def proof(
        self, request: Request, caller: ChosenCredential
    ) -> tuple[ChosenCredential, Secret | None]:
        """Return the credential and its token, as `token` does.

        If an OAuth 2.0 login has no token now, return the account's OAuth 1.0a credential instead,
        if the settings allow that. Raises the same errors as `token`.
        """
        try:
            return caller, await self.token(caller)
        except (Parked, TransportError):
            other = self.stand_in(request, caller)
            if other is None:
                raise
        return other, await self.token(other)

    def stand_in(self, request: Request, caller: ChosenCredential) -> ChosenCredential | None:
        """Return the credential that replaces one whose login has ended, None if there is none."""
        if caller.kind is not CredentialKind.OAUTH2:
            return None
        if not self._keeper.fallback.look(caller.account_id):
            return None
        pair = self._keeper.oauth1_logins.get(caller.account_id)
        assert pair is not None
        level = (pair.row.level,) if pair.row.level else ()
        try:
            access.choose_credential(request.operation, {CredentialKind.OAUTH1: level})
        except AccessDenied:
            return None
        return structs.replace(caller, kind=CredentialKind.OAUTH1)

    async def check_again(
        self, request: Request, account_id: str, caller: ChosenCredential
    ) -> bool:
        """Return True if `choose` would still choose `caller`; call it right before sending.

        Raises:
            AccessDenied: No credential that the account has now allows the operation.
            Parked: `login`: the credential has ended since it was chosen.
        """
        if await self.choose(request, account_id) != caller:
            return False
        if caller.kind is CredentialKind.OAUTH2:
            await self._keeper.check_alive(account_id)
        elif caller.kind is CredentialKind.OAUTH1:
            await self._keeper.token_pair(account_id)
        return True

    def fresh_token(self, caller: ChosenCredential) -> Secret | None:
        """Return the credential's token if no refresh is due, else None: then call `token`."""
        if caller.kind is not CredentialKind.OAUTH2:
            return None
        return self._keeper.fresh_token(caller.account_id)

    async def token(self, caller: ChosenCredential) -> Secret | None:
        """Return the credential's token; None for OAuth 1.0a, which signs each call.

        Raises:
            Parked: `login`: a person must act, or the next try is later.
            TransportError: The token has expired and cannot be renewed now; nothing was sent.
        """
        if caller.kind is CredentialKind.OAUTH1:
            await self._keeper.token_pair(caller.account_id)
            return None
        try:
            if caller.kind is CredentialKind.OAUTH2:
                return await self._keeper.access_token(caller.account_id)
            return await self._keeper.bearer(caller.app)
        except (InvalidGrant, InvalidClient) as error:
            raise Parked("login") from error
        except ResponseError as error:
            # The token endpoint answered with an error: the call itself was not sent.
            raise TransportError(
                f"The app's bearer token cannot be had: {error.message}", request=error.request
            ) from error

    async def signature(self, caller: ChosenCredential, request: Request, url: str) -> str:
        """Return the value of the `Authorization` header of an OAuth 1.0a call."""
        template = await self._template(caller)
        return self._signer.authorization(template, request.method, url)

    async def renew(
        self,
        caller: ChosenCredential,
        token: Secret | None,
        answer: HttpResponse,
        error: Unauthorized,
    ) -> bool:
        """After a 401, refresh the token or correct the clock; return True if a retry makes sense.

        Raises:
            Parked: `login`: the login is DEAD or CONFIG.
        """
        if token is None:
            return await self._after_signed(caller, answer, error)
        try:
            if caller.kind is CredentialKind.OAUTH2:
                fresh = await self._keeper.report_unauthorized(caller.account_id, token)
            else:
                fresh = await self._keeper.report_bearer_unauthorized(caller.app, token)
        except (InvalidGrant, InvalidClient) as final:
            raise Parked("login") from final
        except (ResponseError, TransportError) as trouble:
            _log.warning("token.not_renewed", owner=caller.owner, why=str(trouble))
            return False
        return fresh is not None

    async def _template(self, caller: ChosenCredential) -> SigningTemplate:
        pair = await self._keeper.token_pair(caller.account_id)
        known = self._templates.get(caller.account_id)
        if known is None or known[0] is not pair:
            keys = self._keeper.context.apps[caller.app]
            known = (pair, SigningTemplate(keys.api_key, keys.api_secret, pair))
            self._templates[caller.account_id] = known
        return known[1]

    async def _explained(self, denied: AccessDenied, account_id: str) -> AccessDenied:
        """Return the refusal, completed by the time of the grant and the command that helps."""
        kind = access.kind_of(denied)
        row = None if kind is None else await self._keeper.row_of(account_id, kind)
        if row is None:
            account = await self._keeper.context.store.accounts.get(account_id)
            return denied if account is None else access.named(denied, account.username)
        return access.dated(denied, granted_at=row.granted_at, command=setup_command(row))

    async def doubt(self, caller: ChosenCredential, error: Unauthorized) -> None:
        """Report X's final refusal of a call that an OAuth 1.0a credential signed."""
        known = self._templates.get(caller.account_id)
        if caller.kind is CredentialKind.OAUTH1 and known is not None:
            await self._keeper.oauth1_logins.refused(caller.account_id, known[0], error)

    async def _after_signed(
        self, caller: ChosenCredential, answer: HttpResponse, error: Unauthorized
    ) -> bool:
        theirs = read_date(answer.headers)
        if theirs is not None and self._signer.take_over(
            theirs - self._clock.now(), always=_OUT_OF_BOUNDS in error.codes
        ):
            return True
        await self.doubt(caller, error)
        return False
