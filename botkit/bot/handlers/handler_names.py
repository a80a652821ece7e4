"""Match the records of unfinished events to handlers that were renamed, moved or removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from botkit.runtime.writes.checks.guard import ANSWERS_OPT_OUTS
from botkit.runtime.writes.post_requests import SENDS_POSTS

if TYPE_CHECKING:
    from botkit.model.records import Fence
    from botkit.ports import Store
    from botkit.routing.wiring import Wiring

__all__ = ["take_over_handlers", "warn_of_unreachable"]

_log = structlog.get_logger(__name__)


def warn_of_unreachable(wiring: Wiring) -> None:
    """Log each handler that never runs because an earlier handler takes all of its events."""
    for why in wiring.unreachable:
        _log.warning(
            "handler.unreachable",
            why=why,
            next_step="put the one with filters first, or raise Skip in the one that stands first",
        )


async def take_over_handlers(wiring: Wiring, store: Store, *, fence: Fence) -> None:
    """Move records of unfinished events to the handlers' new names; log removed handlers.

    Raises:
        StateError: The store cannot be used, or the lease is gone.
    """
    names = {ANSWERS_OPT_OUTS, SENDS_POSTS, *(route.name for route in wiring.routes)}
    for gone in await store.take_over_handlers(names, wiring.renamed, fence=fence):
        _log.warning(
            "handler.gone",
            handler=gone.name,
            events=gone.keys,
            next_step=f'was="{gone.name}" beside the handler that took its place, or '
            "botkit events drop",
        )
