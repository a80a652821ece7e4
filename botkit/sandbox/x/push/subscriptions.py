"""Subscriptions of the Activity API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["StoredSubscription"]


@dataclass(slots=True, eq=False)
class StoredSubscription:
    """An app's subscription to one kind of event of one user."""

    id: str
    app_id: str
    event_type: str
    filter: dict[str, str]
    tag: str | None
    created_at: str
    webhook_id: str = ""

    def to_wire(self) -> dict[str, Any]:
        """Return the subscription as the API shows it."""
        body: dict[str, Any] = {
            "subscription_id": self.id,
            "event_type": self.event_type,
            "filter": self.filter,
            "created_at": self.created_at,
            "updated_at": self.created_at,
        }
        optional = {"tag": self.tag, "webhook_id": self.webhook_id}
        return body | {name: value for name, value in optional.items() if value}
