"""Escapes text from outside for a log line or a terminal."""

from __future__ import annotations

import re

__all__ = ["escape", "escape_json", "escape_lines"]

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff"
    "\ufeff\ufff9-\ufffb]"
)
"""Control characters (line ends and ESC among them), bidirectional overrides, lone surrogates."""

_ONE_BYTE = 0xFF


def escape(text: str) -> str:
    r"""Return the text on one line, with unsafe characters as `\xNN` or `\uNNNN`."""
    return _UNSAFE.sub(_escaped, text)


def escape_lines(text: str) -> str:
    """Return the text with its line ends kept, and each line escaped."""
    return "\n".join(escape(line) for line in text.split("\n"))


def escape_json(document: str) -> str:
    r"""Return a JSON document with unsafe characters as `\uNNNN`, which mean the same in JSON."""
    return _UNSAFE.sub(
        lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", document
    )


def _escaped(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code <= _ONE_BYTE else f"\\u{code:04x}"
