"""Take deliveries of other software: check, commit, then answer 202.

A delivery has a key: the signed `webhook-id` of Standard Webhooks, else the `Idempotency-Key` or
`webhook-id` that the sender gave, else a hash of its body. A key that is on record makes no second
event.
Source: docs/explanation/requirements.md, H1 to H7; IETF draft "The Idempotency-Key HTTP Header
Field", section 2.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct

from botkit.config import HookSettings
from botkit.errors import StateError
from botkit.model.triggers import Trigger
from botkit.protocol.events.codec import decode_event
from botkit.web.abuse_log import AbuseLog
from botkit.web.hooks.bodies import BodyFault, decode_body
from botkit.web.hooks.proofs import ID_HEADER, NOBODY, Proofs, proofs_of
from botkit.web.requests import BodyLimit
from botkit.web.responses import WebResponse, json_response, later, refusal, with_header
from botkit.web.server import WebRoute

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from botkit.ports import Clock, Intake, Store
    from botkit.web.requests import WebRequest

__all__ = ["HOOKS_PATH", "Hooks"]

_log = structlog.get_logger(__name__)

HOOKS_PATH = "/hooks/*"
_SOURCE = "hook"
_KIB = 1024
_BODY_TIMEOUT_S = 10.0
_RETRY_S = 5
_MINUTE_S = 60.0
_LONGEST_KEY = 200
_RECORDED = 202
_KNOWN = 200


class _Hook(Struct, kw_only=True):
    """Hold a hook with its proofs, and how many deliveries it may take now."""

    name: str
    settings: HookSettings
    proofs: Proofs
    left: float
    at_s: float

    def takes_one(self, now_s: float) -> bool:
        """Count a delivery; return False if the minute has had enough."""
        most = float(self.settings.per_minute)
        self.left = min(most, self.left + (now_s - self.at_s) * most / _MINUTE_S)
        self.at_s = now_s
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Hooks:
    """The receiver of one running bot.

    Args:
        hooks: The settings of each hook, by its name.
        intake: Takes the events.
        account_of: Returns the id of the account that a hook is for, "" if there is none now.
    """

    def __init__(
        self,
        hooks: Mapping[str, HookSettings],
        *,
        intake: Intake,
        store: Store,
        clock: Clock,
        account_of: Callable[[HookSettings], Awaitable[str]],
    ) -> None:
        now_s = clock.monotonic()
        self._hooks = {
            name: _Hook(
                name=name,
                settings=hook,
                proofs=proofs_of(hook),
                left=float(hook.per_minute),
                at_s=now_s,
            )
            for name, hook in hooks.items()
        }
        self._intake = intake
        self._events = store.events
        self._clock = clock
        self._account_of = account_of
        self._log = AbuseLog(clock)

    @property
    def routes(self) -> dict[str, WebRoute]:
        """The route `/hooks/NAME`, for any name: a wrong one is refused like a wrong token."""
        largest = max(hook.settings.max_kib for hook in self._hooks.values()) * _KIB
        return {
            HOOKS_PATH: WebRoute(
                methods=("POST",),
                answer=self._answer,
                body=BodyLimit(size_bytes=largest, timeout_s=_BODY_TIMEOUT_S),
            )
        }

    async def _answer(self, request: WebRequest) -> WebResponse:
        hook = self._hooks.get(request.path.rpartition("/")[2])
        name = "" if hook is None else hook.name
        body = await request.body()
        if body is None:
            self._log.warning("hook.refused", hook=name, reason="body too large or too slow")
            return refusal(413, "the body is too large, too slow, or compressed")
        now = self._clock.now()
        accepted = (NOBODY if hook is None else hook.proofs).accept(request, body, now=now)
        if hook is None or not accepted:
            self._log.warning("hook.refused", hook=name, reason="not authorized")
            answer = refusal(401, "not authorized for this hook")
            return with_header(answer, "WWW-Authenticate", "Bearer")
        return await self._take(hook, request, body, now)

    async def _take(
        self, hook: _Hook, request: WebRequest, body: bytes, now: datetime
    ) -> WebResponse:
        """Answer a delivery whose sender is known."""
        if not hook.takes_one(self._clock.monotonic()):
            self._log.warning("hook.refused", hook=hook.name, reason="too many a minute")
            return later(429, "too many deliveries", _MINUTE_S / hook.settings.per_minute)
        try:
            key, before = _keys(hook, request, body, now)
            trigger = Trigger(
                account_id=await self._account_of(hook.settings),
                at=now,
                source=_SOURCE,
                name=hook.name,
                data=decode_body(
                    request.header("Content-Type"), body, most_kib=hook.settings.max_kib
                ),
                delivery=key,
            )
            if not trigger.account_id:
                return self._not_now(hook, "its account is not here")
            return await self._record(hook, trigger, before)
        except BodyFault as fault:
            self._log.warning("hook.refused", hook=hook.name, reason=str(fault))
            return refusal(fault.status, str(fault))
        except StateError as error:
            return self._not_now(hook, str(error))

    async def _record(self, hook: _Hook, trigger: Trigger, before: str) -> WebResponse:
        """Commit the event, unless it is on record already; return the answer.

        Raises:
            StateError: It cannot be recorded now.
        """
        account_id = trigger.account_id
        if before:
            since = trigger.at - timedelta(seconds=hook.settings.same_body_s)
            same = await self._events.get(before, account_id=account_id)
            if same and same[0].at > since:
                return _taken(_KNOWN, before)
        if await self._intake.record([trigger], account_id=account_id, source=_SOURCE):
            _log.info("hook.taken", hook=hook.name, key=trigger.key)
            return _taken(_RECORDED, trigger.key)
        for known in await self._events.get(trigger.key, account_id=account_id):
            event = decode_event(known.kind, known.body, {})
            if isinstance(event, Trigger) and event.data == trigger.data:
                return _taken(_KNOWN, trigger.key)
        self._log.warning("hook.refused", hook=hook.name, reason="key of another body")
        return refusal(422, "another body had this key before")

    def _not_now(self, hook: _Hook, why: str) -> WebResponse:
        self._log.warning("hook.not_taken", hook=hook.name, why=why)
        return later(503, "cannot take it now", _RETRY_S)


def _keys(hook: _Hook, request: WebRequest, body: bytes, now: datetime) -> tuple[str, str]:
    """Return a delivery's key, and the event's key that the same body had in the span before.

    Raises:
        BodyFault: The sender's key cannot be used.
    """
    names = (ID_HEADER,) if hook.proofs.signs_ids else ("Idempotency-Key", ID_HEADER)
    given = [value.strip().strip('"') for name in names for value in request.headers(name)[:1]]
    if given and given[0]:
        if len(given[0]) > _LONGEST_KEY or not (given[0].isascii() and given[0].isprintable()):
            raise BodyFault(400, f"the key has more than {_LONGEST_KEY} characters, or odd ones")
        return given[0], ""
    digest, span_s = hashlib.sha256(body).hexdigest()[:32], hook.settings.same_body_s
    if not span_s:
        return f"body/{digest}/at {now.timestamp():.6f}", ""
    number = int(now.timestamp() // span_s)
    return f"body/{digest}/{number}", f"trigger/{hook.name}/body/{digest}/{number - 1}"


def _taken(status: int, key: str) -> WebResponse:
    return json_response(status, {"event": key, "is_new": status == _RECORDED})
