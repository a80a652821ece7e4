"""Revoke a login at X first, and remove it here after that.

Source: RFC 7009; docs/explanation/requirements.md, C13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from botkit.client.refresh.refresh_lock import in_process
from botkit.client.upkeep.invalidate import invalidate_pair
from botkit.errors import AuthError, ConfigError, XError
from botkit.model.tokens import CredentialKind
from botkit.ports.io import HttpRequest
from botkit.protocol.oauth import oauth2, token_answers

if TYPE_CHECKING:
    from botkit.client.logins.context import LoginContext
    from botkit.client.refresh.refresh_lock import RefreshLock
    from botkit.model.records import CredentialRow

__all__ = ["revoke_login"]

_log = structlog.get_logger(__name__)

_TIMEOUT_S = 30.0


async def revoke_login(
    context: LoginContext,
    row: CredentialRow,
    *,
    force: bool = False,
    lock: RefreshLock = in_process,
) -> bool:
    """Revoke an OAuth 2.0 login's grant or a 1.0a login's token, and remove the login here.

    Return True if X confirmed it. Wait for a refresh that another process has under way, and
    revoke its new token. With `force`, remove the login here even if X did not confirm.

    Raises:
        AuthError: X does not accept the client; nothing was removed.
        XError: X could not be asked or did not do it; nothing was removed.
        ConfigError: The app has no keys for it; nothing was removed.
    """
    async with lock(row):
        found = await context.rows.again(row)
        return found is None or await _revoke_and_remove(context, found, force=force)


async def _revoke_and_remove(context: LoginContext, row: CredentialRow, *, force: bool) -> bool:
    confirmed = True
    if row.kind is not CredentialKind.APP_ONLY:
        try:
            await (_revoke if row.kind is CredentialKind.OAUTH2 else invalidate_pair)(context, row)
        except (AuthError, XError, ConfigError) as error:
            if not force:
                raise
            confirmed = False
            _log.warning("login.not_revoked", account=row.account_id, why=str(error))
    await context.rows.remove(row)
    _log.info("login.removed", account=row.account_id, confirmed=confirmed)
    return confirmed


async def _revoke(context: LoginContext, row: CredentialRow) -> None:
    keys = context.apps.get(row.app)
    if keys is None or not keys.client_id:
        raise ConfigError(f"The app {row.app!r} has no client id and secret.")
    tokens = context.rows.open(row)
    # Revoking the refresh token ends the whole grant; without one, revoke the access token.
    hint = "refresh_token" if "refresh_token" in tokens else "access_token"
    answer = await context.transport.send(
        HttpRequest(
            method="POST",
            url=context.endpoints.revoke_url,
            name="POST /2/oauth2/revoke",
            headers=(
                (
                    "Authorization",
                    oauth2.basic_authorization(keys.client_id, keys.client_secret),
                ),
                ("Content-Type", oauth2.FORM_TYPE),
            ),
            body=oauth2.revoke_form(tokens[hint], hint=hint),
            timeout_s=_TIMEOUT_S,
            writes=True,
        )
    )
    token_answers.read_revoke_answer(answer, now=context.clock.now())
