"""The report: findings as they come, each question bounded in time, none hiding the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from botkit.doctor.findings import Finding, exit_code, of_error
from botkit.errors import Parked
from botkit.ports import Clock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


__all__ = ["Report"]

_LIMIT_S = 45.0


@dataclass(kw_only=True, slots=True)
class Report:
    """All findings, and what the questions cost."""

    clock: Clock
    findings: list[Finding] = field(default_factory=list[Finding])
    times_asked: int = 0
    cost_usd: Decimal = Decimal(0)

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        return exit_code(self.findings)

    async def ask(
        self,
        check: str,
        question: Callable[[], Awaitable[list[Finding]]],
        *,
        about: str = "",
        limit_s: float = _LIMIT_S,
    ) -> None:
        """Note what the question finds; whatever goes wrong with it is a finding, too."""
        try:
            async with self.clock.timeout(limit_s):
                found = await question()
        except Parked as parked:
            found = [of_error(check, parked, about=about)]
        except Exception as error:  # noqa: BLE001 - a check that fails hides no other
            found = [of_error(check, error, about=about)]
        self.findings += found
