"""X's routes to look up users. Source: X API docs, "Users lookup"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botkit.sandbox.wire import problems
from botkit.sandbox.wire.exchange import Answer
from botkit.sandbox.x.context import ApiRoute, RequestContext
from botkit.sandbox.x.objects import Wanted, user_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from botkit.sandbox.world.world import UserRecord

__all__ = ["ROUTES", "listed"]


def listed(request: RequestContext, name: str) -> list[str]:
    """Return the values of a comma-separated parameter, which X requires."""
    raw = request.call.param(name)
    if raw is None:
        raise problems.bad_request(f"The `{name}` query parameter can not be empty", {name: []})
    return raw.split(",")


def _me(request: RequestContext) -> Answer:
    user = request.caller.user
    if user is None:
        raise problems.unauthorized()
    return Answer.json(200, {"data": user_json(request.world, user, _fields(request))})


def _by_ids(request: RequestContext) -> Answer:
    return _many(request, "ids", request.world.users.get)


def _by_usernames(request: RequestContext) -> Answer:
    return _many(request, "usernames", request.world.find_user)


def _by_id(request: RequestContext) -> Answer:
    return _one(request, request.world.users.get(request.path["id"]), request.path["id"], "id")


def _by_username(request: RequestContext) -> Answer:
    username = request.path["username"]
    return _one(request, request.world.find_user(username), username, "username")


def _many(request: RequestContext, name: str, find: Callable[[str], UserRecord | None]) -> Answer:
    found: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for value in listed(request, name):
        user = find(value)
        if user is None:
            errors.append(problems.missing("user", value, parameter=name))
        else:
            found.append(user_json(request.world, user, _fields(request)))
    body: dict[str, Any] = {"data": found} if found else {}
    return Answer.json(200, body | ({"errors": errors} if errors else {}))


def _one(request: RequestContext, user: UserRecord | None, value: str, parameter: str) -> Answer:
    if user is None:
        return Answer.json(200, {"errors": [problems.missing("user", value, parameter=parameter)]})
    return Answer.json(200, {"data": user_json(request.world, user, _fields(request))})


def _fields(request: RequestContext) -> frozenset[str]:
    wanted = Wanted(request.call)
    # X's newest OpenAPI document has `affiliation` as an expansion.
    return wanted.user_fields | (wanted.expansions & {"affiliation"})


ROUTES = (
    ApiRoute("GET", "/2/users/me", _me, "getUsersMe"),
    ApiRoute("GET", "/2/users", _by_ids, "getUsersByIds"),
    ApiRoute("GET", "/2/users/by", _by_usernames, "getUsersByUsernames"),
    ApiRoute("GET", "/2/users/by/username/{username}", _by_username, "getUsersByUsername"),
    ApiRoute("GET", "/2/users/{id}", _by_id, "getUsersById"),
)
