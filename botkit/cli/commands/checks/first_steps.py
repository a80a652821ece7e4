"""List the first steps while no account is authorized yet, for `status` and `checklist`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.cli.output import echo, echo_json
from botkit.config.app_names import section_of, variables_of

if TYPE_CHECKING:
    from botkit.config import Settings

__all__ = ["SETUP_FIRST", "first_steps", "is_before_setup", "status_before_setup"]

SETUP_FIRST = "No account is authorized yet. Run `botkit setup` first."
_PERSON = 2
_LISTS = ("parts", "accounts", "logins", "waiting", "unsettled_writes", "gaps")


def is_before_setup(settings: Settings) -> bool:
    """Return True if there is no store yet, so nothing was set up here.

    Raises:
        StoreUnavailable: The system does not let this user look for the store.
    """
    from botkit.storage.opening import missing_file

    return missing_file(settings.store_url) is not None


def first_steps(settings: Settings) -> list[str]:
    """Return the steps that a person still has to take until the bot runs, in order."""
    app = settings.app_named()
    steps: list[str] = []
    missing = [name for name in ("client_id", "client_secret") if getattr(app, name) is None]
    if missing:
        steps.append(
            f"set {' and '.join(missing)} under [{section_of('default')}] (or"
            f" {variables_of('default')}__{missing[0].upper()}): they are on the app's Keys and"
            " tokens page in X's console (console.x.com)"
        )
    if settings.connect.on:
        steps.append("botkit accounts invite, whose link lets the account's owner log in")
    else:
        steps.append("botkit setup, which authorizes the bot's account in a browser")
    return [*steps, "botkit checklist, for the automated-account label", "botkit run"]


def status_before_setup(settings: Settings, *, as_json: bool) -> int:
    """Print the first steps of a setup, because nothing is set up yet; return the exit code."""
    steps = first_steps(settings)
    if as_json:
        nothing: dict[str, object] = {key: [] for key in _LISTS}
        echo_json(
            {
                "store": settings.store_url,
                "runner": None,
                "keeper": None,
                **nothing,
                "exit_code": _PERSON,
                "first_steps": steps,
            }
        )
        return _PERSON
    echo(f"store    there is none yet at {settings.store_url}")
    echo("runner   no bot is running on this store")
    for at, step in enumerate(steps):
        echo(f"{'then' if at else 'first':<8} {step}")
    echo("or       botkit dev MODULE:BOT, which tries the bot without an account")
    return _PERSON
