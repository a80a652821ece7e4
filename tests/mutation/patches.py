"""Puts a changed module into the running process, so that nothing is imported again."""

from __future__ import annotations

import gc
import sys
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_PLAIN = (str, bytes, int, float, bool, tuple, list, dict, set, frozenset)


_functions: dict[str, list[FunctionType]] = {}


def find_functions() -> None:
    """Note every function there is, by its file: once, before the first is changed."""
    for one in gc.get_objects():
        if isinstance(one, FunctionType):
            _functions.setdefault(one.__code__.co_filename, []).append(one)


def put(path: Path, source: str, *, where: str) -> bool:
    """Put a module's changed source into its functions, or into its constants.

    Returns:
        False if that cannot be done here: a fresh process must import it.
    """
    modules = [one for one in list(sys.modules.values()) if _file_of(one) == str(path)]
    if not modules:
        return True  # It will be imported from its file.
    if where == "function":
        return _put_functions(path, compile(source, str(path), "exec"))
    return where == "module" and _put_constants(modules[0], source)


def _file_of(module: ModuleType) -> str | None:
    return getattr(module, "__file__", None)


def _put_functions(path: Path, changed: CodeType) -> bool:
    codes = _codes_in(changed)
    try:
        for function in _functions.get(str(path), ()):
            new = codes.get(function.__code__.co_qualname)
            if new is None or isinstance(new, list):
                return False
            function.__code__ = new
    except ValueError:  # Another number of names from outside.
        return False
    return True


def _codes_in(code: CodeType) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in code.co_consts:
        if isinstance(one, CodeType):
            for name, inner in ((one.co_qualname, one), *_codes_in(one).items()):
                # Of two with one name (an overload, a property's setter) nobody knows which.
                found[name] = inner if name not in found else [found[name], inner]
    return found


def _put_constants(module: ModuleType, source: str) -> bool:
    fresh = ModuleType(module.__name__)
    fresh.__dict__.update(__file__=module.__file__, __package__=module.__package__)
    sys.modules["changed"] = fresh
    exec(compile(source, str(module.__file__), "exec"), fresh.__dict__)
    changed = False
    for name, new in vars(fresh).items():
        old = vars(module).get(name)
        if name.startswith("__") or not isinstance(new, _PLAIN) or old == new:
            continue
        changed = True
        for other in list(sys.modules.values()):
            if vars(other).get(name) is old:
                setattr(other, name, new)
    return changed
