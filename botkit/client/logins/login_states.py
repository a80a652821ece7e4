"""Describe a login's state: one log line for each change, and the exact next step."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import structlog

from botkit.client.logins.login_rows import OTHER_CLIENT, OTHER_X
from botkit.client.logins.oauth2_login import HANDED_OVER, is_asked_again
from botkit.model.tokens import CredentialKind, LoginState

if TYPE_CHECKING:
    from botkit.model.records import CredentialRow

__all__ = ["next_step", "setup_command", "tell_state"]

_log = structlog.get_logger(__name__)

_KEYS = {
    CredentialKind.OAUTH2: "client_id and client_secret",
    CredentialKind.OAUTH1: "api_key and api_secret",
    CredentialKind.APP_ONLY: "bearer_token, or api_key and api_secret,",
}

_LEVELS = {LoginState.OK: logging.INFO, LoginState.UNCERTAIN: logging.WARNING}


def setup_command(row: CredentialRow) -> str:
    """Return the command that authorizes this login again."""
    app = "" if row.app == "default" else f" --app {row.app}"
    if row.kind is CredentialKind.APP_ONLY:
        return f"botkit setup --app-only{app}"
    way = " --oauth1" if row.kind is CredentialKind.OAUTH1 else ""
    return f"botkit setup{way}{app} --account {row.username or row.account_id}"


def next_step(row: CredentialRow) -> str:
    """Return what a person has to do about the login's state, "" for nothing."""
    again = setup_command(row)
    match row.status:
        case LoginState.OK:
            return ""
        case LoginState.UNCERTAIN if is_asked_again(row):
            return f"botkit accounts check {row.username or row.account_id}"
        case LoginState.UNCERTAIN if row.kind is CredentialKind.OAUTH2:
            return f"{again} (the bot goes on with the old access token until then)"
        case LoginState.UNCERTAIN:
            return f"botkit accounts check {row.username or row.account_id}"
        case LoginState.DEAD:
            return "" if row.reason.startswith(HANDED_OVER) else again
        case LoginState.CONFIG if row.reason.startswith(OTHER_X):
            return "set x.api_url back, or give the other X a store of its own (store.url)"
        case LoginState.CONFIG if row.reason.startswith(OTHER_CLIENT):
            return f"set it back and restart, or authorize it by the app of now: {again}"
        case LoginState.CONFIG:
            return f"correct {_KEYS[row.kind]} of app {row.app!r}, then restart"


def tell_state(row: CredentialRow, before: CredentialRow | None) -> None:
    """Log one line if the state changed; log none for a login that is first loaded and OK."""
    if before is not None and (before.status, before.reason) == (row.status, row.reason):
        return
    if before is None and row.status is LoginState.OK:
        return
    _log.log(
        _LEVELS.get(row.status, logging.ERROR),
        "login.state_changed",
        account=row.account_id,
        username=row.username,
        credential=row.kind.value,
        status=row.status.value,
        reason=row.reason,
        next_step=next_step(row),
    )
