"""Webhooks: register, list, validate, remove, replay.

Source: X API docs, "Webhooks", quickstart (calls, reasons, the body of a failure); X's OpenAPI
document. X takes https without a port alone; the sandbox takes plain http on this machine, too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from botkit.sandbox.wire import problems
from botkit.sandbox.wire.exchange import Answer, Refused
from botkit.sandbox.wire.request_bodies import Id, body_of
from botkit.sandbox.world.webhooks import Challenge
from botkit.sandbox.x.context import ApiRoute, RequestContext
from botkit.sandbox.x.objects import timestamp

if TYPE_CHECKING:
    from botkit.sandbox.world.webhooks import WebhookRecord

__all__ = ["ROUTES"]

_MOST = 1
_MOST_ENTERPRISE = 5
"""Source: X API docs, "Webhooks": five and more."""
_OLDEST = timedelta(hours=24)
_NEWEST_START = timedelta(minutes=31)
_NEWEST_END = timedelta(minutes=10)
_MINUTE = "%Y%m%d%H%M"


class _NewWebhook(Struct, frozen=True, forbid_unknown_fields=True):
    url: Annotated[str, Meta(min_length=1, max_length=200)]


_Minute = Annotated[str, Meta(pattern="^[0-9]{12}$")]


class _NewReplay(Struct, frozen=True, forbid_unknown_fields=True):
    webhook_id: Id
    from_date: _Minute
    to_date: _Minute


async def _create(request: RequestContext) -> Answer:
    url = body_of(request.call, _NewWebhook).url
    app, webhooks = request.caller.app, request.world.webhooks
    fault = _url_fault(url)
    if fault:
        raise _failed("UrlValidationFailed", fault)
    _check_places(request, url)
    await _challenge(request, url)
    _check_places(request, url)  # another may have been registered meanwhile
    webhook = webhooks.add(app, url)
    request.deliveries.watch(webhook)
    return Answer.json(200, {"data": _to_wire(webhook)})


def _check_places(request: RequestContext, url: str) -> None:
    app = request.caller.app
    mine = request.world.webhooks.of_app(app.id)
    if any(one.url == url for one in mine):
        raise _failed("DuplicateUrlFailed", "A webhook with this URL exists already.")
    if len(mine) >= (_MOST_ENTERPRISE if app.enterprise else _MOST):
        raise _failed("WebhookLimitExceeded", "The app has as many webhooks as it may have.")


async def _challenge(request: RequestContext, url: str) -> None:
    ended = await request.deliveries.challenge(request.caller.app, url)
    if ended is not Challenge.PASSED:
        raise _challenge_failed(ended)


def _list(request: RequestContext) -> Answer:
    mine = [_to_wire(one) for one in request.world.webhooks.of_app(request.caller.app.id)]
    return Answer.json(200, {"data": mine, "meta": {"result_count": len(mine)}})


async def _validate(request: RequestContext) -> Answer:
    ended = await request.deliveries.check(_mine(request, request.path["webhook_id"]))
    if ended is not Challenge.PASSED:
        raise _challenge_failed(ended)
    return Answer.json(200, {"data": {"valid": True}})


def _delete(request: RequestContext) -> Answer:
    webhook = _mine(request, request.path["webhook_id"])
    request.world.webhooks.remove(webhook)
    return Answer.json(200, {"data": {"deleted": True}})


async def _replay(request: RequestContext) -> Answer:
    body = body_of(request.call, _NewReplay)
    webhook = _mine(request, body.webhook_id)
    now = request.world.time_on_x()
    since, until = _minute("from_date", body.from_date), _minute("to_date", body.to_date)
    if not now - _OLDEST <= since <= now - _NEWEST_START:
        raise _bad_date("from_date", body.from_date, "24 hours to 31 minutes ago")
    if not since <= until <= now - _NEWEST_END:
        raise _bad_date("to_date", body.to_date, "from_date to 10 minutes ago")
    if webhook.replays:
        detail = "ReplayConflictError: A replay job is running for this webhook."
        raise problems.blank(409, "Conflict", detail=detail)
    if not webhook.valid:
        raise _failed("CrcValidationFailed", "Webhook has been marked as invalid.")
    ended = await request.deliveries.check(webhook)
    if ended is not Challenge.PASSED:
        raise _challenge_failed(ended)
    last = until + timedelta(minutes=1, microseconds=-1)
    job = request.deliveries.start_replay(webhook, since, last)
    return Answer.json(200, {"data": {"job_id": job, "created_at": timestamp(now)}})


def _url_fault(url: str) -> str:
    """Return what is wrong with an address, "" if nothing is."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "The URL is malformed."
    if parts.scheme == "http" and _is_this_machine(parts.hostname or ""):
        return ""
    if parts.scheme != "https" or not parts.hostname:
        return "The URL must begin with https://."
    return "" if port is None else "The URL must not have a port."


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _minute(name: str, text: str) -> datetime:
    try:
        return datetime.strptime(text, _MINUTE).replace(tzinfo=UTC)
    except ValueError:
        raise _bad_date(name, text, "a time in UTC as yyyymmddhhmm") from None


def _bad_date(name: str, value: str, wanted: str) -> Refused:
    return problems.bad_parameter(name, value, f"`{name}` must be {wanted}")


def _mine(request: RequestContext, webhook_id: str) -> WebhookRecord:
    found = request.world.webhooks.find(request.caller.app.id, webhook_id)
    if found is None:
        raise _failed("WebhookIdInvalid", f"There is no webhook {webhook_id} of this app.")
    return found


def _challenge_failed(ended: Challenge) -> Refused:
    said = f"URL returned bad response during CRC with error: {ended.value}"
    return _failed("CrcValidationFailed", said)


def _failed(reason: str, details: str) -> Refused:
    return problems.webhook_failed(f"{reason}: {details}")


def _to_wire(webhook: WebhookRecord) -> dict[str, Any]:
    return {
        "created_at": timestamp(webhook.created_at),
        "id": webhook.id,
        "url": webhook.url,
        "valid": webhook.valid,
    }


_ONE = "/2/webhooks/{webhook_id}"
ROUTES = (
    ApiRoute("POST", "/2/webhooks", _create, "createWebhooks"),
    ApiRoute("GET", "/2/webhooks", _list, "getWebhooks"),
    ApiRoute("PUT", _ONE, _validate, "validateWebhooks"),
    ApiRoute("DELETE", _ONE, _delete, "deleteWebhooks"),
    ApiRoute("POST", "/2/webhooks/replay", _replay, "createWebhookReplayJob"),
)
