"""Split a stream into lines, tell why it ended, and how long to wait before connecting again.

Source: X API docs, "Consuming streaming data" and "Handling disconnections";
docs/explanation/requirements.md, "Intake" (Lines, Liveness).
"""

from __future__ import annotations

import enum
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from msgspec import Struct

from botkit.errors import StreamClosed
from botkit.protocol.api.json_fields import Fields

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LineSplitter", "StreamBackoff", "Trouble", "closed_by"]

_LIMIT_BYTES: Final = 1 << 20


class LineSplitter:
    """Joins chunks, wherever the network cut them, into whole lines.

    Lines end with CRLF or LF. Empty lines are keep-alives: they are counted, not returned. A line
    over the limit is skipped to its end and counted; never more than the limit is kept. Bytes are
    not decoded, so a cut inside a character does no harm.

    Attributes:
        skipped: How many lines were over the limit.
        keep_alives: How many empty lines came.
    """

    __slots__ = ("_carry", "_limit", "_skipping", "keep_alives", "skipped")

    def __init__(self, limit_bytes: int = _LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._carry = bytearray()
        self._skipping = False
        self.skipped: int = 0
        self.keep_alives: int = 0

    @property
    def pending_bytes(self) -> int:
        """Return the size of the unfinished line, which is lost if the stream ends now."""
        return len(self._carry)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that this chunk completes, without their ends, in order."""
        parts = chunk.split(b"\n")
        rest = parts.pop()
        may_be_over = len(self._carry) + len(chunk) > self._limit
        if parts and self._skipping:
            self._skipping = False
            del parts[0]
        elif parts and self._carry:
            parts[0] = bytes(self._carry) + parts[0]
            self._carry.clear()
        lines = [part.removesuffix(b"\r") for part in parts]
        if may_be_over or not all(lines):
            lines = self._without(lines)
        self._keep(rest)
        return lines

    def _without(self, lines: list[bytes]) -> list[bytes]:
        """Return the lines that are neither empty nor over the limit; count the others."""
        whole = [line for line in lines if line]
        self.keep_alives += len(lines) - len(whole)
        kept = [line for line in whole if len(line) <= self._limit]
        self.skipped += len(whole) - len(kept)
        return kept

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


class Trouble(enum.StrEnum):
    """The way a connection ended or failed; it decides the wait before the next one."""

    CLEAN = "clean"
    NETWORK = "network"
    HTTP = "http"
    RATE = "rate"


class _Rule(Struct, frozen=True, gc=False):
    first_s: float
    step_s: float
    factor: float
    most_s: float


_RULES: Final = {
    Trouble.NETWORK: _Rule(0.25, 0.25, 1, 16),
    Trouble.HTTP: _Rule(5, 0, 2, 320),
    Trouble.RATE: _Rule(60, 0, 2, 900),
}
"""X's table; the cap of the last row is ours. Source: X API docs, "Handling disconnections"."""

_SPREAD: Final = 0.25


class StreamBackoff:
    """The waits before connecting again.

    | trouble | wait |
    | --- | --- |
    | `CLEAN`: a settled stream was closed | none |
    | `NETWORK`, or closed before it had settled | 0.25 s more each time, at most 16 s |
    | `HTTP`: an error status | 5 s, doubling, at most 320 s |
    | `RATE`: 429 | 60 s, doubling, at most 900 s |

    401, 403 and 409 have no row: waiting does not cure them.

    Attributes:
        at_ceiling: Whether the last wait was the longest of its row: time to alert.
    """

    SETTLED_S: ClassVar[float] = 60.0
    """A connection that was up this long and still brings something has settled."""

    def __init__(self) -> None:
        self._failures: dict[Trouble, int] = {}
        self._settled = False
        self.at_ceiling: bool = False

    def reset(self) -> None:
        """Start anew: the connection has settled."""
        self._failures.clear()
        self._settled = True
        self.at_ceiling = False

    def wait_s(self, trouble: Trouble, *, jitter: float) -> float:
        """Return the seconds to wait after one more trouble.

        `jitter` is a random number from 0 to 1. It lengthens the wait by up to a quarter, or, at
        the ceiling, shortens it, so that many clients do not come back as one.
        """
        settled, self._settled = self._settled, False
        if trouble is Trouble.CLEAN:
            if settled:
                return 0.0
            trouble = Trouble.NETWORK
        count = self._failures.get(trouble, 0)
        self._failures[trouble] = count + 1
        rule = _RULES[trouble]
        base_s = rule.first_s
        for _ in range(count):
            base_s = base_s * rule.factor + rule.step_s
            if base_s >= rule.most_s:
                break
        self.at_ceiling = base_s >= rule.most_s
        if self.at_ceiling:
            return rule.most_s * (1 - _SPREAD * jitter)
        return min(base_s * (1 + _SPREAD * jitter), rule.most_s)


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

Source: X API docs, "Response codes and errors" and "Handling disconnections". `ForceDisconnect` is
what a second connection brings: to wait keeps two runners from throwing each other out for ever.
"""


def closed_by(errors: Iterable[Any]) -> StreamClosed:
    """Return the error for the end that X announced by an `errors` object in the stream.

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
