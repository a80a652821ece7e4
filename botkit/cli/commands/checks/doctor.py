"""`botkit doctor`: print everything that would make the first write fail, with its cure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from botkit.cli.help import HelpCommand
from botkit.cli.options import (
    GivenSettings,
    account_option,
    json_option,
    run_async,
    settings_options,
)
from botkit.cli.output import echo, echo_json
from botkit.cli.store_access import open_the_store
from botkit.errors import BotkitError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from botkit.bot.definition import Bot
    from botkit.config import Settings
    from botkit.doctor.findings import Finding
    from botkit.doctor.report import Report

__all__ = ["command"]

_WIDTH = 17


@click.command(
    cls=HelpCommand,
    name="doctor",
    help="Say what would make the first write fail: keys, clock, access, credits; with the cure.",
)
@click.argument("target", required=False, metavar="[MODULE:BOT]")
@click.option("--offline", is_flag=True, help="Do not ask X: look at settings and store only.")
@account_option
@settings_options
@json_option
def command(
    *,
    target: str | None,
    offline: bool,
    account: str | None,
    given: GivenSettings,
    as_json: bool,
) -> int:
    """Check everything, print the findings, and return the exit code of the worst one."""
    from botkit.doctor.findings import Check, exit_code

    try:
        settings = given.read()
    except ConfigError as error:
        faults = [Check("settings").wrong(problem, error.hint) for problem in error.problems]
        rest = Check("x").not_asked("Nothing else was looked at; first the settings.")
        _print([*faults, rest], as_json=as_json, more={})
        return exit_code(faults)
    from botkit.bot.serving import log_as

    log_as(settings, level="error")
    bot = _load(target or settings.bot.target)
    report = run_async(_examine(settings, bot, account or settings.bot.account, offline=offline))
    more = {"times_asked": report.times_asked, "cost_usd": str(report.cost_usd)}
    _print(report.findings, as_json=as_json, more=more)
    if report.times_asked and not as_json:
        times = "once" if report.times_asked == 1 else f"{report.times_asked} times"
        cost = f"up to USD {report.cost_usd}, counted in the budget"
        echo(f"X was asked {times} whose a login is: {cost}.")
    return report.exit_code


def _load(target: str | None) -> Bot | BotkitError | None:
    """Return the bot, or the error that keeps it from being loaded; None if none is named."""
    if not target:
        return None
    from botkit.cli.loading import load_bot

    try:
        bot = load_bot(target)
        bot.plan  # noqa: B018 - it raises for handlers that cannot be wired
    except BotkitError as error:
        return error
    return bot


async def _examine(
    settings: Settings, bot: Bot | BotkitError | None, account: str | None, *, offline: bool
) -> Report:
    from botkit.cli.accounts.check import next_step
    from botkit.doctor.run import DoctorOptions, examine

    options = DoctorOptions(
        bot=bot,
        account=account or "",
        offline=offline,
        opening=lambda: open_the_store(settings),
        next_step=next_step,
    )
    return await examine(settings, options)


def _print(findings: Iterable[Finding], *, as_json: bool, more: dict[str, Any]) -> None:
    from botkit.doctor.findings import exit_code

    told = list(findings)
    if as_json:
        found = [_as_dict(finding) for finding in told]
        echo_json({"exit_code": exit_code(told), "findings": found, **more})
        return
    for finding in told:
        about = f" ({finding.about})" if finding.about else ""
        parts = [f"{finding.id}{about}:", finding.cause]
        if finding.cure:
            parts += ["Cure:", finding.cure]
        line = " ".join(part for part in parts if part)
        echo(f"{finding.verdict.value:<{_WIDTH}}  {line}")


def _as_dict(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "about": finding.about,
        "verdict": finding.verdict.value,
        "cause": finding.cause,
        "cure": finding.cure,
        "exit_code": finding.exit_code,
        "have": list(finding.have),
        "need": list(finding.need),
    }
