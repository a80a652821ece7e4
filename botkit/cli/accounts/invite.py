"""`botkit accounts invite`: make, list and end links by which accounts log in at the bot."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from botkit.cli.help import HelpCommand
from botkit.cli.options import (
    GivenSettings,
    json_option,
    key_options,
    key_wish,
    run_async,
    say_as,
    settings_options,
)
from botkit.cli.output import echo, echo_json
from botkit.cli.store_access import open_store_with_key, open_the_store
from botkit.errors import ConfigError
from botkit.system import SystemClock
from botkit.telemetry.times import rfc3339

if TYPE_CHECKING:
    from datetime import datetime

    from botkit.bot.keys.key_making import KeyWish
    from botkit.config import Settings
    from botkit.model.invitations import Invitation, InvitationState

__all__ = ["invite_command"]

_say = say_as("invite")

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_LEAST, _MOST = timedelta(minutes=1), timedelta(days=30)
_NOT_DONE = 1


class Span(click.ParamType[timedelta]):
    """Parse a span of time: 30m, 24h, 7d."""

    name = "span"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Return the span that a text like `24h` stands for."""
        number, unit = str(value)[:-1], str(value)[-1:]
        if not (number.isascii() and number.isdigit()) or len(number) > len("9999"):
            self.fail(f"{value!r} is no span: write 30m, 24h or 7d.", param, ctx)
        span = _UNITS.get(unit, timedelta(0)) * int(number)
        if not _LEAST <= span <= _MOST:
            self.fail(f"{value!r} is not between 1m and 30d.", param, ctx)
        return span


@click.command(
    cls=HelpCommand,
    name="invite",
    help="Make a link by which an account logs in at the running bot.",
)
@click.option("--account", metavar="NAME", help="Only this account may log in; username or id.")
@click.option("--app", metavar="NAME", help="The app of the settings. Default: connect.app.")
@click.option(
    "--expires", type=Span(), default="24h", show_default=True, help="How long it is good for."
)
@click.option("--list", "listing", is_flag=True, help="List the invitations instead.")
@click.option("--revoke", metavar="ID", help="End an invitation instead.")
@key_options
@settings_options
@json_option
def invite_command(
    *,
    account: str | None,
    app: str | None,
    expires: timedelta,
    listing: bool,
    revoke: str | None,
    make_key: bool,
    key_beside_store: bool,
    given: GivenSettings,
    as_json: bool,
) -> int:
    """Print the link, alone on stdout; botkit keeps no copy of it."""
    if listing and revoke is not None:
        raise click.UsageError("--list and --revoke are two things: say one of them.")
    settings = given.read()
    if listing:
        return run_async(_list(settings, as_json=as_json))
    if revoke is not None:
        return run_async(_revoke(settings, revoke, as_json=as_json))
    wish = key_wish(make_key=make_key, key_beside_store=key_beside_store)
    named = account or settings.bot.account or ""
    made = _InvitationWish(app or settings.connect.app, named.removeprefix("@"), expires)
    return run_async(_invite(settings, made, wish, as_json=as_json))


class _InvitationWish(NamedTuple):
    """The app, the account ("" for any) and the life of the invitation that is to be made."""

    app: str
    account: str
    expires: timedelta


async def _invite(
    settings: Settings, asked: _InvitationWish, key: KeyWish, *, as_json: bool
) -> int:
    from botkit.bot.accounts.invite import invite
    from botkit.bot.compose_client import open_the_vault
    from botkit.system import SystemEntropy

    _check(settings, asked)
    async with open_store_with_key(settings, key, tell=_say) as store:
        vault = await open_the_vault(settings, store)
        if asked.account and await store.accounts.get(asked.account) is None:
            _say(f"@{asked.account} is not known here yet; it must log in under that name or id")
        made = await invite(
            store,
            vault,
            public_url=settings.connect.public_url or "",
            app=asked.app,
            account=asked.account,
            life=asked.expires,
            clock=SystemClock(),
            entropy=SystemEntropy(),
        )
    shown = _as_dict(made.invitation, SystemClock().now())
    if as_json:
        echo_json({**shown, "link": made.link, "callback_url": made.callback_url})
        return 0
    who = f"@{asked.account}" if asked.account else "any account"
    _say(f"invitation {made.invitation.id}: {who}, app {asked.app}, for one login")
    _say(f"until {rfc3339(made.invitation.expires_at)}; whoever has the link can use it")
    _say(f"the callback URL to register in X's console: {made.callback_url}")
    echo(made.link)
    return 0


def _check(settings: Settings, asked: _InvitationWish) -> None:
    problems: list[str] = []
    if not settings.connect.on or settings.connect.public_url is None:
        problems.append(
            "[connect] is off: set on = true and public_url, here and for the running bot."
        )
    if settings.bot.account and asked.account.casefold() != settings.bot.account.casefold():
        problems.append(
            f"[bot] account is {settings.bot.account}: the bot acts for no other account."
        )
    try:
        settings.app_named(asked.app)
    except ConfigError as unknown:
        problems.append(str(unknown))
    if problems:
        raise ConfigError(" ".join(problems), problems=problems)


async def _list(settings: Settings, *, as_json: bool) -> int:
    async with open_the_store(settings) as store:
        names = {account.id: account.username for account in await store.accounts.listing()}
        now = SystemClock().now()
        found = [_as_dict(one, now, names) for one in await store.invitations.listing()]
    if as_json:
        echo_json(found)
        return 0
    if not found:
        echo("No invitations. Make one: botkit accounts invite")
    for one in found:
        who = f"@{one['account']}" if one["account"] else "any account"
        by = f" by @{one['used_by']}" if one["used_by"] else ""
        echo(
            f"{one['id']}  {one['state']}{by}  {who}  app {one['app']}"
            f"  until {rfc3339(one['expires_at'])}"
        )
    return 0


async def _revoke(settings: Settings, invitation_id: str, *, as_json: bool) -> int:
    async with open_the_store(settings) as store:
        done = await store.invitations.revoke(invitation_id, now=SystemClock().now())
        known = await store.invitations.get(invitation_id)
    if as_json:
        echo_json({"id": invitation_id, "revoked": done})
    elif done:
        _say(f"invitation {invitation_id} is revoked")
    elif known is None:
        _say(f"there is no invitation {invitation_id}: botkit accounts invite --list")
    else:
        _say(f"invitation {invitation_id} was used or revoked before")
    return 0 if done else _NOT_DONE


def _as_dict(
    invitation: Invitation, now: datetime, names: dict[str, str] | None = None
) -> dict[str, Any]:
    state: InvitationState = invitation.state(now)
    used_by = invitation.used_by
    return {
        "id": invitation.id,
        "state": state.value,
        "app": invitation.app,
        "account": invitation.account or None,
        "created_at": invitation.created_at,
        "expires_at": invitation.expires_at,
        "used_at": invitation.used_at,
        "used_by": (names or {}).get(used_by, used_by) or None,
    }
