"""Report a source's state for `botkit status`, in a line that stays short."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from botkit.errors import BotkitError, Parked
from botkit.telemetry.counted import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from botkit.model.users import Account

__all__ = ["StatusReporter", "by_cause", "words_of"]

_MOST_CAUSES = 3


class StatusReporter(Protocol):
    """Takes a source's state; logs and stores it if it has changed."""

    def __call__(
        self,
        part: str,
        state: str,
        detail: str = "",
        data: Mapping[str, str] | None = None,
        *,
        good_for_s: float | None = None,
    ) -> None:
        """Report `state`, one word: `starting`, `live`, `partly`, `waiting`, `off` or `wrong`.

        `data["code"]` is the exit code of `botkit status` for a state that is not good, and
        `data["next_step"]` the next step that it shows. With
        `good_for_s`, the source counts as `waiting` once it has not reported for that long.
        """
        ...

    def heard(self, part: str, to: datetime) -> None:
        """Note the time, by X's clock, up to which a source has read; it may be called often."""
        ...


def words_of(problem: BotkitError | Parked) -> str:
    """Return why a source waits, for its status line."""
    return f"waits for {problem.waiting_for}" if isinstance(problem, Parked) else str(problem)


def by_cause(problems: Iterable[tuple[Account, str]], *, of: int) -> str:
    """Return the problems of some of `of` accounts as one text, with each cause once.

    Problems that differ only by the account's name and id have the same cause.
    """
    causes: dict[str, list[tuple[Account, str]]] = {}
    for account, why in problems:
        cause = why.replace(account.username, "").replace(account.id, "")
        causes.setdefault(cause, []).append((account, why))
    said: list[str] = []
    for same in sorted(causes.values(), key=len, reverse=True)[:_MOST_CAUSES]:
        account, why = same[0]
        others = f" and {len(same) - 1} more" if len(same) > 1 else ""
        said.append(why if of == 1 else f"@{account.username}{others}: {why}")
    if len(causes) > _MOST_CAUSES:
        said.append(f"and {counted(len(causes) - _MOST_CAUSES, 'other cause')}")
    return "; ".join(said)
