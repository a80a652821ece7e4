"""The pages at the end of a login that every way through a browser shares.

Where a login ends decides what the person does next, so each way adds its own next steps.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec.structs import replace

from botkit.errors import AuthorizationDenied, LoginExpired, WrongAccount
from botkit.web.pages import Page

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PREFETCHED", "login_pages", "outcome_of"]

PREFETCHED = Page(
    status=503,
    title="Not yet",
    text="A page fetched in advance does not end a login.",
    next_step="Open the page itself.",
)

_OUTCOMES: Mapping[str, Page] = MappingProxyType(
    {
        "success": Page(
            status=200,
            title="The account is authorized",
            text="botkit has stored the login, sealed. You can close this page.",
            next_step="",
            good=True,
        ),
        "declined": Page(
            status=200,
            title="Authorization was declined",
            text="Nothing was stored and nothing was changed.",
            next_step="",
        ),
        "failed": Page(
            status=502,
            title="The login could not be finished",
            text="X did not accept the login, or it could not be stored.",
            next_step="",
        ),
        "wrong_account": Page(
            status=409,
            title="That is another account",
            text="The browser is logged in to X as another account. Nothing was stored.",
            next_step="",
        ),
        "expired": Page(
            status=410,
            title="This login has expired",
            text="A login must be finished within ten minutes. Nothing was stored.",
            next_step="",
        ),
    }
)


def login_pages(
    *, success: str, declined: str, failed: str, wrong_account: str, expired: str
) -> dict[str, Page]:
    """Return the page of each outcome by its name, with these next steps."""
    next_steps = {
        "success": success,
        "declined": declined,
        "failed": failed,
        "wrong_account": wrong_account,
        "expired": expired,
    }
    return {name: replace(_OUTCOMES[name], next_step=step) for name, step in next_steps.items()}


def outcome_of(error: Exception) -> str:
    """Return the name of the page for the error that ended a login."""
    match error:
        case AuthorizationDenied():
            return "declined"
        case LoginExpired():
            return "expired"
        case WrongAccount():
            return "wrong_account"
        case _:
            return "failed"
