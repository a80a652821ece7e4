"""`botkit events gaps`: list events that may have been missed, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from botkit.cli.options import GivenSettings, json_option, settings_options
from botkit.cli.output import echo, echo_json
from botkit.cli.rows import print_rows
from botkit.cli.store_access import run_on_store
from botkit.errors import ConfigError
from botkit.model.hearing import BY_HAND, GIVEN_UP
from botkit.telemetry.times import rfc3339, second_not_before

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from botkit.model.hearing import GapRow
    from botkit.model.users import Account
    from botkit.ports import Store

__all__ = ["between", "gap_object", "gaps"]

_MOST = 10_000


@click.command(name="gaps", help="What may not have been heard; --close N when you looked at it.")
@click.option("--all", "everything", is_flag=True, help="Also gaps that are closed.")
@click.option("--close", "number", type=int, help="Close this gap: nothing reads it any more.")
@settings_options
@json_option
def gaps(*, everything: bool, number: int | None, given: GivenSettings, as_json: bool) -> None:
    """Print the gaps, or close the one with this number."""
    settings = given.read()

    async def gather(store: Store) -> list[dict[str, Any]]:
        if number is not None:
            await _close(store, number)
        everyone = await store.accounts.listing()
        state = None if everything else "open"
        found = await store.progress.gaps(state=state, limit=_MOST)
        return [gap_object(gap, everyone) for gap in found]

    rows = run_on_store(settings, gather)
    if as_json:
        echo_json(rows)
        return
    if number is not None:
        echo(f"Gap {number} is closed.")
    if not rows:
        echo("No gaps." if everything else "No open gaps.")
    print_rows(
        ("gap", "account", "source", "made", "state", "why"),
        (
            (
                str(row["gap"]),
                row["account"],
                row["source"],
                between(row),
                row["state"],
                row["reason"] + (f" (tried: {row['tried']})" if row["tried"] else ""),
            )
            for row in rows
        ),
        key="gap",
    )


def gap_object(gap: GapRow, accounts: Iterable[Account]) -> dict[str, Any]:
    """Return a gap as `--json` shows it: times are in seconds, and nothing is outside of them."""
    names = {account.id: f"@{account.username}" for account in accounts}
    return {
        "gap": gap.id,
        "account": names.get(gap.account_id, gap.account_id),
        "source": gap.source,
        "since": gap.since,
        "until": gap.until and second_not_before(gap.until),
        "state": gap.state,
        "cause": gap.cause,
        "tried": gap.tried,
        "reason": gap.reason,
    }


def between(row: Mapping[str, Any]) -> str:
    """Return in words the times between which the missing events were made."""
    until = rfc3339(row["until"]) if row["until"] else "now"
    return f"from {rfc3339(row['since'])} to {until}"


async def _close(store: Store, number: int) -> None:
    for gap in await store.progress.gaps(state="open", limit=_MOST):
        if gap.id == number:
            until = gap.until or gap.since
            given_up = replace(gap, state=GIVEN_UP, until=until, reason=BY_HAND)
            await store.progress.change_gap(given_up)
            return
    raise ConfigError(
        f"There is no open gap {number}.", hint="`botkit events gaps` shows their numbers."
    )
