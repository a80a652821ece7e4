"""Simulate X: turn a call into an answer, without a socket.

`transport` calls this in the same process, `listener` calls it for a socket. A call of the API
passes, in this order: planned faults, route, credential and its kind, enrolment, suspension, rate
window, credits, scopes, parameters, the route itself, charges.
"""

from __future__ import annotations

import inspect
import re
from email.utils import format_datetime
from typing import TYPE_CHECKING

from botkit.model.tokens import CredentialKind
from botkit.protocol.api.operations import all_operations
from botkit.sandbox.wire import problems
from botkit.sandbox.wire.exchange import Answer, Call, Refused
from botkit.sandbox.world.limits import ApiCaller, RateLimits
from botkit.sandbox.x.context import ApiRoute, RequestContext
from botkit.sandbox.x.faults import DELIVERIES, Faults
from botkit.sandbox.x.objects import post_spelling
from botkit.sandbox.x.parameters import check_parameters
from botkit.sandbox.x.pricing import charge
from botkit.sandbox.x.push.activity import Activity
from botkit.sandbox.x.push.deliveries import Deliveries
from botkit.sandbox.x.push.filtered import FilteredStream
from botkit.sandbox.x.push.outgoing import Outgoing
from botkit.sandbox.x.route_table import RouteTable
from botkit.sandbox.x.routes import (
    admin,
    engagement,
    lists,
    messages,
    posts,
    search,
    timelines,
    usage,
    users,
)
from botkit.sandbox.x.routes.push import activity, connections, filtered_stream, webhooks
from botkit.sandbox.x.routes.signin import oauth
from botkit.sandbox.x.routes.signin.oauth1 import signing_pair

if TYPE_CHECKING:
    from datetime import datetime

    from botkit.protocol.api.operations import Operation
    from botkit.sandbox.world.world import World

__all__ = ["XServer", "played_operations", "played_routes"]

_AREAS = (
    oauth,
    users,
    posts,
    timelines,
    engagement,
    lists,
    search,
    filtered_stream,
    connections,
    messages,
    activity,
    webhooks,
    usage,
    admin,
)
_LEVELS = ("read", "read-write", "read-write-directmessages")
_MESSAGES = re.compile(
    r"^/2/(dm_\w+|chat/conversations|account_activity)(/|$)|/(dm|public_keys)(/|$)"
)
"""The paths of direct messages, which need the third access level even for reads."""
_OF_THE_APP = re.compile(
    r"^/2/(activity|webhooks|connections|compliance)(/|$)|/search/(stream|webhooks)"
)
"""The paths of calls that change nothing in the user's account."""
_KIND_NAMES = {
    CredentialKind.OAUTH1: "OAuth 1.0a User Context",
    CredentialKind.OAUTH2: "OAuth 2.0 User Context",
    CredentialKind.APP_ONLY: "OAuth 2.0 Application-Only",
}


class XServer:
    """The simulated X over one world.

    Args:
        outgoing: Sends its requests to webhooks.
    """

    def __init__(self, world: World, outgoing: Outgoing | None = None) -> None:
        self.world = world
        self.faults: Faults = Faults(world)
        self.limits: RateLimits = RateLimits(world.clock)
        self.deliveries: Deliveries = Deliveries(world, outgoing or Outgoing())
        self.activity: Activity = Activity(world, self.faults, self.deliveries)
        self.filtered: FilteredStream = FilteredStream(world, self.faults)
        self.faults.cut_streams = self._cut_streams
        self.faults.fail_streams = self._fail_streams
        # Read now: no file is read while the event loop runs.
        self._operations = {operation.id: operation for operation in all_operations()}
        self._routes = RouteTable(played_routes())

    async def handle(self, call: Call) -> Answer:
        """Answer one call; the answer's `delivery` has a planned fault."""
        fault = None if call.path.startswith("/sandbox/") else self.faults.due(call)
        if fault is not None and fault.kind == "answer" and fault.answer is not None:
            return self._dressed(fault.answer())
        if fault is not None and fault.kind == "reset":
            return Answer(status=0, delivery=DELIVERIES["lose"])
        if fault is not None and fault.kind == "repeat":
            await self._answer(call)
        answer = self._dressed(await self._answer(call))
        if fault is not None and fault.kind in DELIVERIES:
            answer.delivery = DELIVERIES[fault.kind]
        return answer

    def _cut_streams(self) -> None:
        for api in (self.activity, self.filtered):
            api.streams.cut()

    def _fail_streams(self, content: bytes) -> None:
        for api in (self.activity, self.filtered):
            api.streams.fail(content)

    async def _answer(self, call: Call) -> Answer:
        try:
            route, path = self._routes.find(call)
            request = RequestContext(
                self.world,
                self.activity,
                self.filtered,
                self.deliveries,
                self.faults,
                call,
                path,
            )
            if not route.operation:
                return await _run(route, request)
            return await self._operate(route, request)
        except Refused as refused:
            return refused.answer

    async def _operate(self, route: ApiRoute, request: RequestContext) -> Answer:
        operation = self._operations[route.operation]
        request.who = who = self._caller(request)
        headers = {"x-access-level": who.level}
        try:
            self._admit(operation, who)
            headers |= self.limits.take(operation, who)
            _afford(who, self.world.time_on_x())
            _permit(operation, who)
            check_parameters(operation.id, request.call, request.path)
            answer = await _run(route, request)
        except Refused as refused:
            answer = refused.answer
        else:
            charge(self.world, operation, who, request.call, answer)
            if request.call.param("post.fields") is not None:
                answer.body = post_spelling(answer.body)
        answer.headers = headers | answer.headers
        return answer

    def _admit(self, operation: Operation, who: ApiCaller) -> None:
        if who.kind not in operation.kinds:
            supported = sorted(_KIND_NAMES[kind] for kind in operation.kinds)
            raise problems.wrong_kind(_KIND_NAMES[who.kind], supported)
        if not who.app.enrolled:
            raise problems.not_enrolled(who.app.client_id)
        if who.user is not None and who.user.suspended:
            raise problems.suspended()

    def _caller(self, request: RequestContext) -> ApiCaller:
        scheme, _, token = request.call.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "oauth":
            return self._signer(request)
        if scheme.lower() != "bearer" or not token.strip():
            raise problems.unauthorized()
        grant = self.world.grants.by_access(token.strip())
        if grant is not None:
            user = self.world.users[grant.user_id]
            return ApiCaller(grant.app, CredentialKind.OAUTH2, user, grant.scopes)
        app = self.world.grants.by_bearer(token.strip())
        if app is None:
            raise problems.unauthorized()
        return ApiCaller(app, CredentialKind.APP_ONLY)

    def _signer(self, request: RequestContext) -> ApiCaller:
        try:
            pair = signing_pair(request)
        except Refused:
            # The newer routes do not tell the reason. Source: docs/explanation/x-facts.md, 10.5.
            raise problems.unauthorized() from None
        if pair is None:
            raise problems.unauthorized()
        user = self.world.users[pair.user_id]
        return ApiCaller(pair.app, CredentialKind.OAUTH1, user, granted_level=pair.level)

    def _dressed(self, answer: Answer) -> Answer:
        answer.headers.setdefault("date", format_datetime(self.world.time_on_x(), usegmt=True))
        answer.headers.setdefault("api-version", "2.167")
        return answer


def played_routes() -> list[ApiRoute]:
    """Return every route of the sandbox."""
    return [route for area in _AREAS for route in area.ROUTES]


def played_operations() -> list[Operation]:
    """Return the operations of X that the sandbox simulates."""
    played = {route.operation for route in played_routes()}
    return [operation for operation in all_operations() if operation.id in played]


async def _run(route: ApiRoute, request: RequestContext) -> Answer:
    answer = route.run(request)
    return await answer if inspect.isawaitable(answer) else answer


def _afford(who: ApiCaller, now: datetime) -> None:
    """Raise `Refused` unless the app can pay, and may spend and read that much."""
    if who.app.credits_usd is not None and who.app.credits_usd <= 0:
        raise problems.credits_depleted(int(who.app.id))
    if who.app.spend_capped:
        raise problems.spend_cap_reached(now.date())
    if who.app.usage_capped:
        raise problems.usage_capped(int(who.app.id))


def _permit(operation: Operation, who: ApiCaller) -> None:
    """Raise `Refused` unless the scopes (OAuth 2.0) or the level (1.0a) allow the call."""
    if who.kind is CredentialKind.OAUTH1:
        if _LEVELS.index(who.level) < _level_needed(operation):
            raise problems.level_too_low()
    elif who.user is not None and not set(operation.scopes) <= set(who.scopes):
        raise problems.forbidden()


def _level_needed(operation: Operation) -> int:
    """Return the least OAuth 1.0a level for a call, as an index into `_LEVELS`.

    It is derived from the path, not from the product's rules.
    Source: X API docs, "App permissions".
    """
    if _MESSAGES.search(operation.path):
        return 2
    return 0 if operation.method == "GET" or _OF_THE_APP.search(operation.path) else 1
