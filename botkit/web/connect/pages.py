"""The pages for authorizing an account by invitation: fixed text, and a few facts."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec.structs import replace

from botkit.web.login_pages import PREFETCHED, login_pages
from botkit.web.pages import Page

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PAGES", "REFUSALS"]

_NEW_LINK = "Ask the bot's operator for a new link."
_AGAIN = "Open the invitation link again; it is still good."
_ON_X = "Finish the login on X's page."

REFUSALS: Mapping[str, Page] = MappingProxyType(
    {
        "forged": Page(
            status=403,
            title="This is not an invitation of this bot",
            text="The link was not made here, or was not copied whole.",
            next_step="Copy the whole link, or ask the bot's operator for a new one.",
        ),
        "unknown": Page(
            status=404,
            title="This invitation is not known any more",
            text="It was made here, but it is not kept any more.",
            next_step=_NEW_LINK,
        ),
        "used": Page(
            status=410,
            title="This invitation has been used",
            text="An account was authorized with it. Each invitation is for one login.",
            next_step="If that was not you, tell the bot's operator. Otherwise all is done.",
        ),
        "expired": Page(
            status=410,
            title="This invitation has expired",
            text="It was good for a limited time. Nothing was changed.",
            next_step=_NEW_LINK,
        ),
        "revoked": Page(
            status=410,
            title="This invitation was taken back",
            text="The bot's operator has ended it. Nothing was changed.",
            next_step=_NEW_LINK,
        ),
        "in use": Page(
            status=409,
            title="A login with this invitation is under way",
            text="It was begun in another browser, or is being finished just now.",
            next_step="Finish it there, or open the link again in ten minutes.",
        ),
    }
)

_OUTCOMES = login_pages(
    success="Nothing is left to do here. The invitation cannot be used again.",
    declined="To authorize after all, open the invitation link again.",
    failed=f"{_AGAIN} If it fails again, tell the bot's operator: the log says why.",
    wrong_account="Log in to X as the account of the invitation, then open the link again.",
    expired=_AGAIN,
)

PAGES: Mapping[str, Page] = MappingProxyType(
    {
        **_OUTCOMES,
        "wrong_account": replace(
            _OUTCOMES["wrong_account"],
            text="The browser is logged in to X as another account than the one invited."
            " Nothing was stored.",
        ),
        "expired": replace(_OUTCOMES["expired"], title="This login took too long"),
        "prefetch": PREFETCHED,
        "onward": Page(
            status=200,
            title="X opens next",
            text="Check there that you are logged in as the right account, then authorize.",
            next_step="Come back within ten minutes, in this browser.",
        ),
        "unknown": Page(
            status=400,
            title="No login is waiting for this",
            text="It took longer than ten minutes, was begun again, or the bot was restarted."
            " Nothing was stored.",
            next_step=_AGAIN,
        ),
        "other_browser": Page(
            status=403,
            title="This login was begun in another browser",
            text="A login must end in the browser in which it was begun. Nothing was stored.",
            next_step="Open the invitation link in this browser, or finish in the other one."
            " Cookies must be allowed for this page.",
        ),
        "unfinished": Page(
            status=400,
            title="This address is not whole",
            text="It does not look like the end of a login. The login goes on waiting.",
            next_step=_ON_X,
        ),
        "misdirected": Page(
            status=421,
            title="This request was meant for another server",
            text="Its Host header is not this bot's public address.",
            next_step="Open the link just as it was given.",
        ),
        "foreign": Page(
            status=403,
            title="The request came from another page",
            text="A login begins only from the invitation's own page. Nothing was changed.",
            next_step=_AGAIN,
        ),
        "malformed": Page(
            status=400,
            title="The request was refused",
            text="It is not what the invitation's page sends. Nothing was changed.",
            next_step=_AGAIN,
        ),
    }
)
