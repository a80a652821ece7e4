"""Subscriptions of the Activity API, and its stream. Source: X API docs, "X Activity API"."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, to_builtins

from botkit.model.tokens import CredentialKind
from botkit.sandbox.wire import problems
from botkit.sandbox.wire.exchange import Answer, Refused
from botkit.sandbox.wire.request_bodies import Id, body_of
from botkit.sandbox.x.context import ApiRoute, RequestContext
from botkit.sandbox.x.objects import timestamp
from botkit.sandbox.x.push.envelopes import EVENT_TYPES, PRIVATE_SCOPES
from botkit.sandbox.x.push.subscriptions import StoredSubscription
from botkit.sandbox.x.routes.users import listed

__all__ = ["ROUTES"]


class _Filter(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Hold the `filter` of a subscription. Source for all of its parts: X's OpenAPI document."""

    user_id: Id | UnsetType = UNSET
    keyword: Annotated[str, Meta(min_length=1, max_length=150)] | UnsetType = UNSET
    direction: Literal["inbound", "outbound"] | UnsetType = UNSET


class _NewSubscription(Struct, frozen=True, forbid_unknown_fields=True):
    event_type: str
    filter: _Filter = _Filter()
    tag: Annotated[str, Meta(max_length=200)] = ""
    webhook_id: Id | UnsetType = UNSET


class _Change(Struct, frozen=True, forbid_unknown_fields=True):
    tag: Annotated[str, Meta(max_length=200)] = ""
    webhook_id: Id | UnsetType = UNSET


_MOST = 1500
_MOST_LISTED = 1000


def _create(request: RequestContext) -> Answer:
    body = body_of(request.call, _NewSubscription)
    event_type = body.event_type
    if event_type not in EVENT_TYPES:
        raise problems.bad_parameter("event_type", event_type, "unknown event type")
    webhook_id = _webhook(request, body.webhook_id)
    wanted: dict[str, str] = to_builtins(body.filter)
    _check_right(request, event_type, wanted)
    activity, app = request.activity, request.caller.app
    mine = activity.of_app(app.id)
    if any(one.event_type == event_type and one.filter == wanted for one in mine):
        raise problems.blank(409, "Conflict", detail="This subscription exists already.")
    if len(mine) >= _MOST:
        raise problems.forbidden("The app has too many subscriptions.")
    subscription = StoredSubscription(
        id=request.world.next_id(),
        app_id=app.id,
        event_type=event_type,
        filter=wanted,
        tag=body.tag or None,
        created_at=timestamp(request.world.clock.now()),
        webhook_id=webhook_id,
    )
    activity.subscriptions[subscription.id] = subscription
    data = {"subscription": subscription.to_wire()}
    return Answer.json(200, {"data": data, "meta": {"total_subscriptions": len(mine) + 1}})


def _check_right(request: RequestContext, event_type: str, chosen: dict[str, str]) -> None:
    """Refuse a private event unless the token is the user's own and has the event's scope."""
    who = request.caller
    scope = PRIVATE_SCOPES.get(event_type)
    if event_type != "oauth.revoke" and chosen.get("user_id") not in request.world.users:
        raise problems.bad_parameter("filter", str(chosen), "no such user")
    if scope is None:
        return
    if who.kind is CredentialKind.APP_ONLY:
        supported = ["OAuth 1.0a User Context", "OAuth 2.0 User Context"]
        raise problems.wrong_kind("OAuth 2.0 Application-Only", supported)
    if who.user is None or who.user.id != chosen.get("user_id") or scope not in who.scopes:
        raise problems.forbidden()


def _webhook(request: RequestContext, webhook_id: str | UnsetType) -> str:
    """Return the id of the app's webhook, "" if none is wanted; refuse one that is not there."""
    if webhook_id is UNSET:
        return ""
    if request.world.webhooks.find(request.caller.app.id, webhook_id) is None:
        raise problems.bad_parameter("webhook_id", webhook_id, "no such webhook")
    return webhook_id


def _list(request: RequestContext) -> Answer:
    mine = request.activity.of_app(request.caller.app.id)
    size = int(request.call.param("max_results") or _MOST_LISTED)
    token = request.call.param("pagination_token")
    if token is not None and not (token.isascii() and token.isdigit()):
        message = f"The `pagination_token` query parameter value [{token}] is not valid"
        raise problems.bad_parameter("pagination_token", token, message)
    # A token is the id with which the page starts.
    later = [one for one in mine if token is None or int(one.id) >= int(token)]
    page = later[:size]
    meta: dict[str, Any] = {"result_count": len(page)}
    if len(later) > size:
        meta["next_token"] = later[size].id
    body: dict[str, Any] = {"meta": meta}
    if page:
        body["data"] = [one.to_wire() for one in page]
    return Answer.json(200, body)


def _update(request: RequestContext) -> Answer:
    subscription = _mine(request, request.path["subscription_id"])
    if subscription is None:
        raise _not_there(request.path["subscription_id"])
    body = body_of(request.call, _Change)
    subscription.webhook_id = _webhook(request, body.webhook_id) or subscription.webhook_id
    subscription.tag = body.tag or subscription.tag
    return Answer.json(200, {"data": {"subscription": subscription.to_wire()}})


def _delete(request: RequestContext) -> Answer:
    subscription_id = request.path["subscription_id"]
    if _mine(request, subscription_id) is None:
        raise _not_there(subscription_id)
    del request.activity.subscriptions[subscription_id]
    return Answer.json(200, {"data": {"deleted": True}, "meta": _total(request)})


def _delete_many(request: RequestContext) -> Answer:
    done: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for subscription_id in listed(request, "ids"):
        if _mine(request, subscription_id) is None:
            reason = {"message": "Subscription not found", "reason": "NotFound"}
            errors.append({"subscription_id": subscription_id, **reason})
        else:
            del request.activity.subscriptions[subscription_id]
            done.append({"subscription_id": subscription_id, "deleted": True})
    body: dict[str, Any] = {"data": done, "meta": _total(request)}
    return Answer.json(200, body | ({"errors": errors} if errors else {}))


def _stream(request: RequestContext) -> Answer:
    activity, app = request.activity, request.caller.app
    backfill = request.call.param("backfill_minutes") or "0"
    if int(backfill) and not app.enterprise:
        raise problems.bad_parameter("backfill_minutes", backfill, "backfill is for Enterprise")
    if activity.open_streams(app.id) >= request.world.rules.stream_connections:
        raise problems.too_many_connections()
    headers = {"content-type": "application/json; charset=utf-8"}
    return Answer(status=200, headers=headers, stream=activity.streams.connect(app))


def _mine(request: RequestContext, subscription_id: str) -> StoredSubscription | None:
    found = request.activity.subscriptions.get(subscription_id)
    return found if found is not None and found.app_id == request.caller.app.id else None


def _not_there(subscription_id: str) -> Refused:
    problem = problems.missing("subscription", subscription_id, parameter="subscription_id")
    return Refused(Answer.json(404, problem | {"status": 404}))


def _total(request: RequestContext) -> dict[str, int]:
    return {"total_subscriptions": len(request.activity.of_app(request.caller.app.id))}


_ONE = "/2/activity/subscriptions/{subscription_id}"
ROUTES = (
    ApiRoute("POST", "/2/activity/subscriptions", _create, "createActivitySubscription"),
    ApiRoute("GET", "/2/activity/subscriptions", _list, "getActivitySubscriptions"),
    ApiRoute(
        "DELETE", "/2/activity/subscriptions", _delete_many, "deleteActivitySubscriptionsByIds"
    ),
    ApiRoute("PUT", _ONE, _update, "updateActivitySubscription"),
    ApiRoute("DELETE", _ONE, _delete, "deleteActivitySubscription"),
    ApiRoute("GET", "/2/activity/stream", _stream, "activityStream"),
)
