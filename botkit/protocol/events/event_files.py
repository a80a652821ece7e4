"""Read events from a file or a pipe of any form, for `botkit events decode`.

The forms: JSON lines of a stream (with CRLF and keep-alives), one document over many lines or
several, an array of events, an answer of the API, or recorded requests with their answers.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from botkit.errors import StreamClosed
from botkit.protocol.api.json_values import is_list, is_object, parse_json, unwrap
from botkit.protocol.events.codec import describe
from botkit.protocol.events.envelopes import Hearing, events_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from botkit.model.events import XEvent

__all__ = ["ERROR_START", "decode_lines"]

ERROR_START: Final = b'{"error":'
"""The start of the line for a value that could not be decoded."""

_BOM: Final = b"\xef\xbb\xbf"
_USER_IN_PATH: Final = re.compile(r"/2/users/([0-9]+)/")
_START: Final = re.compile(r"\s*[\[{]")
_SHOWN: Final = 80


def decode_lines(lines: Iterable[bytes], *, hearing: Hearing | None = None) -> Iterator[bytes]:
    """Yield one JSON object for each event in these lines of a file, without line ends.

    If the first line is a JSON value by itself, lines are decoded as they come; otherwise they are
    read to the end as one document. For a value that cannot be decoded, the object's first key is
    `error`; nothing raises.
    """
    told = hearing or Hearing()
    waiting = iter(lines)
    first = next((line for line in waiting if line.removeprefix(_BOM).strip()), b"")
    first = first.removeprefix(_BOM).strip()
    if not first:
        return
    if _is_json(first):
        yield from _of_line(first, told)
        for line in waiting:
            yield from _of_line(line.strip(), told)
    else:
        yield from _of_document(first + b"\n" + b"".join(waiting), told)


def _of_line(line: bytes, hearing: Hearing) -> Iterator[bytes]:
    if not line:
        return
    try:
        value = parse_json(line)
    except ValueError as error:
        yield _undecodable(line, str(error))
    else:
        yield from _of_value(value, hearing)


def _of_document(text: bytes, hearing: Hearing) -> Iterator[bytes]:
    """Yield the events of a document, of several, or of lines of which the first is broken."""
    values, rest = _split(text)
    for value in values:
        yield from _of_line(value, hearing)
    lines = [line.strip() for line in rest.splitlines() if line.strip()]
    if any(line.startswith(b'{"') and _is_json(line) for line in lines):
        for line in lines:
            yield from _of_line(line, hearing)
    elif lines:
        yield _undecodable(rest.strip(), "it is no JSON, or not whole")


def _split(text: bytes) -> tuple[list[bytes], bytes]:
    """Return the objects and lists that follow each other in the text, and the rest of it."""
    decoder = json.JSONDecoder()
    whole = text.decode("utf-8", "replace").rstrip()
    values: list[bytes] = []
    at = 0
    while found := _START.match(whole, at):
        try:
            end = decoder.raw_decode(whole, found.end() - 1)[1]
        except (ValueError, RecursionError):
            break
        values.append(whole[at:end].encode("utf-8", "replace"))
        at = end
    return values, whole[at:].encode("utf-8", "replace")


def _of_value(value: Any, hearing: Hearing) -> Iterator[bytes]:
    if is_list(value):
        for item in value:
            yield from _of_value(item, hearing)
        return
    recorded = _recorded_body(value)
    if recorded is not None:
        body, account_id = recorded
        value = body
        hearing = msgspec.structs.replace(hearing, account_id=account_id or hearing.account_id)
    if _is_empty_answer(value):
        return
    if not _brings_envelopes(value):
        hearing = msgspec.structs.replace(hearing, source="")
    try:
        yield from _told(events_of(value, hearing))
    except StreamClosed as closed:
        yield _announced(closed)


def _recorded_body(value: object) -> tuple[Any, str] | None:
    """Return a recorded answer's body and the user of its timeline; None for another value."""
    if not is_object(value):
        return None
    response = value.get("response")
    if not is_object(response) or "body" not in response:
        return None
    request = value.get("request")
    url = request.get("url") if is_object(request) else None
    user = _USER_IN_PATH.search(url) if isinstance(url, str) else None
    return response["body"], user[1] if user is not None else ""


def _is_empty_answer(value: object) -> bool:
    return is_object(value) and "meta" in value and not {"data", "errors"} & set(value)


def _brings_envelopes(value: object) -> bool:
    data = unwrap(value)
    if is_object(data) and "data" in data:
        data = unwrap(data["data"])
    first: object = data[0] if is_list(data) and data else data
    return is_object(first) and "event_type" in first and "payload" in first


def _told(events: Iterable[XEvent]) -> Iterator[bytes]:
    for event in events:
        yield msgspec.json.encode(describe(event))


def _announced(closed: StreamClosed) -> bytes:
    return msgspec.json.encode(
        {
            "error": closed.message,
            "reason": closed.reason,
            "reconnect_after_s": closed.reconnect_after.total_seconds(),
        }
    )


def _undecodable(text: bytes, why: str) -> bytes:
    start = text[:_SHOWN].decode("utf-8", "replace")
    return msgspec.json.encode({"error": f"This cannot be decoded: {why}.", "starts": start})


def _is_json(line: bytes) -> bool:
    try:
        parse_json(line)
    except ValueError:
        return False
    return True
