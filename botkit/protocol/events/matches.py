"""Decode the lines of the filtered stream: a post, and the rules that it matched.

Source: X API docs, "Matching returned Posts": `matching_rules` holds id and tag of each rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, structs

from botkit.errors import MalformedAnswer
from botkit.model.events import PostEvent, PostMatched
from botkit.protocol.api import objects
from botkit.protocol.api.json_fields import Fields
from botkit.protocol.api.json_values import is_list, is_object, parse_json, unwrap
from botkit.protocol.api.responses import Response
from botkit.protocol.events.post_events import events_of_page
from botkit.protocol.events.stream_lines import closed_by

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MatchedPost", "StoredRule", "decode_match", "matched", "rules_of"]


class MatchedPost(Struct, frozen=True, kw_only=True):
    """Hold a delivered post as an event of an account, and the ids of the rules it matched."""

    event: PostEvent
    rule_ids: tuple[str, ...]


def decode_match(
    line: bytes, *, account_id: str, username: str, source: str
) -> MatchedPost | None:
    """Return what one line holds; None for a message that is no post.

    Raises:
        StreamClosed: It is X's announcement that the stream ends.
        MalformedAnswer: It is no JSON.
    """
    try:
        value = parse_json(line)
    except ValueError as error:
        raise MalformedAnswer(f"X sent a line that is no JSON: {error}.", status=200) from error
    if not is_object(value):
        return None
    data = unwrap(value.get("data"))
    if not is_object(data):
        errors = value.get("errors")
        if errors:
            raise closed_by(errors if is_list(errors) else [errors])
        return None
    includes = value.get("includes")
    answer = Response(
        status=200, data=[data], includes=dict(includes) if is_object(includes) else {}
    )
    page = objects.read_posts(answer)
    rules = value.get("matching_rules")
    ids = (Fields(rule).id("id") for rule in rules) if is_list(rules) else ()
    rule_ids = tuple(each for each in ids if each)
    for event in events_of_page(page, account_id=account_id, source=source, username=username):
        return MatchedPost(event=event, rule_ids=rule_ids)
    return None


def matched(event: PostEvent, *, tag: str, rule: str) -> PostMatched:
    """Return the event of a post that matched a rule or a query."""
    return PostMatched(**structs.asdict(event), tag=tag, rule=rule)


class StoredRule(Struct, frozen=True, kw_only=True):
    """A rule of the app's filtered stream, as X lists it."""

    id: str
    value: str
    tag: str = ""


def rules_of(answer: Response) -> list[StoredRule]:
    """Return the rules of an answer; `data` is absent if there are none."""
    rows: Iterable[object] = answer.data if is_list(answer.data) else ()
    found: list[StoredRule] = []
    for row in rows:
        fields = Fields(row)
        rule_id, value = fields.id("id"), fields.text("value")
        if rule_id and value is not None:
            found.append(StoredRule(id=rule_id, value=value, tag=fields.text("tag") or ""))
    return found
