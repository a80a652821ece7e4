"""Call the author's `on_error` functions for failures, after these were recorded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from botkit.model.failures import Failure
from botkit.telemetry.error_text import error_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from botkit.ports import Clock
    from botkit.routing.middleware import Ring
    from botkit.runtime.intake.lanes import Job

__all__ = ["FailureHooks"]

_log = structlog.get_logger(__name__)

_LONGEST_S = 10.0
"""The time limit of one function."""


class FailureHooks:
    """Call the functions one after the other; they cannot change the record of the failure.

    Args:
        given: Returns, for an account, the values that they may ask for by exact type.
    """

    def __init__(
        self,
        hooks: Sequence[Ring],
        given: Callable[[str], Mapping[Any, Any]],
        clock: Clock,
        redact: Callable[[str], str],
    ) -> None:
        self._hooks = hooks
        self._given = given
        self._clock = clock
        self._redact = redact

    async def tell(self, job: Job, handler: str, error: BaseException | None, **more: Any) -> None:
        """Call all functions for a failed run; log the exceptions that they raise."""
        failure = Failure(
            event=job.event,
            key=job.key,
            account_id=job.account_id,
            handler=handler,
            error=error,
            attempt=job.attempts + 1,
            **more,
        )
        for hook in self._hooks:
            try:
                async with self._clock.timeout(_LONGEST_S):
                    await hook(self._given(job.account_id).__getitem__, failure)
            except BaseException as fault:
                task = asyncio.current_task()
                if isinstance(fault, asyncio.CancelledError) and task and task.cancelling():
                    raise
                why = self._redact(error_text(fault))
                _log.error("error_hook.failed", key=job.key, why=why)
