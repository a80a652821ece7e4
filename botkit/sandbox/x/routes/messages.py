"""Direct messages: sending and reading. Source: X API docs, "Direct Messages"."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from botkit.sandbox.wire import problems
from botkit.sandbox.wire.exchange import Answer, Refused
from botkit.sandbox.wire.request_bodies import Id, body_of
from botkit.sandbox.wire.timeline_pages import page_of
from botkit.sandbox.x.context import ApiRoute, RequestContext
from botkit.sandbox.x.objects import Wanted, message_json, user_json

if TYPE_CHECKING:
    from botkit.sandbox.world.world import UserRecord

__all__ = ["ROUTES"]

_REACH = timedelta(days=30)


class _Attachment(Struct, frozen=True, forbid_unknown_fields=True):
    media_id: Id


class _NewMessage(Struct, frozen=True, forbid_unknown_fields=True):
    """Hold the body of a new message. Source: X's OpenAPI document."""

    text: str = ""
    attachments: Annotated[tuple[_Attachment, ...], Meta(min_length=1)] | UnsetType = UNSET


def _to_participant(request: RequestContext) -> Answer:
    other = request.world.users.get(request.path["participant_id"])
    return _send(request, other)


def _to_conversation(request: RequestContext) -> Answer:
    me = _user(request)
    pair = request.path["dm_conversation_id"].split("-")
    if me.id not in pair or len(pair) > 2:  # noqa: PLR2004 - a conversation of two
        raise problems.forbidden()
    other = next((one for one in pair if one != me.id), me.id)
    return _send(request, request.world.users.get(other))


def _send(request: RequestContext, other: UserRecord | None) -> Answer:
    me = _user(request)
    body = body_of(request.call, _NewMessage)
    if body.attachments is not UNSET:
        raise problems.not_played("media in direct messages")
    if not body.text.strip():
        raise problems.invalid_request("$.text: is missing but it is required")
    if other is None or other.suspended or other is me:
        message = "You cannot send messages to this user."
        raise Refused(Answer.json(403, {"errors": [{"code": 349, "message": message}]}))
    sent = request.world.add_message(me.id, other.id, body.text)
    data = {"dm_conversation_id": sent.conversation_id, "dm_event_id": sent.id}
    return Answer.json(201, {"data": data})


def _all_events(request: RequestContext) -> Answer:
    return _events(request, None)


def _with_participant(request: RequestContext) -> Answer:
    pair = sorted((_user(request).id, request.path["participant_id"]), key=int)
    return _events(request, "-".join(pair))


def _of_conversation(request: RequestContext) -> Answer:
    return _events(request, request.path["id"])


def _events(request: RequestContext, conversation_id: str | None) -> Answer:
    since = request.world.clock.now() - _REACH
    kinds = (request.call.param("event_types") or "MessageCreate").split(",")
    messages = [
        message
        for message in request.world.messages_of(
            _user(request).id, conversation_id=conversation_id
        )
        if message.created_at >= since and "MessageCreate" in kinds
    ]
    page, meta = page_of(messages, request.call, default=100, reach=10**6)
    wanted = Wanted(request.call)
    fields = wanted.message_fields | (wanted.expansions & {"sender_id"})
    tokens = {name: value for name, value in meta.items() if not name.endswith("_id")}
    body: dict[str, object] = {"meta": tokens}
    if page:
        body["data"] = [message_json(message, fields) for message in page]
    if page and "sender_id" in wanted.expansions:
        senders = dict.fromkeys(message.sender_id for message in page)
        users = [
            user_json(request.world, request.world.users[one], wanted.user_fields)
            for one in senders
        ]
        body["includes"] = {"users": users}
    return Answer.json(200, body)


def _event(request: RequestContext) -> Answer:
    event_id = request.path["event_id"]
    message = request.world.messages.get(event_id)
    me = _user(request)
    if message is None or me.id not in {message.sender_id, message.recipient_id}:
        problem = problems.missing("dm_event", event_id, parameter="event_id")
        return Answer.json(200, {"errors": [problem]})
    return Answer.json(200, {"data": message_json(message, Wanted(request.call).message_fields)})


def _delete(request: RequestContext) -> Answer:
    message = request.world.messages.get(request.path["event_id"])
    if message is not None:
        message.deleted_for.add(_user(request).id)
    return Answer.json(200, {"data": {"deleted": True}})


def _user(request: RequestContext) -> UserRecord:
    user = request.caller.user
    if user is None:
        raise problems.unauthorized()
    return user


_WITH = "/2/dm_conversations/with/{participant_id}"
ROUTES = (
    ApiRoute("POST", f"{_WITH}/messages", _to_participant, "createDirectMessagesByParticipantId"),
    ApiRoute(
        "GET", f"{_WITH}/dm_events", _with_participant, "getDirectMessagesEventsByParticipantId"
    ),
    ApiRoute(
        "POST",
        "/2/dm_conversations/{dm_conversation_id}/messages",
        _to_conversation,
        "createDirectMessagesByConversationId",
    ),
    ApiRoute(
        "GET",
        "/2/dm_conversations/{id}/dm_events",
        _of_conversation,
        "getDirectMessagesEventsByConversationId",
    ),
    ApiRoute("GET", "/2/dm_events", _all_events, "getDirectMessagesEvents"),
    ApiRoute("GET", "/2/dm_events/{event_id}", _event, "getDirectMessagesEventsById"),
    ApiRoute("DELETE", "/2/dm_events/{event_id}", _delete, "deleteDirectMessagesEvents"),
)
