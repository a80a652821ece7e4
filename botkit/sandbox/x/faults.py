"""Planned faults: which calls go wrong, how, and how often.

A call is named by method and path, `POST /2/tweets` or `GET /2/users/*/mentions`. A `*` or
`{name}` stands for one segment, a last segment `**` for the rest of the path.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from botkit.sandbox.wire.exchange import Answer, Call, Delivery, encode
from botkit.sandbox.x.push.streams import LineMaker

if TYPE_CHECKING:
    from botkit.sandbox.world.world import World

__all__ = ["Fault", "Faults", "Kind"]

Kind = Literal["lose", "cut", "stall", "reset", "repeat", "answer"]


@dataclass(slots=True, eq=False)
class Fault:
    """One planned fault. `times` counts down; None means for ever."""

    kind: Kind
    method: str
    path: re.Pattern[str]
    times: int | None
    answer: Callable[[], Answer] | None = None
    hits: int = 0

    def matches(self, call: Call) -> bool:
        """Return True if the fault applies to this call."""
        return (
            self.times != 0
            and self.method in {"*", call.method}
            and self.path.fullmatch(call.path) is not None
        )

    def strike(self) -> None:
        """Count one use of the fault."""
        self.hits += 1
        if self.times is not None:
            self.times -= 1


@dataclass(slots=True, eq=False)
class _StreamPlan:
    """The faults of all streams for the next events. `held` has lines by endpoint."""

    duplicate: int = 0
    drop: int = 0
    reorder: int = 0
    held: dict[str, list[LineMaker]] = field(default_factory=dict[str, list[LineMaker]])
    silent: bool = False
    keeps_places: bool = False


class Faults:
    """The faults that a test has planned. Each method plans one; `clear` removes them all."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._planned: list[Fault] = []
        self.stream: _StreamPlan = _StreamPlan()
        self.cut_streams: Callable[[], None] = lambda: None
        self.fail_streams: Callable[[bytes], None] = lambda _: None

    def lose_answer(self, call: str, *, times: int | None = 1) -> Fault:
        """Let X carry out the call, and break the connection before the answer."""
        return self._plan("lose", call, times)

    def cut_answer(self, call: str, *, times: int | None = 1) -> Fault:
        """Let X carry out the call, and break the connection in the middle of the answer."""
        return self._plan("cut", call, times)

    def stall(self, call: str, *, times: int | None = 1) -> Fault:
        """Let X carry out the call, and never send the answer."""
        return self._plan("stall", call, times)

    def reset(self, call: str, *, times: int | None = 1) -> Fault:
        """Break the connection before X does anything; the client sees a lost answer."""
        return self._plan("reset", call, times)

    def repeat(self, call: str, *, times: int | None = 1) -> Fault:
        """Send the call to X twice, as a proxy might; the second answer comes back."""
        return self._plan("repeat", call, times)

    def rate_limit(
        self, call: str, *, times: int | None = 1, reset_in_s: float | None = 30
    ) -> Fault:
        """Answer with 429; a `reset_in_s` of None sends no rate header."""

        def limited() -> Answer:
            body = {
                "title": "Too Many Requests",
                "detail": "Too Many Requests",
                "type": "about:blank",
                "status": 429,
            }
            answer = Answer.json(429, body)
            if reset_in_s is not None:
                reset = int(self._world.clock.now().timestamp() + reset_in_s)
                answer.headers |= {
                    "x-rate-limit-limit": "100",
                    "x-rate-limit-remaining": "0",
                    "x-rate-limit-reset": str(reset),
                }
            return answer

        return self._plan("answer", call, times, answer=limited)

    def unavailable(
        self,
        call: str,
        *,
        times: int | None = 1,
        status: int = 503,
        retry_after_s: int | None = None,
    ) -> Fault:
        """Answer with a 5xx; X does nothing."""
        headers = {"retry-after": str(retry_after_s)} if retry_after_s is not None else {}
        body = {"title": "Service Unavailable", "type": "about:blank", "status": status}
        return self.answer(call, status=status, body=body, headers=headers, times=times)

    def answer(
        self,
        call: str,
        *,
        status: int,
        body: Any = None,
        headers: dict[str, str] | None = None,
        times: int | None = 1,
    ) -> Fault:
        """Answer with this status and body; X does nothing. A `body` of bytes is sent as is."""
        if not _STATUSES[0] <= status <= _STATUSES[1]:
            raise ValueError(f"{status} is no status of an answer")
        raw = body if isinstance(body, bytes) else encode(body) if body is not None else b""
        named = {"content-type": "application/json; charset=utf-8", **(headers or {})}

        def canned() -> Answer:
            return Answer(status=status, headers=dict(named), body=raw)

        return self._plan("answer", call, times, answer=canned)

    def duplicate_events(self, count: int = 1) -> None:
        """Deliver the next events twice, on streams and to webhooks."""
        self.stream.duplicate += count

    def drop_events(self, count: int = 1) -> None:
        """Leave the next events out of the streams and webhooks."""
        self.stream.drop += count

    def reorder_events(self, count: int = 2) -> None:
        """Deliver the next events all at once, the last one first."""
        self.stream.reorder = count

    def silence_streams(self, *, on: bool = True) -> None:
        """Keep streams open and send nothing, not even keep-alives."""
        self.stream.silent = on

    def keep_places(self, *, on: bool = True) -> None:
        """Let a stream's place stay taken when its client goes away.

        `DELETE /2/connections/all` frees the places of the filtered stream.
        """
        self.stream.keeps_places = on

    def stream_error(
        self,
        disconnect_type: str = "UpstreamOperationalDisconnect",
        *,
        detail: str = "This stream has been disconnected upstream for operational reasons.",
    ) -> None:
        """Send an error in every open stream, and close it.

        Source: X API docs, "Handling disconnections".
        """
        problem = {
            "title": "operational-disconnect",
            "disconnect_type": disconnect_type,
            "detail": detail,
            "type": "https://api.x.com/2/problems/operational-disconnect",
        }
        self.fail_streams(encode({"errors": [problem]}) + b"\r\n")

    def revoke(self, user: str, *, only: Literal["", "oauth2", "oauth1"] = "") -> None:
        """Revoke the user's grants, as on X's page of connected apps.

        With `only`, only that kind of login ends, and X sends no event about it.
        """
        user_id = self._world.user(user).id
        if not only:
            self._world.revoke(user_id)
        elif only == "oauth2":
            for grant in self._world.grants.of_user(user_id):
                self._world.grants.end(grant)
        else:
            for pair in self._world.oauth1_tokens.of_user(user_id):
                self._world.oauth1_tokens.end(pair)

    def suspend(self, user: str, *, on: bool = True) -> None:
        """Suspend the user's account."""
        self._world.user(user).suspended = on

    def out_of_credit(self, *, on: bool = True) -> None:
        """Use up every app's prepaid credits."""
        for app in self._world.grants.apps.values():
            app.credits_usd = Decimal(0) if on else None

    def spend_cap(self, *, on: bool = True) -> None:
        """Let every app have reached its spending limit."""
        for app in self._world.grants.apps.values():
            app.spend_capped = on

    def usage_cap(self, *, on: bool = True) -> None:
        """Let every app have read as many posts as it may in a month."""
        for app in self._world.grants.apps.values():
            app.usage_capped = on

    def not_enrolled(self, *, on: bool = True) -> None:
        """Remove every app from its package with API access."""
        for app in self._world.grants.apps.values():
            app.enrolled = not on

    def renew_keys(self) -> None:
        """Give every app new keys, as in X's console; the keys in use become wrong."""
        for app in self._world.grants.apps.values():
            self._world.grants.renew_keys(app)

    def clock_off(self, seconds: float = 1200) -> None:
        """Set X's clock ahead of the machine's: for `Date`, and for the check of signatures."""
        self._world.clock_off = timedelta(seconds=seconds)

    def late_ids(self, seconds: float) -> None:
        """Let timelines and searches show posts made from now on only after that many seconds."""
        self._world.late_ids = timedelta(seconds=seconds)

    def clear(self) -> None:
        """Remove all planned faults and correct X's clock."""
        self._planned.clear()
        self.clock_off(0)
        self.late_ids(0)
        self.stream = _StreamPlan()

    def plan(self, kind: str, options: dict[str, Any]) -> None:
        """Plan a fault by its name, for the admin API. Raise `ValueError` for an unknown name."""
        if kind not in _BY_NAME:
            raise ValueError(f"no such fault: {kind!r}; there are {', '.join(sorted(_BY_NAME))}")
        if not isinstance(options.get("user", ""), str):
            raise TypeError(f"user is a username, not {options['user']!r}")
        getattr(self, kind)(**options)

    def due(self, call: Call) -> Fault | None:
        """Return the fault that applies to this call, and count the use."""
        for fault in self._planned:
            if fault.matches(call):
                fault.strike()
                return fault
        return None

    def _plan(
        self,
        kind: Kind,
        call: str,
        times: int | None,
        *,
        answer: Callable[[], Answer] | None = None,
    ) -> Fault:
        method, _, path = call.partition(" ")
        if not path.startswith("/"):
            raise ValueError(f"name the call as METHOD /path, not {call!r}")
        fault = Fault(kind, method.upper(), _pattern(path), times, answer)
        self._planned.append(fault)
        return fault


DELIVERIES = {"lose": Delivery.LOST, "cut": Delivery.CUT, "stall": Delivery.STALLED}

_STATUSES = (200, 599)
_BY_NAME = frozenset(
    {
        "lose_answer",
        "cut_answer",
        "stall",
        "reset",
        "repeat",
        "rate_limit",
        "unavailable",
        "answer",
        "duplicate_events",
        "drop_events",
        "reorder_events",
        "silence_streams",
        "cut_streams",
        "keep_places",
        "stream_error",
        "revoke",
        "suspend",
        "out_of_credit",
        "spend_cap",
        "usage_cap",
        "not_enrolled",
        "renew_keys",
        "clock_off",
        "late_ids",
        "clear",
    }
)


def _pattern(path: str) -> re.Pattern[str]:
    parts: list[str] = []
    for segment in path.split("/"):
        if segment == "**":
            parts.append(".*")
        elif segment == "*" or (segment.startswith("{") and segment.endswith("}")):
            parts.append("[^/]+")
        else:
            parts.append(re.escape(segment))
    return re.compile("/".join(parts))
