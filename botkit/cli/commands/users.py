"""`botkit users`: list who has opted out, and record that a user opts out or in again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from botkit.cli.help import HelpGroup
from botkit.cli.options import (
    GivenSettings,
    account_option,
    json_option,
    limit_option,
    say_as,
    settings_options,
)
from botkit.cli.output import as_text, echo, echo_json
from botkit.cli.rows import print_rows
from botkit.cli.store_access import run_on_store, the_account
from botkit.errors import ConfigError
from botkit.model.events import OptOut
from botkit.model.records import StoredOptOut
from botkit.runtime.writes.opt_outs import row_for
from botkit.system import SystemClock

if TYPE_CHECKING:
    from botkit.ports import Store

__all__ = ["command"]

_say = say_as("users")


@click.group(cls=HelpGroup, name="users", help="Who has opted out: list, opt out, opt in.")
def command() -> None:
    """Group the user commands."""


@command.command(name="list", help="The users who have opted out, newest first.")
@account_option
@limit_option
@settings_options
@json_option
def list_users(*, account: str | None, limit: int, given: GivenSettings, as_json: bool) -> None:
    """Print the users to whom the account must not write, because they opted out."""
    settings = given.read()

    async def gather(store: Store) -> list[StoredOptOut]:
        chosen = await the_account(store, account, settings) if account else None
        return await store.accounts.opt_outs(account_id=chosen.id if chosen else "", limit=limit)

    rows = run_on_store(settings, gather)
    if as_json:
        echo_json([_facts(row) for row in rows])
        return
    if not rows:
        echo("Nobody has opted out.")
    print_rows(
        ("when", "user", "id", "account", "by"),
        (
            (
                as_text(row.at),
                f"@{row.username}" if row.username else "",
                row.user_id,
                row.account_id,
                row.cause or "operator",
            )
            for row in rows
        ),
        key="id",
    )


@command.command(name="opt-out", help="Write nothing to USER any more: a username or an id.")
@click.argument("user")
@account_option
@settings_options
@json_option
def opt_out(*, user: str, account: str | None, given: GivenSettings, as_json: bool) -> None:
    """Record an opt-out that a user asked for elsewhere, for instance by mail."""
    settings = given.read()

    async def run(store: Store) -> StoredOptOut:
        owner = await the_account(store, account, settings)
        user_id, username = await _user(store, user, owner.id)
        wanted = StoredOptOut(
            account_id=owner.id, user_id=user_id, username=username, at=SystemClock().now()
        )
        stands = await store.accounts.opt_out(wanted)
        if stands == wanted:
            await _tell(store, wanted, is_out=True)
        return stands

    row = run_on_store(settings, run)
    _say(f"user {row.username or row.user_id} has opted out; undo: botkit users opt-in {user}")
    if as_json:
        echo_json(_facts(row))


@command.command(name="opt-in", help="Let the bot write to USER again: a username or an id.")
@click.argument("user")
@account_option
@settings_options
def opt_in(*, user: str, account: str | None, given: GivenSettings) -> None:
    """Remove an opt-out; a running bot notices within a second."""
    settings = given.read()

    async def run(store: Store) -> bool:
        owner = await the_account(store, account, settings)
        user_id, username = await _user(store, user, owner.id)
        back = await store.accounts.opt_in(owner.id, user_id)
        if back:
            row = StoredOptOut(
                account_id=owner.id, user_id=user_id, username=username, at=SystemClock().now()
            )
            await _tell(store, row, is_out=False)
        return back

    if not run_on_store(settings, run):
        raise ConfigError(f"User {user} has not opted out.", hint="Who has: botkit users list")
    _say(f"the bot may write to {user} again")


async def _tell(store: Store, row: StoredOptOut, *, is_out: bool) -> None:
    """Record the event for the bot's `OptOut` handlers."""
    told = OptOut(
        account_id=row.account_id,
        at=row.at,
        source="operator",
        user_id=row.user_id,
        username=row.username,
        is_out=is_out,
    )
    await store.events.append([row_for(told)])


async def _user(store: Store, user: str, account_id: str) -> tuple[str, str]:
    """Return id and username of a user; the username is "" if it is unknown.

    Raises:
        ConfigError: No user of this name is known here.
    """
    name = user.removeprefix("@")
    if name.isdecimal():
        return name, ""
    for row in await store.accounts.opt_outs(account_id=account_id, limit=1_000_000):
        if row.username.casefold() == name.casefold():
            return row.user_id, row.username
    cached = await store.accounts.cached_user(name)
    if cached is None:
        raise ConfigError(
            f"No user @{name} is known in this store.",
            hint="Give the user's id: `botkit events show KEY` has the ids of those who wrote.",
        )
    return cached.id, cached.username


def _facts(row: StoredOptOut) -> dict[str, Any]:
    return {
        "user_id": row.user_id,
        "username": row.username,
        "account_id": row.account_id,
        "at": row.at,
        "event": row.cause,
    }
