"""Write a number of things for people: `1 gap`, `2 gaps`."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: float, thing: str, things: str = "") -> str:
    """Return the number and the word for that many; `things` is `thing` with an s by default."""
    return f"{number:g} {thing}" if number == 1 else f"{number:g} {things or f'{thing}s'}"
