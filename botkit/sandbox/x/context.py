"""Routes of the simulated X, and the context that they get with a call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from botkit.sandbox.wire import problems
from botkit.sandbox.wire.exchange import Answer, Call
from botkit.sandbox.world.limits import ApiCaller
from botkit.sandbox.world.world import World
from botkit.sandbox.x.faults import Faults
from botkit.sandbox.x.push.activity import Activity
from botkit.sandbox.x.push.deliveries import Deliveries
from botkit.sandbox.x.push.filtered import FilteredStream

__all__ = ["ApiRoute", "RequestContext"]


@dataclass(slots=True, frozen=True)
class ApiRoute:
    """A method, a path template and their answering function, which may be async.

    `operation` is "" outside the API.
    """

    method: str
    template: str
    run: Callable[[RequestContext], Answer | Awaitable[Answer]]
    operation: str = ""


@dataclass(slots=True)
class RequestContext:
    """The call that a route answers, with its caller and the simulated X."""

    world: World
    activity: Activity
    filtered: FilteredStream
    deliveries: Deliveries
    faults: Faults
    call: Call
    path: dict[str, str]
    who: ApiCaller | None = None

    @property
    def caller(self) -> ApiCaller:
        """The caller; only routes of the API have one."""
        if self.who is None:
            raise problems.unauthorized()
        return self.who
