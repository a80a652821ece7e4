"""Define the limit on hearing: it costs money, and an operator can limit it by account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

__all__ = ["MayHear", "without_limit"]

MayHear = Callable[[str], Awaitable[None]]
"""Awaited with an account's id; raises `Parked` while the account may not hear more."""


async def without_limit(account_id: str) -> None:
    """Allow an account to hear everything."""
