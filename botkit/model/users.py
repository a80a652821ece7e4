"""Users and accounts as frozen values."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Account", "User"]


class User(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A user of X. `id`, `username` (without the @) and `name` are always set."""

    id: str
    username: str
    name: str
    description: str | None = None
    protected: bool | None = None
    automated: bool | None = None
    """Whether the user has the automated-account label; None if X's answer does not say."""


class Account(Struct, frozen=True, kw_only=True, gc=False):
    """The user for whom the bot acts, and the app through which it acts.

    `alias` is the operator's name for the account, "" if it has none.
    """

    id: str
    username: str
    name: str = ""
    app: str = "default"
    alias: str = ""
