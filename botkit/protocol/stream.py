"""A stream of lines: splitting, how long to wait before connecting again, and why it ended.

Source: x-platform.md 17.2 and 17.3; reliability 4.2, "Lines" and "Stream liveness".
"""

from __future__ import annotations

import enum
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from botkit.errors import (
    BadRequest,
    Forbidden,
    NotFound,
    PaymentRequired,
    RateLimited,
    ResponseError,
    StreamClosed,
    TransportError,
    Unauthorized,
    XError,
)
from botkit.protocol.wire import Fields

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Cut", "LineSplitter", "StreamBackoff", "closed_by", "cut_of"]

_LIMIT_BYTES: Final = 1 << 20


class LineSplitter:
    """Makes whole lines out of chunks, wherever the network cut them.

    Lines end with CRLF or LF. Empty lines are keep-alives: they are counted, not given out. A
    line over the limit is skipped to its end and counted; never is more kept than the limit.
    UTF-8 is not looked at, so a cut inside a character does no harm.

    Attributes:
        skipped: How many lines were over the limit.
        keep_alives: How many empty lines came.
    """

    __slots__ = ("_carry", "_limit", "_skipping", "keep_alives", "skipped")

    def __init__(self, limit_bytes: int = _LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._carry = bytearray()
        self._skipping = False
        self.skipped = 0
        self.keep_alives = 0

    @property
    def pending_bytes(self) -> int:
        """How much of an unfinished line is kept; it is lost when the stream ends now."""
        return len(self._carry)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are whole with this chunk, without their ends, in order."""
        parts = chunk.split(b"\n")
        rest = parts.pop()
        lines: list[bytes] = []
        if parts and self._skipping:
            self._skipping = False
            del parts[0]
        elif parts and self._carry:
            parts[0] = bytes(self._carry) + parts[0]
            self._carry.clear()
        for part in parts:
            line = part[:-1] if part[-1:] == b"\r" else part
            if not line:
                self.keep_alives += 1
            elif len(line) <= self._limit:
                lines.append(line)
            else:
                self.skipped += 1
        self._keep(rest)
        return lines

    def _keep(self, rest: bytes) -> None:
        if self._skipping or not rest:
            return
        over = len(self._carry) + len(rest) - self._limit
        if over > 1 or (over == 1 and rest[-1:] != b"\r"):
            self._carry.clear()
            self._skipping = True
            self.skipped += 1
        else:
            self._carry += rest


class Cut(enum.StrEnum):
    """How a connection ended or failed, for the wait before the next one."""

    CLOSED = "closed"
    NETWORK = "network"
    HTTP = "http"
    RATE_LIMITED = "rate_limited"
    REFUSED = "refused"


class _Rule(Struct, frozen=True, gc=False):
    first_s: float
    step_s: float
    factor: float
    most_s: float


_RULES: Final = {
    Cut.NETWORK: _Rule(0.25, 0.25, 1, 16),
    Cut.HTTP: _Rule(5, 0, 2, 320),
    Cut.RATE_LIMITED: _Rule(60, 0, 2, 900),
    Cut.REFUSED: _Rule(320, 0, 1, 320),
}
"""X's table; the cap of a 429 and the wait after a refusal, which no waiting cures, are ours."""

_WORKING_S: Final = 60.0
_SPREAD: Final = 0.25


class StreamBackoff:
    """How long to wait before connecting again.

    | cause | wait |
    | --- | --- |
    | a working stream was closed | none |
    | network, or closed before it worked | 0.25 s more each time, at most 16 s |
    | HTTP error | 5 s, doubling, at most 320 s |
    | 429 | 60 s, doubling, at most 900 s |
    | 401, 403, 409 | 320 s: settings have to change first |

    A connection worked when something was heard, a keep-alive included, and it stayed up for
    60 s; only that starts the count anew.
    """

    def __init__(self) -> None:
        self._failures: dict[Cut, int] = {}
        self.at_ceiling = False

    def wait(
        self, cut: Cut, *, up_s: float = 0.0, heard: bool = False, jitter: float = 0.0
    ) -> timedelta:
        """The wait after one more ending.

        `up_s` is how long the connection was up, `heard` whether anything came; `jitter` is a
        random number from 0 to 1, which lengthens the wait by up to a quarter (at the ceiling it
        shortens it, but never below X's minimum for the cause).
        """
        if heard and up_s >= _WORKING_S:
            self._failures.clear()
            if cut is Cut.CLOSED:
                self.at_ceiling = False
                return timedelta(0)
        cause = Cut.NETWORK if cut is Cut.CLOSED else cut
        count = self._failures.get(cause, 0)
        self._failures[cause] = count + 1
        rule = _RULES[cause]
        wait_s = rule.first_s
        for _ in range(min(count, 100)):
            wait_s = min(wait_s * rule.factor + rule.step_s, rule.most_s)
        self.at_ceiling = wait_s >= rule.most_s
        spread_s = wait_s * _SPREAD * jitter
        if self.at_ceiling and cause is not Cut.REFUSED:
            wait_s = max(wait_s - spread_s, rule.first_s)
        else:
            wait_s = min(wait_s + spread_s, max(rule.most_s, wait_s))
        return timedelta(seconds=wait_s)


def cut_of(error: XError) -> Cut:
    """Which row of the table an error belongs to."""
    match error:
        case RateLimited():
            return Cut.RATE_LIMITED
        case Unauthorized() | Forbidden() | PaymentRequired() | NotFound() | BadRequest():
            return Cut.REFUSED
        case ResponseError():
            return Cut.REFUSED if error.status == _NO_RULES else Cut.HTTP
        case TransportError():
            return Cut.NETWORK
        case _:
            return Cut.CLOSED


_NO_RULES: Final = 409

_AT_ONCE: Final = timedelta(0)
_SOON: Final = timedelta(seconds=5)
_FULL: Final = timedelta(seconds=60)
_LONG: Final = timedelta(seconds=320)
_NOT_SAID: Final = timedelta(-1)

_AFTER: Final = {
    "OperationalDisconnect": _AT_ONCE,
    "UpstreamOperationalDisconnect": _AT_ONCE,
    "UpstreamUncleanDisconnect": _AT_ONCE,
    "SlowReader": _AT_ONCE,
    "ForceDisconnect": _FULL,
    "InternalError": _SOON,
    "ClientApplicationStateDegraded": _LONG,
    "InvalidRules": _LONG,
    "TooManyConnections": _FULL,
    "ProvisioningSubscription": _SOON,
    "RuleConfigurationIssue": _LONG,
    "RulesInvalidIssue": _LONG,
    "operational-disconnect": _AT_ONCE,
    "client-disconnected": _AT_ONCE,
    "internal-error": _SOON,
    "streaming-connection": _FULL,
    "rate-limit-exceeded": _FULL,
    "usage-capped": _LONG,
    "credits": _LONG,
    "client-forbidden": _LONG,
    "unsupported-authentication": _LONG,
    "not-authorized-for-resource": _LONG,
}
"""By `disconnect_type`, `connection_issue` or the problem type's last segment.

Source: x-platform.md 10.2 and 17.3. `ForceDisconnect` is what a second connection brings: to wait
keeps two runners from throwing each other out for ever.
"""


def closed_by(errors: Iterable[Any]) -> StreamClosed:
    """The end of a stream that X announced by an `errors` object in the stream.

    With several errors the longest wait counts.
    """
    reason, after = "", _NOT_SAID
    for error in errors:
        fields = Fields(error)
        kind = (fields.text("type") or "").rpartition("/")[2]
        names = (fields.text("disconnect_type"), fields.text("connection_issue"), kind)
        wait = next((_AFTER[name] for name in names if name in _AFTER), _SOON)
        if wait > after:
            after = wait
            words = (fields.text("title"), *names[:2], fields.text("detail", "message"))
            reason = ": ".join(dict.fromkeys(word for word in words if word))
    reason = reason or "an error without words"
    return StreamClosed(
        f"X ended the stream: {reason}.",
        request="",
        reason=reason,
        reconnect_after=_SOON if after is _NOT_SAID else after,
    )
