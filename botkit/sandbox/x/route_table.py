"""Find the route of a call among all paths that X has.

A fixed segment wins over a parameter, so `/2/users/search` is never a user of the id `search`.
A route of X that the sandbox does not simulate gets a 501, any other unknown path a 404.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from botkit.protocol.api.operations import all_operations
from botkit.sandbox.wire import problems
from botkit.sandbox.x.context import ApiRoute

if TYPE_CHECKING:
    from collections.abc import Iterable

    from botkit.sandbox.wire.exchange import Call

__all__ = ["RouteTable"]

_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass(slots=True)
class _Path:
    """Hold the routes of one path shape, by method; None for one that is not simulated."""

    pattern: re.Pattern[str]
    methods: dict[str, ApiRoute | None] = field(default_factory=dict[str, ApiRoute | None])


class RouteTable:
    """Hold the sandbox's routes, and the operations of X that it does not simulate."""

    def __init__(self, routes: Iterable[ApiRoute]) -> None:
        paths: dict[str, _Path] = {}
        for operation in all_operations():
            _path(paths, operation.path).methods[operation.method] = None
        for route in routes:
            _path(paths, route.template).methods[route.method] = route
        self._paths = [paths[shape] for shape in sorted(paths, key=_fixed_first)]

    def find(self, call: Call) -> tuple[ApiRoute, dict[str, str]]:
        """Return the route of a call, and the values of its path's parameters by name.

        Raises:
            Refused: 404: X has no such path. 405: X has the path, but not for this method. 501: X
                has the route, and the sandbox does not simulate it.
        """
        for path in self._paths:
            found = path.pattern.fullmatch(call.path)
            if found is None:
                continue
            if call.method not in path.methods:
                raise problems.blank(405, "Method Not Allowed")
            route = path.methods[call.method]
            if route is None:
                raise problems.not_played(f"{call.method} {call.path}")
            names = _PARAMETER.findall(route.template)
            values = map(unquote, found.groups())
            return route, dict(zip(names, values, strict=True))
        if call.path.startswith("/1.1/"):
            raise problems.no_v1_access()
        raise problems.blank(404, "Not Found")


def _path(paths: dict[str, _Path], template: str) -> _Path:
    shape = _PARAMETER.sub("{}", template)
    if shape not in paths:
        parts = (re.escape(part) for part in shape.split("{}"))
        paths[shape] = _Path(re.compile("([^/]+)".join(parts)))
    return paths[shape]


def _fixed_first(shape: str) -> tuple[bool, ...]:
    return tuple(segment == "{}" for segment in shape.split("/"))
