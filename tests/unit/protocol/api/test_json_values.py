"""The decoding of X's JSON, flawed as it may be."""

from __future__ import annotations

import pytest

from botkit.protocol.api.json_values import parse_json, unwrap


def test_only_pure_wrappers_are_unwrapped() -> None:
    assert unwrap({"data": {"id": "1"}, "includes": {}}) == {"id": "1"}
    assert unwrap({"data": {"id": "1"}, "tag": "x"}) == {"data": {"id": "1"}, "tag": "x"}
    deep: object = {"id": "1"}
    for _ in range(9):
        deep = {"data": deep}
    assert unwrap(deep) != {"id": "1"}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b'{"a":1}\r\n', {"a": 1}),
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
        (b'{"a":NaN,"b":[Infinity]}', {"a": None, "b": [None]}),
        (b'{"a":"\xff"}', {"a": "\ufffd"}),
        (b'{"a":"\\ud800x"}', {"a": "\ufffdx"}),
        (
            b'{"\\ud83d\\ude00":"\\ud83d\\ude00","b":["\\udc00"]}',
            {"\U0001f600": "\U0001f600", "b": ["\ufffd"]},
        ),
    ],
)
def test_json_with_flaws_is_read_without_guessing(line: bytes, value: object) -> None:
    assert parse_json(line) == value


@pytest.mark.parametrize(
    "line",
    [b"", b"<html>", b'{"a":', b'{"a":1} x', b"[" * 100_000, b"[" * 400 + b"]" * 400, b"9" * 9999],
)
def test_fault_26_what_is_no_json_or_nested_too_deeply_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_json(line)
