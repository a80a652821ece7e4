"""A call on its way through the simulated X, and what answers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from botkit.sandbox.wire import problems
from botkit.sandbox.wire.exchange import Answer, Call
from botkit.sandbox.world.limits import ApiCaller
from botkit.sandbox.world.world import World
from botkit.sandbox.x.activity import Activity
from botkit.sandbox.x.faults import Faults

__all__ = ["ApiRoute", "RequestContext"]


@dataclass(slots=True, frozen=True)
class ApiRoute:
    """A method and a path template with what answers it; `operation` is "" outside the API."""

    method: str
    template: str
    run: Callable[[RequestContext], Answer]
    operation: str = ""


@dataclass(slots=True)
class RequestContext:
    """One call on its way through: what a route is given."""

    world: World
    activity: Activity
    faults: Faults
    call: Call
    path: dict[str, str]
    who: ApiCaller | None = None

    @property
    def caller(self) -> ApiCaller:
        """Who calls; only routes of the API have one."""
        if self.who is None:
            raise problems.unauthorized()
        return self.who
