"""What an answer, or the lack of one, means for a write: happened, refused, not sent, unknown."""

from __future__ import annotations

import enum
import json
from typing import TYPE_CHECKING

from botkit import errors
from botkit.errors import (
    AccessDenied,
    Forbidden,
    MalformedAnswer,
    OutcomeUnknown,
    PaymentRequired,
    RateLimited,
    ResponseError,
    ServerError,
    TransportError,
    Unauthorized,
)

if TYPE_CHECKING:
    from botkit.errors import BotkitError

__all__ = ["DUPLICATE", "Meaning", "meaning_of", "rebuild_refusal", "write_refusal"]

DUPLICATE = "duplicate"
"""The reason of a write that X called a duplicate: the timeline decides whether it is ours."""

_DUPLICATE_CODE = 187
_HELD_CODES = frozenset({64, 326})
"""v1 codes: account suspended, account locked. Source: X API docs, error codes."""


class Meaning(enum.Enum):
    """What is to be done with the write."""

    REFUSED = "refused"
    """Final: REJECTED."""
    NOT_SENT = "not sent"
    """Surely not carried out: QUEUED again, tried later."""
    UNKNOWN = "unknown"
    """May have happened: UNCERTAIN, settled by reading."""
    DUPLICATE = "duplicate"
    """X knows the text: settled by reading, rejected when it is not there."""
    HELD = "held"
    """Not carried out, and the account is stopped until a person acts."""


def meaning_of(error: BotkitError) -> Meaning:
    """Classify what sending a write raised.

    Source: reliability, "Writes": definite are 2xx with an id and 4xx other than 408, 425, 429.
    """
    if isinstance(error, OutcomeUnknown | ServerError | MalformedAnswer):
        return Meaning.UNKNOWN
    if isinstance(error, TransportError | RateLimited | PaymentRequired | Unauthorized):
        return Meaning.NOT_SENT
    if isinstance(error, ResponseError):
        return _of_answer(error)
    return Meaning.REFUSED


def _of_answer(error: ResponseError) -> Meaning:
    if error.status in {408, 425}:
        return Meaning.UNKNOWN
    if isinstance(error, Forbidden):
        if (
            _DUPLICATE_CODE in error.codes
            or "duplicate content" in error.detail.lower()
        ):
            return Meaning.DUPLICATE
        if _HELD_CODES.intersection(error.codes):
            return Meaning.HELD
    return Meaning.REFUSED


def write_refusal(error: BotkitError) -> str:
    """The refusal as text for the journal, so that a second run raises the same error."""
    parts: dict[str, object] = {"error": type(error).__name__, "message": error.message}
    if error.hint:
        parts["hint"] = error.hint
    if isinstance(error, ResponseError):
        parts |= {
            "status": error.status,
            "title": error.title,
            "detail": error.detail,
            "problem_type": error.problem_type,
            "codes": error.codes,
        }
    if isinstance(error, AccessDenied):
        parts |= {
            "operation": error.operation,
            "have": error.have,
            "need": error.need,
            "cure": error.cure,
        }
        parts.pop("hint", None)
    return json.dumps(parts, ensure_ascii=False)


def rebuild_refusal(reason: str) -> BotkitError:
    """The error that `write_refusal` wrote; a plain `Forbidden` for any other text."""
    try:
        parts = json.loads(reason)
        kind = getattr(errors, parts.pop("error"))
        message = parts.pop("message")
        rebuilt: BotkitError = kind(message, **parts)
    except (ValueError, AttributeError, KeyError, TypeError):
        return Forbidden(reason, status=403, detail=reason)
    return rebuilt
