"""`botkit rules`: the rules of the filtered stream at X beside those that a bot declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from botkit.cli.help import HelpGroup
from botkit.cli.options import (
    GivenSettings,
    account_option,
    json_option,
    settings_options,
)
from botkit.cli.output import echo, echo_json
from botkit.cli.rows import print_rows
from botkit.cli.store_access import open_x_of, run_on_store, the_account
from botkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from botkit.bot.definition import Bot
    from botkit.config import Settings
    from botkit.model.sources import Rule
    from botkit.ports import Store
    from botkit.protocol.events.matches import StoredRule
    from botkit.sources.push.rules import Comparison, StreamRules

__all__ = ["command"]

T = TypeVar("T")

_target = click.argument("target", required=False, metavar="[MODULE:BOT]")
_REFUSED = 2


@click.group(
    cls=HelpGroup,
    name="rules",
    help="The rules of the filtered stream: list those at X, and make them the bot's.",
)
def command() -> None:
    """Group the commands on rules."""


@command.command(name="list", help="All rules of the app at X, the bot's own and others'.")
@_target
@account_option
@settings_options
@json_option
def list_rules(
    *, target: str | None, account: str | None, given: GivenSettings, as_json: bool
) -> None:
    """Print the rules that X has."""

    async def work(rules: StreamRules, account_id: str) -> list[dict[str, Any]]:
        found = await rules.listing(account_id)
        return [_at_x(rule) | {"own": rules.owns(rule)} for rule in found]

    rows = _with_rules(given, target, account, work)
    if as_json:
        echo_json(rows)
        return
    if not rows:
        echo("No rules.")
    print_rows(
        ("id", "whose", "tag", "rule"),
        (
            (row["id"], "own" if row["own"] else "other's", row["tag"], row["value"])
            for row in rows
        ),
        key="id",
    )


@command.command(
    name="sync",
    help="Add the bot's missing rules and delete those that it does not declare any more.",
)
@_target
@click.option("--dry-run", is_flag=True, help="Change nothing: X checks what would be added.")
@account_option
@settings_options
@json_option
def sync(
    *,
    target: str | None,
    dry_run: bool,
    account: str | None,
    given: GivenSettings,
    as_json: bool,
) -> int:
    """Make X's rules the bot's; return 2 if X refuses one. A bot does this at each start."""

    async def work(rules: StreamRules, account_id: str) -> tuple[Comparison, dict[str, str]]:
        found = await rules.compare(account_id)
        if dry_run:
            return found, await rules.check(found.missing, account_id)
        return found, (await rules.prepare(account_id)).refused

    found, refused = _with_rules(given, target, account, work)
    if as_json:
        echo_json(
            {
                "dry_run": dry_run,
                "add": [_declared(rule) for rule in found.missing],
                "remove": [_at_x(rule) for rule in found.stale],
                "keep": [_at_x(rule) for rule in found.there],
                "others": found.foreign,
                "refused": refused,
            }
        )
    else:
        _print(found, refused, dry_run=dry_run)
    return _REFUSED if refused else 0


def _print(found: Comparison, refused: dict[str, str], *, dry_run: bool) -> None:
    changes: Sequence[tuple[str, Sequence[Rule | StoredRule]]] = (
        ("add", found.missing),
        ("remove", found.stale),
        ("keep", found.there),
    )
    print_rows(
        ("what", "tag", "rule"),
        ((what, rule.tag, rule.value) for what, rules in changes for rule in rules),
        key="tag",
    )
    for tag, why in refused.items():
        echo(f"X refuses the rule {tag!r}: {why}. Change it where the bot declares it.")
    if found.foreign:
        echo(f"{found.foreign} of others stay; X charges for what they find, too.")
    if dry_run:
        echo("Nothing was changed.")


def _with_rules(
    given: GivenSettings,
    target: str | None,
    account: str | None,
    work: Callable[[StreamRules, str], Awaitable[T]],
) -> T:
    """Do something with the rules of the bot's app, as the account that reads them."""
    from botkit.cli.loading import load_bot

    settings = given.read(log_level="warning")
    named = target or settings.bot.target
    if not named:
        raise ConfigError(
            "Whose rules? No bot is named.",
            hint='Say MODULE:BOT, or set target = "MODULE:BOT" under [bot].',
        )
    bot = load_bot(named)
    return run_on_store(settings, lambda store: _at(store, settings, bot, account, work))


async def _at(
    store: Store,
    settings: Settings,
    bot: Bot,
    account: str | None,
    work: Callable[[StreamRules, str], Awaitable[T]],
) -> T:
    from botkit.sources.push.rules import StreamRules, check_plan

    everyone = await store.accounts.listing()
    if account or settings.bot.account or not everyone:
        reader = await the_account(store, account, settings)
    else:
        reader = everyone[0]  # the one that a running bot reads rules as
    sources = bot.plan.wiring.sources
    check_plan(sources, plan=settings.app_named(reader.app).plan)
    async with open_x_of(settings, store) as x:
        if not x.keeper.app_can_serve(reader.app):
            raise ConfigError(
                f"Rules need the bearer token of the app {reader.app!r}.",
                hint="Set bearer_token, or api_key and api_secret.",
            )
        rules = StreamRules(x.sender, sources.rules, bot=bot.plan.name)
        return await work(rules, reader.id)


def _declared(rule: Rule) -> dict[str, Any]:
    return {"tag": rule.tag, "value": rule.value}


def _at_x(rule: StoredRule) -> dict[str, Any]:
    return {"id": rule.id, "tag": rule.tag, "value": rule.value}
