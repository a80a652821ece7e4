"""Classifies the end of a write: it happened, was refused, was not sent, or is unknown."""

from __future__ import annotations

import enum
import json
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from botkit import errors
from botkit.errors import (
    AccessDenied,
    AuthError,
    BadRequest,
    BotkitError,
    Forbidden,
    MalformedAnswer,
    NotFound,
    OutcomeUnknown,
    PaymentRequired,
    PolicyError,
    RateLimited,
    ResponseError,
    ServerError,
    StateError,
    TransportError,
    Unauthorized,
    XError,
)
from botkit.model.events import PostEvent
from botkit.model.messages import Message
from botkit.model.posts import Post
from botkit.protocol.api.json_fields import Fields
from botkit.protocol.text.escapes import decoded_text

if TYPE_CHECKING:
    from botkit.protocol.api.responses import Response
    from botkit.runtime.writes.steps import Step

__all__ = [
    "DUPLICATE",
    "FINAL",
    "MESSAGE_OPERATIONS",
    "REPEATABLE",
    "CallResult",
    "Meaning",
    "duplicate_refusal",
    "is_found_by_reading",
    "made_by",
    "made_up",
    "meaning_of",
    "rebuild_refusal",
    "write_refusal",
]

DUPLICATE = "duplicate"
"""The reason of a write that X called a duplicate: the timeline decides whether it is ours."""

REPEATABLE = frozenset({"deletePosts", "hidePostsReply", "repostPost", "unrepostPost"})
"""Carried out twice is carried out once: these are sent again without reading."""

FINAL = (PolicyError, AccessDenied, BadRequest, Forbidden, NotFound)
"""Errors that are a no for good: trying again would change nothing."""

MESSAGE_OPERATIONS = frozenset(
    {"createDirectMessagesByParticipantId", "createDirectMessagesByConversationId"}
)

_DUPLICATE_CODE = 187
_HELD_CODES = frozenset({64, 326})
"""v1 codes: account suspended, account locked. Source: docs/explanation/x-facts.md, 10.8."""
_UNKNOWN_STATUS = frozenset({408, 425})


_BY_READING = frozenset({"createPosts"}) | MESSAGE_OPERATIONS
"""The operations whose result on X botkit can find by reading."""


class CallResult(Struct, frozen=True, kw_only=True):
    """Hold the answer to a call of `act.call`: its `data`, and the id in it if there is one."""

    id: str = ""
    data: Any = None


class Meaning(enum.Enum):
    """How the sending of a write ended."""

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

    Source: docs/explanation/requirements.md, "Writes": definite are 2xx with an id and 4xx
    other than 408, 425, 429, and 501.
    """
    if isinstance(error, OutcomeUnknown | ServerError | MalformedAnswer | StateError):
        # A store that fails may have failed before the bytes or after the answer.
        return Meaning.UNKNOWN
    if isinstance(error, TransportError) and error.kind == "redirect":
        return Meaning.UNKNOWN  # 303 even says that it was carried out
    if isinstance(error, TransportError | RateLimited | PaymentRequired | Unauthorized):
        return Meaning.NOT_SENT
    if isinstance(error, AuthError) and not isinstance(error, AccessDenied):
        return Meaning.NOT_SENT
    if isinstance(error, ResponseError):
        return _of_answer(error)
    return Meaning.REFUSED


def _of_answer(error: ResponseError) -> Meaning:
    if error.status in _UNKNOWN_STATUS:
        return Meaning.UNKNOWN
    if isinstance(error, Forbidden):
        if _DUPLICATE_CODE in error.codes or "duplicate content" in error.detail.lower():
            return Meaning.DUPLICATE
        if _HELD_CODES.intersection(error.codes):
            return Meaning.HELD
    return Meaning.REFUSED


def write_refusal(error: BotkitError) -> str:
    """Return a refusal as JSON for the journal, so that a second run raises the same error."""
    parts: dict[str, object] = {"error": type(error).__name__, "message": error.message}
    if isinstance(error, AccessDenied):
        parts |= {
            "operation": error.operation,
            "have": error.have,
            "need": error.need,
            "cure": error.cure,
        }
    elif error.hint:
        parts["hint"] = error.hint
    if isinstance(error, XError):
        parts["request"] = error.request
    if isinstance(error, ResponseError):
        parts |= {
            "status": error.status,
            "title": error.title,
            "detail": error.detail,
            "problem_type": error.problem_type,
            "codes": error.codes,
        }
    return json.dumps(parts, ensure_ascii=False)


def rebuild_refusal(reason: str) -> BotkitError:
    """Return the error that `write_refusal` wrote; a plain `Forbidden` for any other text."""
    try:
        parts: dict[str, Any] = json.loads(reason)
        kind = getattr(errors, parts.pop("error"))
        message = parts.pop("message")
        if issubclass(kind, BotkitError):
            rebuilt: BotkitError = kind(message, **parts)
            return rebuilt
    except (ValueError, AttributeError, KeyError, TypeError):
        pass
    return Forbidden(f"The write was given up: {reason}.", status=403, detail=reason)


def duplicate_refusal() -> str:
    """Return the refusal of a duplicate, for the journal, that is not shown to be ours."""
    return write_refusal(
        Forbidden(
            "X refused the text as a duplicate, and the account's timeline does not show it.",
            status=403,
            detail="duplicate content",
            codes=(_DUPLICATE_CODE,),
            hint="Change the text; a deleted post still counts for X.",
        )
    )


def is_found_by_reading(operation: str) -> bool:
    """Return True if botkit can find the result of such a write by reading."""
    return operation in _BY_READING or operation in REPEATABLE


def made_by(step: Step, response: Response) -> Post | Message | CallResult:
    """Return the post or message that X says it made.

    Raises:
        MalformedAnswer: A success without an id is no success that can be trusted.
    """
    data = Fields(response.data)
    if step.is_raw:
        return CallResult(id=data.id("id") or "", data=response.data)
    if step.operation in REPEATABLE:
        return Post(id=step.target, text="")
    if step.operation in MESSAGE_OPERATIONS:
        if message_id := data.id("dm_event_id"):
            return _message(step, message_id, data.id("dm_conversation_id") or "")
    elif post_id := data.id("id"):
        text = data.text("text")
        return _post(step, post_id, step.text if text is None else decoded_text(text))
    raise MalformedAnswer(
        f"{step.request.name} was answered {response.status} without the id of what it made.",
        request=step.request.name,
        status=response.status,
    )


def made_up(step: Step) -> Post | Message | CallResult:
    """Return what a dry run returns to the handler."""
    if step.is_raw:
        return CallResult()
    if step.operation in MESSAGE_OPERATIONS:
        return _message(step, "0", "0")
    return _post(step, "0", step.text)


def _message(step: Step, message_id: str, conversation_id: str) -> Message:
    return Message(
        id=message_id,
        conversation_id=conversation_id,
        text=step.text,
        sender_id=step.account_id,
    )


def _post(step: Step, post_id: str, text: str) -> Post:
    answered = step.answers.post if isinstance(step.answers, PostEvent) else step.answers
    return Post(
        id=post_id,
        text=text,
        author_id=step.account_id,
        conversation_id=answered.conversation_id if answered is not None else post_id,
        in_reply_to_post_id=step.target or None,
        in_reply_to_user_id=answered.author_id if answered is not None else None,
    )
