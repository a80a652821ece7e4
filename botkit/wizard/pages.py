"""The pages at the end of a login through the wizard's callback server: fixed text."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from botkit.web.pages import Page

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PAGES"]

PAGES: Mapping[str, Page] = MappingProxyType(
    {
        "success": Page(
            status=200,
            title="The account is authorized",
            text="botkit has stored the login, sealed. You can close this page.",
            next_step="Go back to the terminal: it says what comes next.",
            good=True,
        ),
        "declined": Page(
            status=200,
            title="Authorization was declined",
            text="Nothing was stored and nothing was changed.",
            next_step="To authorize after all, run botkit setup again.",
        ),
        "failed": Page(
            status=502,
            title="The login could not be finished",
            text="X did not accept the login, or it could not be stored.",
            next_step="The terminal says why. Then run botkit setup again.",
        ),
        "wrong_account": Page(
            status=409,
            title="That is another account",
            text="The browser is logged in to X as another account. Nothing was stored.",
            next_step="Log in to X as the bot's account, then run botkit setup again.",
        ),
        "expired": Page(
            status=410,
            title="This login has expired",
            text="A login must be finished within ten minutes. Nothing was stored.",
            next_step="Run botkit setup again.",
        ),
        "unknown": Page(
            status=400,
            title="This address does not belong to the login that is waiting",
            text="It may be from an earlier try. The login goes on waiting.",
            next_step="Use the page that X opened last, or run botkit setup again.",
        ),
        "not_found": Page(
            status=404,
            title="There is nothing here",
            text="This server only waits for the end of a login.",
            next_step="Finish the login on X's page.",
        ),
        "method": Page(
            status=405,
            title="This is not how a login ends",
            text="Only a browser's ordinary request is answered here.",
            next_step="Finish the login on X's page.",
        ),
        "misdirected": Page(
            status=421,
            title="This request was meant for another server",
            text="Its Host header is not the address that this server waits on.",
            next_step="Finish the login on X's page.",
        ),
        "prefetch": Page(
            status=503,
            title="Not yet",
            text="A page fetched in advance does not end a login.",
            next_step="Open the page itself.",
        ),
        "refused": Page(
            status=400,
            title="The request was refused",
            text="It does not look like the end of a login.",
            next_step="Finish the login on X's page.",
        ),
    }
)
