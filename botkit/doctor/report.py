"""Collect the findings of all checks; each has a time limit, and none hides another."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from botkit.doctor.findings import Finding, exit_code
from botkit.errors import Parked
from botkit.ports import Clock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from botkit.doctor.findings import Check

__all__ = ["Report"]

_LIMIT_S = 45.0


@dataclass(kw_only=True, slots=True)
class Report:
    """Hold all findings, and the cost of the calls to X."""

    clock: Clock
    findings: list[Finding] = field(default_factory=list[Finding])
    times_asked: int = 0
    cost_usd: Decimal = Decimal(0)

    @property
    def exit_code(self) -> int:
        """Return the exit code of the command."""
        return exit_code(self.findings)

    async def ask(
        self,
        check: Check,
        question: Callable[[], Awaitable[list[Finding]]],
        *,
        limit_s: float = _LIMIT_S,
    ) -> None:
        """Call `question` and add its findings; turn an error that it raises into a finding."""
        try:
            async with self.clock.timeout(limit_s):
                found = await question()
        except (Exception, Parked) as error:  # noqa: BLE001 - a check that fails hides no other
            found = [check.of_error(error)]
        self.findings += found
