"""The pages at the end of a login through the wizard's callback server: fixed text."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from botkit.web.login_pages import PREFETCHED, login_pages
from botkit.web.pages import Page

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PAGES"]

_ON_X = "Finish the login on X's page."

PAGES: Mapping[str, Page] = MappingProxyType(
    {
        **login_pages(
            success="Go back to the terminal: it says what comes next.",
            declined="To authorize after all, run botkit setup again.",
            failed="The terminal says why. Then run botkit setup again.",
            wrong_account="Log in to X as the bot's account, then run botkit setup again.",
            expired="Run botkit setup again.",
        ),
        "prefetch": PREFETCHED,
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
            next_step=_ON_X,
        ),
        "method": Page(
            status=405,
            title="This is not how a login ends",
            text="Only a browser's ordinary request is answered here.",
            next_step=_ON_X,
        ),
        "misdirected": Page(
            status=421,
            title="This request was meant for another server",
            text="Its Host header is not the address that this server waits on.",
            next_step=_ON_X,
        ),
        "refused": Page(
            status=400,
            title="The request was refused",
            text="It does not look like the end of a login.",
            next_step=_ON_X,
        ),
    }
)
