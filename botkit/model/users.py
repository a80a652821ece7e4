"""Users and accounts as frozen values."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Account", "User"]


class User(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A user of X. `id`, `username` (without the @) and `name` are always there."""

    id: str
    username: str
    name: str
    description: str | None = None
    protected: bool | None = None
    automated: bool | None = None
    """Whether the automated-account label was seen; None when the answer did not say."""


class Account(Struct, frozen=True, kw_only=True, gc=False):
    """The user that the bot acts for, and the app that it acts through.

    `alias` is the operator's own name for it, "" when it goes by its username.
    """

    id: str
    username: str
    name: str = ""
    app: str = "default"
    alias: str = ""
