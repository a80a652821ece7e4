"""Name the places of an app's settings, for messages that tell what to set."""

from __future__ import annotations

__all__ = ["section_of", "variables_of"]


def section_of(app: str) -> str:
    """Return the app's section in botkit.toml."""
    return "app" if app == "default" else f"apps.{app}"


def variables_of(app: str) -> str:
    """Return the prefix of the app's environment variables."""
    return "BOTKIT_APP" if app == "default" else f"BOTKIT_APPS__{app.upper()}"
