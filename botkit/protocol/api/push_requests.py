"""The requests for what X delivers by itself: subscriptions, webhooks, rules, streams.

Source: X API docs, "X Activity API", "Webhooks" and "Filtered stream"; X's OpenAPI document.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

import msgspec

from botkit.protocol.api.requests import POST_QUERY, Request, given_only, joined_ids, segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from botkit.model.sources import Rule

__all__ = [
    "activity_stream",
    "add_rules",
    "close_connections",
    "create_subscription",
    "create_webhook",
    "delete_rules",
    "delete_subscriptions",
    "delete_webhook",
    "filtered_connections",
    "filtered_stream",
    "list_rules",
    "list_subscriptions",
    "list_webhooks",
    "move_subscription",
    "replay_webhook",
    "validate_webhook",
]

_MOST_SUBSCRIPTIONS = 1000
_MOST_RULES = 1000
_MOST_BACKFILL_MINUTES = 5
_WEBHOOKS_PATH = "/2/webhooks"
_CONNECTIONS_PATH = "/2/connections"
_RULES_PATH = "/2/tweets/search/stream/rules"


def create_subscription(
    event_type: str,
    *,
    user_id: str | None,
    tag: str,
    as_app: bool = False,
    webhook_id: str | None = None,
) -> Request:
    """Ask for one kind of activity event about a user; private kinds need the user's own token.

    `user_id` is None for a kind that is about the app, `oauth.revoke`, which takes no filter. With
    a webhook the events go there, and to an open stream too.

    Source: X API docs, "X Activity API": a tag has 1 to 200 characters.
    """
    wanted = {} if user_id is None else {"user_id": user_id}
    body: dict[str, Any] = {"event_type": event_type, "filter": wanted, "tag": tag}
    if webhook_id is not None:
        body["webhook_id"] = webhook_id
    return Request(
        operation="createActivitySubscription",
        method="POST",
        path="/2/activity/subscriptions",
        json=msgspec.json.encode(body),
        as_app=as_app,
    )


def move_subscription(subscription_id: str, *, webhook_id: str) -> Request:
    """Let a webhook have the events of a subscription that is there."""
    return Request(
        operation="updateActivitySubscription",
        method="PUT",
        path=f"/2/activity/subscriptions/{segment(subscription_id)}",
        json=msgspec.json.encode({"webhook_id": webhook_id}),
        as_app=True,
    )


def list_webhooks() -> Request:
    """Read the app's webhooks."""
    return Request(operation="getWebhooks", method="GET", path=_WEBHOOKS_PATH, as_app=True)


def create_webhook(url: str) -> Request:
    """Register an address; X sends it a challenge before it answers."""
    return Request(
        operation="createWebhooks",
        method="POST",
        path=_WEBHOOKS_PATH,
        json=msgspec.json.encode({"url": url}),
        as_app=True,
    )


def validate_webhook(webhook_id: str) -> Request:
    """Ask for a challenge: if it is answered right, the webhook is valid again."""
    return Request(
        operation="validateWebhooks",
        method="PUT",
        path=f"{_WEBHOOKS_PATH}/{segment(webhook_id)}",
        as_app=True,
    )


def delete_webhook(webhook_id: str) -> Request:
    """Remove a webhook of the app: X delivers nothing there any more."""
    return Request(
        operation="deleteWebhooks",
        method="DELETE",
        path=f"{_WEBHOOKS_PATH}/{segment(webhook_id)}",
        as_app=True,
    )


def replay_webhook(webhook_id: str, *, since: datetime, until: datetime) -> Request:
    """Let X deliver again what happened between two minutes, both included."""
    body = {"webhook_id": webhook_id, "from_date": _minute(since), "to_date": _minute(until)}
    return Request(
        operation="createWebhookReplayJob",
        method="POST",
        path=f"{_WEBHOOKS_PATH}/replay",
        json=msgspec.json.encode(body),
        as_app=True,
    )


def list_subscriptions(*, pagination_token: str | None = None) -> Request:
    """Read a page of the app's subscriptions, up to 1000."""
    return Request(
        operation="getActivitySubscriptions",
        method="GET",
        path="/2/activity/subscriptions",
        query=(
            ("max_results", str(_MOST_SUBSCRIPTIONS)),
            *given_only(pagination_token=pagination_token),
        ),
        as_app=True,
    )


def delete_subscriptions(subscription_ids: Sequence[str]) -> Request:
    """Delete up to 100 subscriptions of the app; the answer has a result for each."""
    return Request(
        operation="deleteActivitySubscriptionsByIds",
        method="DELETE",
        path="/2/activity/subscriptions",
        query=(("ids", joined_ids(subscription_ids)),),
        as_app=True,
    )


def activity_stream(*, backfill_minutes: int | None = None) -> Request:
    """Open the stream of the app's activity events; backfill (0 to 5 min) is for Enterprise."""
    return Request(
        operation="activityStream",
        method="GET",
        path="/2/activity/stream",
        query=given_only(backfill_minutes=_minutes(backfill_minutes)),
        resources=0,
        as_app=True,
    )


def list_rules(*, pagination_token: str | None = None) -> Request:
    """Read a page of the app's rules for the filtered stream, up to 1000."""
    return Request(
        operation="getRules",
        method="GET",
        path=_RULES_PATH,
        query=(
            ("max_results", str(_MOST_RULES)),
            *given_only(pagination_token=pagination_token),
        ),
        as_app=True,
    )


def add_rules(rules: Iterable[Rule], *, dry_run: bool = False) -> Request:
    """Add rules to the app's filtered stream; with `dry_run` X only checks them."""
    body = {"add": [{"value": rule.value, "tag": rule.tag} for rule in rules]}
    return _rules(body, dry_run=dry_run)


def delete_rules(rule_ids: Sequence[str]) -> Request:
    """Delete rules of the app's filtered stream."""
    return _rules({"delete": {"ids": list(rule_ids)}}, dry_run=False)


def filtered_stream(*, backfill_minutes: int | None = None) -> Request:
    """Open the stream of posts that match the app's rules; backfill is for Enterprise."""
    return Request(
        operation="streamPosts",
        method="GET",
        path="/2/tweets/search/stream",
        query=(*given_only(backfill_minutes=_minutes(backfill_minutes)), *POST_QUERY),
        resources=0,
        as_app=True,
    )


def filtered_connections() -> Request:
    """Read the open connections of the app's filtered stream; X lists no activity streams."""
    return Request(
        operation="getConnectionHistory",
        method="GET",
        path=_CONNECTIONS_PATH,
        query=(("status", "active"), ("endpoints", "filtered_stream")),
        as_app=True,
    )


def close_connections(connection_ids: Sequence[str]) -> Request:
    """Close connections of the app."""
    return Request(
        operation="deleteConnectionsByUuids",
        method="DELETE",
        path=_CONNECTIONS_PATH,
        json=msgspec.json.encode({"uuids": list(connection_ids)}),
        as_app=True,
    )


def _rules(body: Mapping[str, object], *, dry_run: bool) -> Request:
    return Request(
        operation="updateRules",
        method="POST",
        path=_RULES_PATH,
        query=given_only(dry_run="true" if dry_run else None),
        json=msgspec.json.encode(body),
        as_app=True,
    )


def _minute(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y%m%d%H%M")


def _minutes(backfill_minutes: int | None) -> str | None:
    if backfill_minutes is not None and not 0 <= backfill_minutes <= _MOST_BACKFILL_MINUTES:
        raise ValueError("X fills back 0 to 5 minutes")
    return None if backfill_minutes is None else str(backfill_minutes)
