"""How far each source has read, and how many of its gaps are open."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botkit.runtime.life.status import HEARD_TO
from botkit.system import SystemClock
from botkit.telemetry.times import rfc3339

if TYPE_CHECKING:
    from botkit.cli.commands.checks.status_problems import Facts
    from botkit.model.hearing import GapRow
    from botkit.model.records import StatusReport

__all__ = ["hearing_in_words", "hearing_of"]

_OF_A_WEBHOOK = "activity"
"""The name under which a webhook's gaps are kept."""


def hearing_of(report: StatusReport, facts: Facts) -> dict[str, Any]:
    """Return a source's lag in seconds and the number of its open gaps; nothing for other parts.

    The lag is the time from the newest read, by X's clock, to now; a source that reads as it
    should lags by its interval at most.
    """
    if HEARD_TO not in report.data:
        return {}
    lag = SystemClock().now() - datetime.fromisoformat(report.data[HEARD_TO])
    gaps = sum(_is_of(gap, report.part, facts) for gap in facts.gaps)
    return {"lag_s": round(max(lag, timedelta(0)).total_seconds()), "gaps": gaps}


def hearing_in_words(part: dict[str, Any]) -> str:
    """Return what the line of a source says of it, "" for another part."""
    if "lag_s" not in part:
        return ""
    heard_to = rfc3339(datetime.fromisoformat(part[HEARD_TO]))
    gaps = f", {part['gaps']} open gap{'s' * (part['gaps'] != 1)}" if part["gaps"] else ""
    return f"read to {heard_to}, {part['lag_s']} s ago{gaps}"


def _is_of(gap: GapRow, part: str, facts: Facts) -> bool:
    """Return True if a gap is of the source or of one of its rules, for an account of it."""
    source, _, of = part.partition("/")
    name = _OF_A_WEBHOOK if source == "webhook" else source
    return (gap.source == name or gap.source.startswith(f"{name}:")) and any(
        each.id == gap.account_id and of in {each.username, each.app} for each in facts.accounts
    )
