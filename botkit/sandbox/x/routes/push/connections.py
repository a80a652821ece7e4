"""List and close an app's streams.

The activity stream is not among the endpoints that X lists here.
Source: X's OpenAPI document, `getConnectionHistory` and the calls that delete connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct

from botkit.sandbox.wire.exchange import Answer
from botkit.sandbox.wire.request_bodies import body_of
from botkit.sandbox.x.context import ApiRoute, RequestContext
from botkit.sandbox.x.objects import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable

    from botkit.sandbox.x.push.streams import Connection

__all__ = ["ROUTES"]


class _Chosen(Struct, frozen=True, forbid_unknown_fields=True):
    uuids: Annotated[tuple[str, ...], Meta(min_length=1, max_length=100)]


def _list(request: RequestContext) -> Answer:
    streams, app_id = request.filtered.streams, request.caller.app.id
    status = request.call.param("status") or "active"
    found = streams.past_of(app_id) if status != "active" else []
    found += streams.of_app(app_id) if status != "inactive" else []
    endpoints = request.call.param("endpoints")
    if endpoints is not None and streams.endpoint not in endpoints.split(","):
        found = []
    found = found[: int(request.call.param("max_results") or 100)]
    data = [_shown(connection, streams.endpoint) for connection in found]
    body: dict[str, Any] = {"data": data} if data else {}
    return Answer.json(200, body | {"meta": {"result_count": len(data)}})


def _shown(connection: Connection, endpoint: str) -> dict[str, str]:
    body = {
        "id": connection.id,
        "endpoint_name": endpoint,
        "connected_at": timestamp(connection.opened_at),
        "client_ip": "127.0.0.1",
    }
    if connection.closed_at is not None:
        body["disconnected_at"] = timestamp(connection.closed_at)
        body["disconnect_reason"] = connection.reason
    return body


def _close_all(request: RequestContext) -> Answer:
    return _closed(request, request.filtered.streams.of_app(request.caller.app.id))


def _close_endpoint(request: RequestContext) -> Answer:
    streams = request.filtered.streams
    mine = streams.of_app(request.caller.app.id)
    return _closed(request, mine if request.path["endpoint_id"] == streams.endpoint else [])


def _close_chosen(request: RequestContext) -> Answer:
    chosen = body_of(request.call, _Chosen).uuids
    mine = request.filtered.streams.of_app(request.caller.app.id)
    there = {connection.id for connection in mine}
    return _closed(
        request,
        [connection for connection in mine if connection.id in chosen],
        missing=[one for one in chosen if one not in there],
    )


def _closed(
    request: RequestContext, gone: Iterable[Connection], *, missing: Iterable[str] = ()
) -> Answer:
    results: list[dict[str, Any]] = []
    for connection in gone:
        request.filtered.streams.kill(connection)
        results.append({"uuid": connection.id, "success": True})
    closed = len(results)
    results += [
        {"uuid": one, "success": False, "error_message": "Connection not found"} for one in missing
    ]
    data = {
        "successful_kills": closed,
        "failed_kills": len(results) - closed,
        "results": results,
    }
    return Answer.json(200, {"data": data})


ROUTES = (
    ApiRoute("GET", "/2/connections", _list, "getConnectionHistory"),
    ApiRoute("DELETE", "/2/connections", _close_chosen, "deleteConnectionsByUuids"),
    ApiRoute("DELETE", "/2/connections/all", _close_all, "deleteAllConnections"),
    ApiRoute(
        "DELETE", "/2/connections/{endpoint_id}", _close_endpoint, "deleteConnectionsByEndpoint"
    ),
)
