"""Reads docstrings as they are meant, where autodoc and napoleon would not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_BEFORE_NAPOLEON, _AFTER_NAPOLEON = 400, 600
_COLON = "\ue000"
"""Stands for a colon while napoleon looks: it takes what stands before one for a type."""
_VALUES = frozenset({"attribute", "data", "property"})


def _hide(_app: Any, what: str, _name: str, _obj: Any, _opts: Any, lines: Any) -> None:
    if what in _VALUES:
        lines[:] = [line.replace(":", _COLON) for line in lines]


def _show(_app: Any, what: str, _name: str, _obj: Any, _opts: Any, lines: Any) -> None:
    if what in _VALUES:
        lines[:] = [line.replace(_COLON, ":") for line in lines]


def _no_factory(
    _app: Any, _what: str, _name: str, _obj: Any, _opts: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """A default that is made anew is shown as dots: `<factory>` is no Python."""
    if not signature or "<factory>" not in signature:
        return None
    return signature.replace("<factory>", "..."), returns


def setup(app: Any) -> dict[str, Any]:
    """Register the hooks."""
    app.connect("autodoc-process-docstring", _hide, priority=_BEFORE_NAPOLEON)
    app.connect("autodoc-process-docstring", _show, priority=_AFTER_NAPOLEON)
    app.connect("autodoc-process-signature", _no_factory)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
