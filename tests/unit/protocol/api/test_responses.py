from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.errors import (
    BadRequest,
    Forbidden,
    MalformedAnswer,
    NotFound,
    PaymentRequired,
    RateLimited,
    ResponseError,
    ServerError,
    Unauthorized,
)
from botkit.protocol.api.json_values import parse_body
from botkit.protocol.api.responses import Response, read_response

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NAME = "POST /2/tweets"
OLD = "https://api.twitter.com/2/problems/"
NEW = "https://api.x.com/2/problems/"


def read(status: int, body: Any = b"", **headers: str) -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_response(NAME, status, named, raw, now=NOW)


def refusal(status: int, body: Any = b"", **headers: str) -> ResponseError:
    with pytest.raises(ResponseError) as error:
        read(status, body, **headers)
    assert error.value.request == NAME
    assert error.value.status == status
    return error.value


# --- successes -------------------------------------------------------------------------------


def test_a_success_is_read_with_its_windows_level_and_clock() -> None:
    response = read(
        201,
        {"data": {"id": "1", "text": "hi"}},
        x_rate_limit_limit="200",
        x_rate_limit_remaining="199",
        x_rate_limit_reset="1651930551",
        x_user_limit_24hour_limit="1440",
        x_user_limit_24hour_remaining="7",
        x_user_limit_24hour_reset="1651930551",
        x_access_level=" Read-Write ",
        date="Sat, 21 Nov 2026 12:00:00 GMT",
    )
    assert response.status == 201
    assert response.data == {"id": "1", "text": "hi"}
    assert response.window is not None
    assert (response.window.limit, response.window.remaining) == (200, 199)
    assert response.day_window is not None
    assert response.day_window.remaining == 7
    assert response.level == "read-write"
    assert response.date == NOW


def test_a_success_without_headers_has_none_of_them() -> None:
    assert read(200, {"data": []}) == Response(status=200, data=[])


def test_fault_23_includes_meta_and_errors_come_along() -> None:
    response = read(
        200,
        {
            "data": [{"id": "1"}],
            "includes": {"users": []},
            "meta": {"result_count": 1},
            "errors": [{"title": "Not Found Error"}, "noise"],
        },
    )
    assert response.includes == {"users": []}
    assert response.meta == {"result_count": 1}
    assert response.errors == ({"title": "Not Found Error"},)


def test_an_empty_page_is_a_success() -> None:
    assert read(200, {"meta": {"result_count": 0}}).data is None


def test_parts_of_another_type_count_as_absent() -> None:
    assert read(200, {"data": 1, "includes": [], "meta": "x", "errors": {}}) == Response(
        status=200, data=1
    )


def test_rules_that_were_refused_stand_beside_their_summary() -> None:
    body = {
        "meta": {"summary": {"created": 0, "not_created": 1}},
        "errors": [{"type": OLD + "duplicate-rules", "id": "5", "value": "cat"}],
    }
    assert read(200, body).errors[0]["value"] == "cat"


def test_no_content_is_a_success_without_data() -> None:
    assert read(204) == Response(status=204)


def test_halves_of_surrogate_pairs_in_a_users_text_do_not_spoil_the_page() -> None:
    assert read(200, b'{"data":{"text":"a\\ud83d"}}').data == {"text": "a\ufffd"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"<html>login</html>",
        b'{"data":',
        b"[]",
        b'"text"',
        b"null",
        b"7",
        b'{"data": NaN}',
        b'{"data": Infinity}',
        b'{"data": ' + b"[" * 100_000,
        b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"\xff\xfe\x00",
    ],
)
def test_fault_24_a_success_that_is_no_json_object_is_malformed(body: bytes) -> None:
    assert type(refusal(200, body)) is MalformedAnswer


@given(st.integers(min_value=100, max_value=599), st.binary(max_size=300))
def test_fault_28_bytes_give_a_response_or_an_error_of_the_tree(status: int, body: bytes) -> None:
    met: ResponseError | None = None
    try:
        read(status, body)
    except ResponseError as error:
        met = error
    if met is not None:
        assert met.request == NAME
        assert met.message.isprintable()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,  # larger ones are too slow to make on a busy machine
)
FIELDS = st.sampled_from(
    ["data", "errors", "meta", "includes", "title", "detail", "type", "status", "code", "message"]
)


@given(
    st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 409, 429, 500]),
    st.dictionaries(FIELDS, JSON_VALUES | st.lists(st.dictionaries(FIELDS, JSON_VALUES))),
)
def test_objects_of_any_types_give_a_response_or_an_error_of_the_tree(
    status: int, body: dict[str, Any]
) -> None:
    try:
        response = read_response(NAME, status, {}, json.dumps(body).encode(), now=NOW)
    except ResponseError:
        return
    assert all(isinstance(entry, dict) for entry in response.errors)


def test_what_is_too_deep_anyhow_is_a_value_error() -> None:
    for body in (b"[" * 100_000, b'[NaN,"\\ud800"', b'["\\ud800",' + b"[" * 100_000):
        with pytest.raises(ValueError):
            parse_body(body)


# --- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, MalformedAnswer),
        (400, BadRequest),
        (401, Unauthorized),
        (402, PaymentRequired),
        (403, Forbidden),
        (404, NotFound),
        (405, BadRequest),
        (408, ServerError),
        (409, BadRequest),
        (418, BadRequest),
        (425, ServerError),
        (429, RateLimited),
        (500, ServerError),
        (501, BadRequest),
        (502, ServerError),
        (503, ServerError),
        (504, ServerError),
    ],
)
@pytest.mark.parametrize(
    "body", [b"", b"<html>no</html>", b"{}", b"[1]", {"title": "T", "detail": "D"}]
)
def test_the_status_decides_whatever_the_body_is(
    status: int, kind: type[ResponseError], body: Any
) -> None:
    assert type(refusal(status, body)) is kind


def test_a_problem_says_what_its_errors_say_once_each() -> None:
    wrong = {"parameters": {"text": [""]}, "message": "The text is empty."}
    general = "One or more parameters to your request was invalid."
    body = {"title": "Invalid Request", "detail": general, "errors": [wrong, wrong]}
    error = refusal(400, {**body, "type": NEW + "invalid-request"})
    assert error.detail == f"{general} The text is empty."
    assert str(error).count("The text is empty.") == 1


def test_a_problem_is_read_with_its_last_segment_whatever_its_host() -> None:
    for host in (OLD, NEW, "https://api.x.com/2/problems/invalid-request/../"):
        error = refusal(
            403,
            {"title": "Forbidden", "detail": "No.", "type": host + "oauth1-permissions"},
        )
        assert error.problem_type == "oauth1-permissions"
        assert error.title == "Forbidden"
        assert error.detail == "No."
        assert "permission level" in error.hint


def test_about_blank_is_kept_whole() -> None:
    error = refusal(401, {"title": "Unauthorized", "type": "about:blank", "status": 401})
    assert error.problem_type == "about:blank"


def test_a_v1_error_list_gives_codes_and_messages() -> None:
    error = refusal(
        403,
        {
            "errors": [
                {"code": 187, "message": "Status is a duplicate."},
                {"code": "64"},
                {"code": "x"},
                5,
            ]
        },
    )
    assert error.codes == (187, 64)
    assert error.detail == "Status is a duplicate."


@pytest.mark.parametrize("code", [True, None, 1.5, "1234567890", "٣", "-1"])
def test_a_code_that_is_no_number_is_left_out(code: object) -> None:
    assert refusal(400, {"errors": [{"code": code}]}).codes == ()


@pytest.mark.parametrize(
    ("status", "body", "kind", "hint"),
    [
        (
            402,
            {
                "account_id": 1,
                "title": "CreditsDepleted",
                "detail": "Your enrolled account [1] does not have any credits to fulfill this request.",
                "type": OLD + "credits",
            },
            PaymentRequired,
            "Top up",
        ),
        (403, {"title": "SpendCapReached", "detail": "until ..."}, PaymentRequired, "limit"),
        (
            429,
            {"title": "UsageCapExceeded", "period": "Monthly", "type": OLD + "usage-capped"},
            PaymentRequired,
            "cycle",
        ),
        (429, {"title": "UsageCapExceeded"}, PaymentRequired, "cycle"),
        (403, {"type": NEW + "credits"}, PaymentRequired, "Top up"),
        (429, {"errors": [{"code": 88, "message": "Rate limit exceeded"}]}, RateLimited, ""),
        (403, {"errors": [{"code": 88}]}, RateLimited, ""),
        (403, {"errors": [{"code": 185}]}, RateLimited, "daily"),
        (
            429,
            {"title": "Too Many Requests", "type": "about:blank", "status": 429},
            RateLimited,
            "",
        ),
        (
            429,
            {
                "title": "ConnectionException",
                "connection_issue": "TooManyConnections",
                "type": NEW + "streaming-connection",
            },
            RateLimited,
            "",
        ),
        (
            401,
            {"errors": [{"code": 89, "message": "Invalid or expired token."}]},
            Unauthorized,
            "again",
        ),
        (401, {"errors": [{"code": 32}]}, Unauthorized, "secret"),
        (401, {"errors": [{"code": 135}]}, Unauthorized, "clock"),
        (403, {"errors": [{"code": 326}]}, Forbidden, "unlock"),
        (403, {"errors": [{"code": 64}]}, Forbidden, "suspended the account"),
        (403, {"errors": [{"code": 416}]}, Forbidden, "suspended the app"),
        (403, {"errors": [{"code": 415}]}, Forbidden, "callback URL"),
        (403, {"errors": [{"code": 261}]}, Forbidden, "permission level"),
        (403, {"errors": [{"code": 433}]}, Forbidden, "restricted"),
        (403, {"errors": [{"code": 9999}]}, Forbidden, ""),
        (
            403,
            {
                "client_id": "1",
                "title": "Client Forbidden",
                "reason": "client-not-enrolled",
                "type": OLD + "client-forbidden",
            },
            Forbidden,
            "Pay-per-use",
        ),
        (
            403,
            {"title": "Unsupported Authentication", "type": OLD + "unsupported-authentication"},
            Forbidden,
            "kind of credential",
        ),
        (
            403,
            {
                "detail": "You are not allowed to create a Tweet with duplicate content.",
                "type": "about:blank",
                "title": "Forbidden",
                "status": 403,
            },
            Forbidden,
            "",
        ),
        (409, {"type": OLD + "conflict", "title": "ConnectionException"}, BadRequest, ""),
        (404, {"type": NEW + "resource-not-found", "title": "Not Found Error"}, NotFound, ""),
        (500, {"type": OLD + "usage-capped"}, ServerError, ""),
    ],
)
def test_each_kind_of_body_is_the_error_it_means_with_its_cure(
    status: int, body: dict[str, Any], kind: type[ResponseError], hint: str
) -> None:
    error = refusal(status, body)
    assert type(error) is kind
    assert hint in error.hint


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        (
            {
                "resource_id": "456",
                "resource_type": "tweet",
                "title": "Not Found Error",
                "detail": "Could not find tweet with id: [456].",
                "type": NEW + "resource-not-found",
            },
            NotFound,
        ),
        (
            {
                "title": "Authorization Error",
                "detail": "Sorry, you are not authorized to see the user with id: [1].",
                "type": OLD + "not-authorized-for-resource",
            },
            Forbidden,
        ),
        ({"type": NEW + "invalid-request"}, BadRequest),
        ({"type": NEW + "internal-error"}, ServerError),
        ({"type": NEW + "rate-limit-exceeded"}, RateLimited),
        ({"type": NEW + "usage-capped"}, PaymentRequired),
        ({"type": "about:blank", "status": 403}, Forbidden),
        ({"title": "Not Found Error"}, NotFound),
        ({"code": 88, "message": "Rate limit exceeded"}, RateLimited),
        ({"title": "Something New"}, MalformedAnswer),
    ],
)
def test_a_success_with_errors_alone_is_what_its_first_error_means(
    entry: dict[str, Any], kind: type[ResponseError]
) -> None:
    error = refusal(200, {"errors": [entry, {"title": "Another"}]})
    assert type(error) is kind
    assert error.title == entry.get("title", "")
    assert error.detail == entry.get("detail", entry.get("message", ""))


def test_xs_words_are_cut_and_on_one_line() -> None:
    error = refusal(403, {"title": "T\r\n\x1b[31m", "detail": "\u202ex" * 4000})
    assert error.title == "T [31m"
    assert len(error.detail) == 500
    assert error.message.isprintable()
    assert refusal(403, {"detail": "x" * 500}).detail == "x" * 500


def test_the_beginning_of_a_body_that_is_no_json_is_kept() -> None:
    xml = b"<hash><error>Callback URL not approved</error></hash>"
    assert refusal(403, xml).detail == xml.decode()
    assert len(refusal(502, b"<p>" * 5000).detail) == 200


def test_a_429_says_when_by_our_clock() -> None:
    reset = str(int((NOW + timedelta(hours=1, seconds=30)).timestamp()))
    error = refusal(
        429,
        x_rate_limit_remaining="0",
        x_rate_limit_reset=reset,
        date="Sat, 21 Nov 2026 13:00:00 GMT",
    )
    assert isinstance(error, RateLimited)
    assert error.retry_at == NOW + timedelta(seconds=30)


def test_a_429_that_does_not_say_when_says_none() -> None:
    error = refusal(429)
    assert isinstance(error, RateLimited)
    assert error.retry_at is None


@pytest.mark.parametrize(
    ("value", "span"),
    [
        ("120", timedelta(minutes=2)),
        ("Sat, 21 Nov 2026 12:02:00 GMT", timedelta(minutes=2)),
        ("7200", timedelta(minutes=15)),
    ],
)
def test_a_503_with_retry_after_is_honoured_and_capped(value: str, span: timedelta) -> None:
    error = refusal(503, retry_after=value)
    assert isinstance(error, ServerError)
    assert error.retry_at == NOW + span


def test_a_503_without_retry_after_says_none() -> None:
    error = refusal(503)
    assert isinstance(error, ServerError)
    assert error.retry_at is None
