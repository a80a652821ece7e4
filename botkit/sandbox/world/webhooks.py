"""The webhooks of all apps, and whether X takes them for valid.

Source: X API docs, "Webhooks": a wrong answer to a challenge, a redirect and broken TLS make a
webhook invalid at once; errors and silence do so when nothing was right for 28 hours.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botkit.sandbox.world.grants import App

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Challenge", "WebhookRecord", "Webhooks"]

_BORNE = timedelta(hours=28)


class Challenge(enum.Enum):
    """How a challenge ended; the value says it in words like X's."""

    PASSED = ""
    WRONG = "Invalid `response_token`"
    REDIRECTED = "Redirects are not followed"
    NO_TLS = "TLS error"
    FAILED = "Non-200 response code"
    SILENT = "No answer in time"


_BORNE_FOR_A_WHILE = frozenset({Challenge.FAILED, Challenge.SILENT})


@dataclass(slots=True, eq=False)
class WebhookRecord:
    """An address of an app. `passed_at` is the time of the last right answer to a challenge."""

    id: str
    app: App
    url: str
    created_at: datetime
    passed_at: datetime
    valid: bool = True
    replays: str = ""
    """The id of the replay job that runs now."""


class Webhooks:
    """The webhooks of all apps."""

    def __init__(self, now: Callable[[], datetime], next_id: Callable[[], str]) -> None:
        self._now = now
        self._next_id = next_id
        self._records: dict[str, WebhookRecord] = {}

    def add(self, app: App, url: str) -> WebhookRecord:
        """Add and return a webhook whose challenge was answered right."""
        now = self._now()
        record = WebhookRecord(id=self._next_id(), app=app, url=url, created_at=now, passed_at=now)
        self._records[record.id] = record
        return record

    def of_app(self, app_id: str) -> list[WebhookRecord]:
        """Return the app's webhooks, oldest first."""
        return [record for record in self._records.values() if record.app.id == app_id]

    def find(self, app_id: str, webhook_id: str) -> WebhookRecord | None:
        """Return the app's webhook of this id, None if it has none."""
        found = self._records.get(webhook_id)
        return found if found is not None and found.app.id == app_id else None

    def has(self, record: WebhookRecord) -> bool:
        """Return True unless the webhook was removed."""
        return record.id in self._records

    def remove(self, record: WebhookRecord) -> None:
        """Remove a webhook."""
        self._records.pop(record.id, None)

    def judge(self, record: WebhookRecord, challenge: Challenge) -> None:
        """Note how a challenge ended."""
        now = self._now()
        if challenge is Challenge.PASSED:
            record.valid, record.passed_at = True, now
        elif challenge not in _BORNE_FOR_A_WHILE or now - record.passed_at >= _BORNE:
            record.valid = False
