"""Events out of files and pipes of every shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.protocol.events.envelopes import Hearing
from botkit.protocol.events.event_files import ERROR_START, decode_lines

WIRE = Path(__file__).parents[3] / "wire" / "activity"
MENTION = json.loads((WIRE / "post.mention.create.json").read_bytes())
REPLY = json.loads((WIRE / "post.reply.create.json").read_bytes())
END = {"errors": [{"title": "operational-disconnect", "disconnect_type": "SlowReader"}]}


def told(text: str | bytes, **hearing: Any) -> list[dict[str, Any]]:
    """What is printed for a file with that text."""
    whole = text.encode() if isinstance(text, str) else text
    lines = whole.splitlines(keepends=True)
    found = list(decode_lines(lines, hearing=Hearing(**hearing) if hearing else None))
    assert all(b"\n" not in line for line in found)
    return [json.loads(line) for line in found]


def types(text: str | bytes) -> list[str]:
    return [one.get("type", "error") for one in told(text)]


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def test_a_sample_over_many_lines_is_one_event() -> None:
    (event,) = told((WIRE / "post.mention.create.json").read_bytes())

    assert (event["type"], event["key"], event["account_id"]) == (
        "Mention",
        "post/2080765813578191303/0",
        "1111111111111111111",
    )
    assert (event["source"], event["missing"]) == ("activity", [])


def test_an_envelope_beside_other_things_is_still_of_the_activity_stream() -> None:
    (event,) = told(compact(MENTION | {"matching_rules": []}))

    assert (event["type"], event["source"]) == ("Mention", "activity")


def test_lines_of_a_stream_are_events_one_by_one() -> None:
    text = "\r\n" + compact(MENTION) + "\r\n\r\n" + compact(REPLY) + "\r\n\r\n"

    assert types(text) == ["Mention", "Reply"]


def test_lines_are_decoded_as_they_come() -> None:
    def endless() -> Any:
        while True:
            yield compact(MENTION).encode() + b"\r\n"

    found = decode_lines(endless())

    assert [json.loads(next(found))["type"] for _ in range(3)] == ["Mention"] * 3


@pytest.mark.parametrize("indent", [None, 1])
def test_an_array_is_the_events_in_it(indent: int | None) -> None:
    assert types(json.dumps([MENTION, REPLY], indent=indent)) == ["Mention", "Reply"]


def test_several_documents_follow_each_other() -> None:
    assert types(json.dumps(MENTION, indent=1) + json.dumps(REPLY, indent=2)) == [
        "Mention",
        "Reply",
    ]


def test_a_byte_order_mark_does_no_harm() -> None:
    assert types(b"\xef\xbb\xbf" + compact(MENTION).encode()) == ["Mention"]


@pytest.mark.parametrize("text", ["", "\r\n\r\n", "   \n"])
def test_an_empty_file_has_no_events(text: str) -> None:
    assert told(text) == []


ANSWER = {
    "data": [
        {"id": "5", "text": "hey @me", "author_id": "22"},
        {"id": "6", "text": "x", "author_id": "23"},
    ],
    "includes": {"users": [{"id": "22", "username": "ada", "name": "Ada"}]},
    "meta": {"result_count": 2},
}


@pytest.mark.parametrize("indent", [None, 1])
def test_an_answer_of_the_api_is_its_posts_with_their_authors(indent: int | None) -> None:
    events = told(json.dumps(ANSWER, indent=indent))

    assert [(one["type"], one["key"], one["source"]) for one in events] == [
        ("PostSeen", "post/5/0", ""),
        ("PostSeen", "post/6/0", ""),
    ]
    assert [one["missing"] for one in events] == [[], ["author"]]


def test_a_hearing_tells_whose_answer_it_is() -> None:
    events = told(json.dumps(ANSWER), account_id="1", usernames={"1": "me"})

    assert [one["type"] for one in events] == ["Mention", "PostSeen"]


def recorded(body: object, **request: object) -> dict[str, object]:
    return {"request": request, "response": {"status": 200, "body": body}}


def test_recorded_requests_give_the_events_of_their_answers() -> None:
    exchanges = [
        recorded(ANSWER, url="https://api.x.com/2/users/77/mentions"),
        recorded({"meta": {"result_count": 0}}, url=5),
        {"request": None, "response": {"body": MENTION}},
    ]

    assert [(one["key"], one["account_id"]) for one in told(json.dumps(exchanges, indent=1))] == [
        ("post/5/0", "77"),
        ("post/6/0", "77"),
        ("post/2080765813578191303/0", "1111111111111111111"),
    ]


@pytest.mark.parametrize(
    "value", [{"response": 5}, {"response": {"status": 200}}, 5, {"data": []}]
)
def test_what_only_looks_like_a_recording_or_an_answer_does_no_harm(value: object) -> None:
    assert all("error" not in one for one in told(json.dumps(value)))


def test_a_broken_line_is_told_and_the_others_are_decoded() -> None:
    text = compact(MENTION) + "\n" + compact(REPLY)[:200] + "\nnot json\n" + compact(REPLY) + "\n"

    found = told(text)

    assert [one.get("type", "error") for one in found] == ["Mention", "error", "error", "Reply"]
    assert found[2]["starts"] == "not json"
    assert "cannot be decoded" in found[2]["error"]


def test_a_broken_first_line_is_told_and_the_others_are_decoded() -> None:
    text = compact(MENTION)[100:] + "\r\n\r\n" + compact(REPLY) + "\r\n"

    assert types(text) == ["error", "Reply"]


def test_a_document_cut_short_is_one_error() -> None:
    text = json.dumps(MENTION, indent=1)

    assert types(text[: len(text) // 2]) == ["error"]
    assert types(text + text[: len(text) // 2]) == ["Mention", "error"]


@pytest.mark.parametrize(
    "text", ["<html>\n<p>no</p>\n</html>", "not json", "[" * 5000, b"\xff\xfe"]
)
def test_what_is_no_json_is_one_error(text: str | bytes) -> None:
    assert types(text) == ["error"]


def test_the_announced_end_of_a_stream_is_told_with_the_wait() -> None:
    events = told(compact(MENTION) + "\n" + compact(END) + "\n")

    assert events[1]["reason"] == "operational-disconnect: SlowReader"
    assert events[1]["reconnect_after_s"] == 0
    assert types(compact([MENTION, END])) == ["Mention", "error"]


def test_the_line_of_an_error_starts_so_that_a_caller_can_tell() -> None:
    for text in (b"nonsense", compact(END).encode()):
        (line,) = decode_lines([text])
        assert line.startswith(ERROR_START)
    (line,) = decode_lines([compact(MENTION).encode()])
    assert not line.startswith(ERROR_START)


@given(
    st.lists(
        st.binary(max_size=30) | st.sampled_from([compact(MENTION).encode(), b"[", b"]", b"{"])
    )
)
def test_nothing_raises(lines: list[bytes]) -> None:
    for line in decode_lines([line + b"\n" for line in lines]):
        assert json.loads(line)
