"""Compare, at a start, the stored state with the bot's state classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from botkit.errors import ConfigError
from botkit.routing.stored_state import NewerState, unknown_fields

if TYPE_CHECKING:
    from botkit.ports import Store
    from botkit.routing.state import StateParam
    from botkit.routing.wiring import Wiring

__all__ = ["compare_states"]

_log = structlog.get_logger(__name__)

_MOST = 10_000


async def compare_states(wiring: Wiring, store: Store) -> None:
    """Log stored fields and classes that the bot no longer has; they stay stored.

    Look at up to 10,000 values of each class.

    Raises:
        ConfigError: A newer version of the bot stored a value.
        StateError: The store cannot be used.
    """
    wanted = {param.scope: param for route in wiring.routes for param in route.states}
    gone: list[str] = []
    for scope in await store.states.scopes():
        if scope in wanted:
            _compare(wanted[scope], await store.states.sample(scope, limit=_MOST))
        else:
            gone.append(scope)
    if gone:
        _log.warning(
            "state.unused",
            states=gone,
            next_step='give the class its old name: state_name: ClassVar[str] = "..."',
        )


def _compare(param: StateParam, values: list[bytes]) -> None:
    name = param.struct.__qualname__
    unknown: set[str] = set()
    try:
        for value in values:
            unknown |= unknown_fields(param.struct, value)
    except NewerState as newer:
        raise ConfigError(
            f"The stored {param.scope} cannot be read: {newer}.",
            hint="Run the version of the bot that stored it, or a newer one.",
        ) from newer
    if unknown:
        _log.warning(
            "state.unknown_fields",
            state=param.scope,
            fields=sorted(unknown),
            next_step=f"they are kept; {name}.upgrade() can rename or remove them",
        )
