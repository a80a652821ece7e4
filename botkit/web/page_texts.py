"""The fixed texts of every page of botkit's servers, from `page_texts.json`."""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING

import msgspec

from botkit.errors import AuthorizationDenied, LoginExpired, WrongAccount
from botkit.web.pages import Page

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BOT_PAGES", "CALLBACK_PAGES", "CONNECT_PAGES", "INVITATION_PAGES", "outcome_of"]

_TEXTS = msgspec.json.decode(
    pkgutil.get_data("botkit.web", "page_texts.json") or b"",
    type=dict[str, dict[str, dict[str, object]]],
)


def _pages_of(group: str, *, base: str = "") -> Mapping[str, Page]:
    """Return the pages of a group by name; pages of the group `base` fill what they leave out."""
    defaults = _TEXTS[base] if base else {}
    whole = {name: {**defaults.get(name, {}), **page} for name, page in _TEXTS[group].items()}
    return msgspec.convert(whole, dict[str, Page])


CALLBACK_PAGES = _pages_of("callback", base="login")
CONNECT_PAGES = _pages_of("connect", base="login")
INVITATION_PAGES = _pages_of("invitation")
BOT_PAGES = _pages_of("bot")


def outcome_of(error: Exception) -> str:
    """Return the name of the page for the error that ended a login."""
    match error:
        case AuthorizationDenied():
            return "declined"
        case LoginExpired():
            return "expired"
        case WrongAccount():
            return "other_kept" if error.kept else "wrong_account"
        case _:
            return "failed"
