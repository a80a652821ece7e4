"""A call on its way through the simulated X, and what answers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from botkit.sandbox import problems
from botkit.sandbox.activity import Activity
from botkit.sandbox.faults import Faults
from botkit.sandbox.http import Answer, Call
from botkit.sandbox.limits import Caller
from botkit.sandbox.world import World

__all__ = ["Route", "Visit"]


@dataclass(slots=True, frozen=True)
class Route:
    """A method and a path template with what answers it; `operation` is "" outside the API."""

    method: str
    template: str
    run: Callable[[Visit], Answer]
    operation: str = ""


@dataclass(slots=True)
class Visit:
    """One call on its way through: what a route is given."""

    world: World
    activity: Activity
    faults: Faults
    call: Call
    path: dict[str, str]
    who: Caller | None = None

    @property
    def caller(self) -> Caller:
        """Who calls; only routes of the API have one."""
        if self.who is None:
            raise problems.unauthorized()
        return self.who
