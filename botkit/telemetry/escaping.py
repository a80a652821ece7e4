"""Escapes text from outside for a log line or a terminal."""

from __future__ import annotations

import re

__all__ = ["escape"]

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""Control characters (line ends and ESC among them) and bidirectional overrides."""

_ONE_BYTE = 0xFF


def escape(text: str) -> str:
    r"""Return the text on one line, with unsafe characters as `\xNN` or `\uNNNN`."""
    return _UNSAFE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code <= _ONE_BYTE else f"\\u{code:04x}"
