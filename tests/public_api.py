"""The public surface as text: `python -m tests.public_api` writes it to `tests/public_api.txt`."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

LIST = Path(__file__).with_name("public_api.txt")
PUBLIC = tuple(
    f"botkit{room}"
    for room in ("", ".config", ".errors", ".filters", ".sandbox", ".storage", ".text")
)


def modules() -> list[str]:
    """Return the public modules that exist."""
    return [name for name in PUBLIC if find_spec(name)]


def surface() -> list[str]:
    """Return every public name, one a line, sorted."""
    return sorted(
        f"{module}.{name}"
        for module in modules()
        for name in getattr(import_module(module), "__all__", ())
    )


if __name__ == "__main__":
    LIST.write_text("".join(f"{line}\n" for line in surface()), encoding="utf-8")
