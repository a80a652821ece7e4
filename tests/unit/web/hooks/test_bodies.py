"""Bodies of deliveries: JSON as it is, a form as an object of texts, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from botkit.web.hooks.bodies import BodyFault, decode_body

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("kind", "body", "data"),
    [
        ("application/json", b'{"a": [1, null, "\xc3\xa9"]}', {"a": [1, None, "é"]}),
        ("application/json; charset=utf-8", b"7", 7),
        ("Application/CloudEvents+JSON", b"{}", {}),
        ("", b'"text"', "text"),
        (FORM, b"a=1&b=%C3%A9+x&c=", {"a": "1", "b": "é x", "c": ""}),
        (f"{FORM}; charset=UTF-8", b"a=1&a=2&a=3", {"a": ["1", "2", "3"]}),
        (FORM, b"", {}),
    ],
)
def test_a_body_is_read_as_its_type_says(kind: str, body: bytes, data: Any) -> None:
    assert decode_body(kind, body, most_kib=1) == data


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"", 400),
        ("application/json", b'{"a": }', 400),
        ("application/json", b"\xff", 400),
        ("application/json", b'"\\ud800"', 400),
        ("application/json", b"[" * 1024, 400),
        (FORM, b"a=%ff", 400),
        (FORM, b"\xc3\xa9=1", 400),
        (FORM, b"&&&", 400),
        (FORM, b"a&b", 400),
        ("text/xml", b"<a/>", 415),
        ("multipart/form-data; boundary=x", b"", 415),
        ("application/json", b"1" * 1025, 413),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_status(
    kind: str, body: bytes, status: int
) -> None:
    with pytest.raises(BodyFault) as refused:
        decode_body(kind, body, most_kib=1)
    assert refused.value.status == status
