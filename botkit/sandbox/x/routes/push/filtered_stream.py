"""The filtered stream, and its rules.

Source: X API docs, "Filtered Stream", "Build a rule" and "Recovery and redundancy"; X's OpenAPI
document; bodies of refusals: docs/explanation/x-facts.md, 18.7 and 18.8.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from botkit.sandbox.wire import problems
from botkit.sandbox.wire.exchange import Answer
from botkit.sandbox.wire.request_bodies import Id, body_of
from botkit.sandbox.world.queries import NotPlayedError, Query, parse_query
from botkit.sandbox.world.query_syntax import QueryFault
from botkit.sandbox.x.context import ApiRoute, RequestContext
from botkit.sandbox.x.objects import Wanted, timestamp
from botkit.sandbox.x.push.filtered import StoredRule

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ROUTES"]

_MOST_RULES = 1000
_MOST_RULES_ENTERPRISE = 25_000
_CONNECTIONS_ENTERPRISE = 2  # X says "multiple"
_MOST_LISTED = 1000


class _NewRule(Struct, frozen=True, forbid_unknown_fields=True):
    value: str
    tag: str = ""


class _Deletion(Struct, frozen=True, forbid_unknown_fields=True):
    ids: tuple[Id, ...] = ()
    values: tuple[str, ...] = ()


class _Change(Struct, frozen=True, forbid_unknown_fields=True):
    """Hold the body of a change: `add` or `delete`."""

    add: tuple[_NewRule, ...] | None = None
    delete: _Deletion | None = None


def _list(request: RequestContext) -> Answer:
    rules = request.filtered.of_app(request.caller.app.id)
    ids = request.call.param("ids")
    if ids is not None:
        rules = [rule for rule in rules if rule.id in ids.split(",")]
    token = request.call.param("pagination_token")
    if token is not None:
        rules = [rule for rule in rules if int(rule.id) >= _first_of(token)]
    size = int(request.call.param("max_results") or _MOST_LISTED)
    page = rules[:size]
    meta: dict[str, Any] = {"sent": _now(request), "result_count": len(page)}
    if len(rules) > size:
        meta["next_token"] = f"{int(rules[size].id):016x}"
    body: dict[str, Any] = {"data": [rule.to_wire() for rule in page]} if page else {}
    return Answer.json(200, body | {"meta": meta})


def _first_of(token: str) -> int:
    """Return the id with which the page of a token starts."""
    try:
        if len(token) == 16:  # noqa: PLR2004 - X's tokens have 16 characters
            return int(token, 16)
    except ValueError:
        pass
    message = f"The `pagination_token` query parameter value [{token}] is not valid"
    raise problems.bad_parameter("pagination_token", token, message)


def _change(request: RequestContext) -> Answer:
    dry_run, delete_all = (_flag(request, name) for name in ("dry_run", "delete_all"))
    if delete_all:
        mine = request.filtered.of_app(request.caller.app.id)
        return _deleted(request, mine, [], dry_run=dry_run)
    body = body_of(request.call, _Change)
    if body.add is not None and body.delete is None:
        return _add(request, body.add, dry_run=dry_run)
    if body.delete is not None and body.add is None:
        return _delete(request, body.delete, dry_run=dry_run)
    raise problems.invalid_request("Exactly one of `add` and `delete` is needed")  # assumed


def _flag(request: RequestContext, name: str) -> bool:
    # Clients in the wild (tweepy) send `True`.
    value = request.call.param(name) or "false"
    if value.lower() not in {"true", "false"}:
        message = f"The `{name}` query parameter value [{value}] is not one of [true,false]"
        raise problems.bad_parameter(name, value, message)
    return value.lower() == "true"


def _add(request: RequestContext, new: Sequence[_NewRule], *, dry_run: bool) -> Answer:
    app, filtered = request.caller.app, request.filtered
    parsed = [_parsed(request, rule.value) for rule in new]
    values = {rule.value: rule.id for rule in filtered.of_app(app.id)}
    most = _MOST_RULES_ENTERPRISE if app.enterprise else _MOST_RULES
    made: list[StoredRule] = []
    errors: list[dict[str, Any]] = []
    starts = request.world.clock.now() + timedelta(seconds=request.world.rules.rules_after_s)
    for rule, query in zip(new, parsed, strict=True):
        if isinstance(query, QueryFault):
            errors.append(problems.invalid_rule(rule.value, query.details))
        elif rule.value in values:
            errors.append(problems.duplicate_rule(rule.value, values[rule.value]))
        elif len(values) >= most:
            errors.append(problems.too_many_rules())
        else:
            rule_id = request.world.next_id()
            made.append(StoredRule(rule_id, app.id, rule.value, rule.tag, query, starts))
            values[rule.value] = rule_id
    if not dry_run:
        filtered.rules |= {rule.id: rule for rule in made}
    refused = len(errors)
    summary = {"created": len(made), "not_created": refused, "valid": len(made)}
    body: dict[str, Any] = {"data": [rule.to_wire() for rule in made]} if made else {}
    body |= {"errors": errors} if errors else {}
    body["meta"] = {"sent": _now(request), "summary": summary | {"invalid": refused}}
    return Answer.json(201 if made else 200, body)


def _parsed(request: RequestContext, value: str) -> Query | QueryFault:
    try:
        return parse_query(value, "stream", enterprise=request.caller.app.enterprise)
    except NotPlayedError as missing:
        raise problems.not_played(f"{missing} of a rule") from missing
    except QueryFault as fault:
        return fault


def _delete(request: RequestContext, chosen: _Deletion, *, dry_run: bool) -> Answer:
    mine = request.filtered.of_app(request.caller.app.id)
    gone = [rule for rule in mine if rule.id in chosen.ids or rule.value in chosen.values]
    there = {rule.id for rule in gone} | {rule.value for rule in gone}
    missing = [one for one in (*chosen.ids, *chosen.values) if one not in there]
    return _deleted(request, gone, missing, dry_run=dry_run)


def _deleted(
    request: RequestContext, gone: Sequence[StoredRule], missing: Sequence[str], *, dry_run: bool
) -> Answer:
    if not dry_run:
        for rule in gone:
            del request.filtered.rules[rule.id]
    summary = {"deleted": len(gone), "not_deleted": len(missing)}
    body: dict[str, Any] = {"meta": {"sent": _now(request), "summary": summary}}
    errors = [problems.missing_rule() for _ in missing]
    return Answer.json(200, body | ({"errors": errors} if errors else {}))


def _counts(request: RequestContext) -> Answer:
    app = request.caller.app
    count = {"client_app_id": app.id, "rule_count": len(request.filtered.of_app(app.id))}
    most = _MOST_RULES_ENTERPRISE if app.enterprise else _MOST_RULES
    # The newer document has these figures as text, and X's own client requires it.
    data = {
        "all_project_client_apps": [count],
        "cap_per_client_app": str(most),
        "cap_per_project": str(most),
        "client_app_rules_count": count,
        "project_rules_count": str(count["rule_count"]),
    }
    return Answer.json(200, {"data": data})


def _stream(request: RequestContext) -> Answer:
    app, filtered = request.caller.app, request.filtered
    backfill = _backfill(request)
    if not filtered.of_app(app.id):
        raise problems.no_rules()
    open_now = filtered.streams.of_app(app.id)
    rules = request.world.rules
    most = _CONNECTIONS_ENTERPRISE if app.enterprise else rules.filtered_connections
    if len(open_now) >= most:
        if not rules.newer_stream_wins:
            raise problems.too_many_connections()
        filtered.streams.kill(open_now[0])
    connection = filtered.streams.connect(app, Wanted(request.call))
    filtered.backfill(connection, backfill)
    headers = {"content-type": "application/json; charset=utf-8"}
    return Answer(status=200, headers=headers, stream=connection)


def _backfill(request: RequestContext) -> int:
    """Return the minutes of backfill; refuse what is for Enterprise apps (wording assumed)."""
    for name in ("backfill_minutes", "start_time", "end_time"):
        value = request.call.param(name)
        if value in {None, "0"}:
            continue
        if not request.caller.app.enterprise:
            raise problems.bad_parameter(name, value or "", f"`{name}` is for Enterprise")
        if name != "backfill_minutes":
            raise problems.not_played(f"`{name}` of the filtered stream")
    return int(request.call.param("backfill_minutes") or 0)


def _now(request: RequestContext) -> str:
    return timestamp(request.world.time_on_x())


_RULES = "/2/tweets/search/stream/rules"
ROUTES = (
    ApiRoute("GET", _RULES, _list, "getRules"),
    ApiRoute("POST", _RULES, _change, "updateRules"),
    ApiRoute("GET", f"{_RULES}/counts", _counts, "getRuleCounts"),
    ApiRoute("GET", "/2/tweets/search/stream", _stream, "streamPosts"),
)
