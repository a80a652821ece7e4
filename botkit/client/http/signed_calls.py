"""OAuth 1.0a calls outside the API proper: the steps of a login, checks of it, and its end.

If X says that our clock is wrong, the call is signed with X's time and sent once more: X did not
carry out the refused one. Source: docs/explanation/requirements.md, C14; RFC 5849 section 3.3.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from botkit.client.http.signer import Signer
from botkit.errors import ConfigError
from botkit.model.tokens import Secret
from botkit.protocol.oauth import oauth1_flow
from botkit.protocol.oauth.oauth1 import SigningTemplate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botkit.client.logins.context import LoginContext
    from botkit.client.logins.endpoints import AppKeys
    from botkit.model.tokens import TokenPair
    from botkit.ports.io import HttpRequest, HttpResponse

__all__ = ["SignedCalls"]

_NO_EXTRA: Mapping[str, Secret | str] = MappingProxyType({})


class SignedCalls:
    """Sign and send calls with one app's api key and secret.

    The constructor raises `ConfigError` if the app does not have them.
    """

    def __init__(self, context: LoginContext, app: str) -> None:
        self._context = context
        self._keys = _keys_of(context, app)
        self._signer = Signer(context.clock, context.entropy)

    async def send(
        self,
        request: HttpRequest,
        pair: TokenPair | None = None,
        *,
        extra: Mapping[str, Secret | str] = _NO_EXTRA,
    ) -> HttpResponse:
        """Sign and send a call without a form body; return X's answer.

        `extra` are further OAuth protocol parameters; the signature covers them. Raises the same
        errors as `ports.Transport.send`.
        """
        template = SigningTemplate(self._keys.api_key, self._keys.api_secret, pair)
        answer = await self._send(template, request, extra)
        off = oauth1_flow.read_clock_off(answer, now=self._context.clock.now())
        if off is None or not self._signer.take_over(off):
            return answer
        return await self._send(template, request, extra)

    async def _send(
        self, template: SigningTemplate, request: HttpRequest, extra: Mapping[str, Secret | str]
    ) -> HttpResponse:
        return await self._context.transport.send(self._signed(template, request, extra))

    def _signed(
        self, template: SigningTemplate, request: HttpRequest, extra: Mapping[str, Secret | str]
    ) -> HttpRequest:
        """Return the signed request, made here so that no frame that awaits holds a secret."""
        texts = {name: _text(value) for name, value in extra.items()}
        signed = self._signer.authorization(template, request.method, request.url, texts)
        headers = (*request.headers, ("Authorization", signed))
        return msgspec.structs.replace(request, headers=headers)


def _text(value: Secret | str) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def _keys_of(context: LoginContext, app: str) -> AppKeys:
    keys = context.apps.get(app)
    if keys is None or not keys.can_sign:
        raise ConfigError(
            f"The app {app!r} has no api key and api secret.",
            hint="Set api_key and api_secret (or BOTKIT_APP__API_SECRET_FILE).",
        )
    return keys
