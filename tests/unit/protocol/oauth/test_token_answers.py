from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.errors import (
    BadRequest,
    BotkitError,
    Forbidden,
    InvalidClient,
    InvalidGrant,
    MalformedAnswer,
    PaymentRequired,
    RateLimited,
    ServerError,
    Unauthorized,
)
from botkit.model.tokens import Secret
from botkit.protocol.oauth.oauth2 import read_bearer_answer, read_revoke_answer, read_token_answer

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
_ODD_TYPES = ("application/problem+json", "text/plain", "text/html; charset=utf-8", "")
JSON = {"content-type": "application/json;charset=utf-8"}
GRANTED = {
    "token_type": "bearer",
    "expires_in": 7200,
    "access_token": "at-1",
    "scope": "tweet.read users.read offline.access",
    "refresh_token": "rt-1",
}


@dataclass(frozen=True)
class Answer:
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: JSON)
    body: bytes = b""


def granted(**changed: Any) -> Answer:
    fields = {key: value for key, value in (GRANTED | changed).items() if value is not ...}
    return Answer(body=json.dumps(fields).encode())


def refused(status: int, error: str, description: str = "", **headers: str) -> Answer:
    body = json.dumps({"error": error, "error_description": description}).encode()
    return Answer(status=status, headers=JSON | headers, body=body)


def test_a_grant_is_read_whole() -> None:
    tokens = read_token_answer(granted())
    assert tokens.access_token == Secret("at-1")
    assert tokens.refresh_token == Secret("rt-1")
    assert tokens.scopes == ("tweet.read", "users.read", "offline.access")
    assert tokens.expires_in_s == 7200.0


@pytest.mark.parametrize("spelling", ["bearer", "Bearer", "BEARER"])
def test_the_token_type_counts_in_any_case(spelling: str) -> None:
    assert read_token_answer(granted(token_type=spelling)).access_token


@pytest.mark.parametrize(
    ("said", "life_s"),
    [
        (7200, 7200.0),
        ("7200", 7200.0),
        (" 7200 ", 7200.0),
        (160.5, 160.5),
        ("160.5", 160.5),
        (365 * 86400, 365 * 86400.0),
        (None, 7200.0),
        (..., 7200.0),
    ],
)
def test_the_life_of_the_access_token_is_a_number_or_digits_and_else_two_hours(
    said: object, life_s: float
) -> None:
    assert read_token_answer(granted(expires_in=said)).expires_in_s == life_s


@pytest.mark.parametrize(
    "odd", [0, -1, True, False, "soon", "abc", "", "-5", [7200], {}, 10**12, "9" * 18, 10**400]
)
def test_an_odd_life_counts_as_two_hours_and_costs_no_token(odd: object) -> None:
    tokens = read_token_answer(granted(expires_in=odd))
    assert (tokens.expires_in_s, tokens.refresh_token) == (7200.0, Secret("rt-1"))


def test_a_life_beyond_every_number_counts_as_two_hours() -> None:
    body = granted().body.replace(b"7200", b"1e309")
    assert read_token_answer(Answer(body=body)).expires_in_s == 7200.0


@pytest.mark.parametrize("short", [5, "5", 0.001, 119])
def test_a_life_that_leaves_no_minute_between_refreshes_counts_as_two(short: object) -> None:
    assert read_token_answer(granted(expires_in=short)).expires_in_s == 120.0


def test_no_refresh_token_means_that_the_old_one_stays() -> None:
    assert read_token_answer(granted(refresh_token=...)).refresh_token is None
    for empty in (None, "", " \n"):
        assert read_token_answer(granted(refresh_token=empty)).refresh_token is None


def test_a_refresh_token_is_taken_as_it_is_but_for_blanks_around_it() -> None:
    assert read_token_answer(granted(refresh_token=" rt-2\n")).refresh_token == Secret("rt-2")
    assert read_token_answer(granted(refresh_token="rt ü")).refresh_token == Secret("rt ü")


def test_scopes_that_are_not_named_are_those_that_were_asked_for() -> None:
    assert read_token_answer(granted(scope=...), asked=["b", "a"]).scopes == ("b", "a")
    for odd in ("", " ", 7, [], [7], {"a": 1}):
        assert read_token_answer(granted(scope=odd), asked=["b", "a"]).scopes == ("b", "a")
    assert read_token_answer(granted(scope=["b", 7, "a"])).scopes == ("b", "a")
    assert read_token_answer(granted(scope="a  b a")).scopes == ("a", "b")


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (granted(access_token=...), "access_token"),
        (granted(access_token=""), "access_token"),
        (granted(access_token=7), "access_token"),
        (granted(access_token="a b"), "access_token"),
        (granted(access_token="a\r\nX: y"), "access_token"),
        (granted(refresh_token=["x"]), "refresh_token"),
        (granted(token_type="mac"), "token_type"),
        (granted(padding="x" * 65536), "size"),
        (Answer(body=b""), "body"),
        (Answer(body=b"[]"), "body"),
        (Answer(body=b'"text"'), "body"),
        (Answer(body=b'{"access_token": "at-1"'), "body"),
        (Answer(body=b'{"expires_in": NaN}'), "body"),
        (Answer(body=b"[" * 60000), "body"),
        (Answer(body=b"\xff\xfe"), "body"),
        (Answer(headers={"content-type": "text/html"}, body=b"<p>at-1</p>"), "body"),
        (Answer(status=201, body=b'{"access_token": "at-1"'), "body"),
    ],
)
def test_a_success_without_a_usable_token_is_malformed_and_never_quoted(
    answer: Answer, part: str
) -> None:
    with pytest.raises(MalformedAnswer, match=part) as error:
        read_token_answer(answer)
    for secret in ("at-1", "rt-1"):
        assert secret not in str(error.value) + error.value.detail


@pytest.mark.parametrize(
    "answer",
    [
        *(Answer(headers={"content-type": kind}, body=granted().body) for kind in _ODD_TYPES),
        Answer(headers={}, body=granted().body),
        Answer(status=201, body=granted().body),
        *(granted(token_type=odd) for odd in (..., None, 1, "", " Bearer ")),
    ],
)
def test_new_tokens_are_not_lost_to_an_odd_content_type_status_or_token_type(
    answer: Answer,
) -> None:
    tokens = read_token_answer(answer)
    assert (tokens.access_token, tokens.refresh_token) == (Secret("at-1"), Secret("rt-1"))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused(401, "unauthorized_client", "Missing valid authorization header"), InvalidClient),
        (refused(400, "invalid_request", "Missing required parameter [client_id]."), BadRequest),
        (
            refused(400, "invalid_request", "Missing required parameter [redirect_uri]."),
            BadRequest,
        ),
        (refused(400, "invalid_request", "Falta el parámetro [code]."), BadRequest),
        (
            refused(
                400, "invalid_request", "Value passed for the authorization code was invalid."
            ),
            InvalidGrant,
        ),
        (
            refused(
                400,
                "invalid_request",
                "Value passed for the redirect uri did not match the uri of the authorization code.",
            ),
            InvalidGrant,
        ),
        (
            refused(
                400, "invalid_request", "The redirect uri x does not match the registered one"
            ),
            InvalidGrant,
        ),
        (refused(400, "invalid_request", "Value passed for the token was invalid."), InvalidGrant),
        (refused(400, "invalid_client", "whatever"), InvalidClient),
        (refused(401, "invalid_client"), InvalidClient),
        (refused(400, "invalid_grant", "lo que sea"), InvalidGrant),
        (refused(400, "invalid_request", "El valor no es válido."), BadRequest),
        (refused(400, "invalid_request"), BadRequest),
        (refused(400, "unsupported_grant_type"), BadRequest),
        (refused(401, "something"), Unauthorized),
        (refused(403, "something"), Forbidden),
        (refused(429, "invalid_request", "Value passed for the token was invalid."), RateLimited),
        (refused(503, "invalid_grant"), ServerError),
        (refused(408, "invalid_grant"), ServerError),
        (Answer(status=401, body=b"<html>incident</html>"), Unauthorized),
        (Answer(status=401, body=b'{"title":"Unauthorized","status":401}'), Unauthorized),
        (Answer(status=502, body=b""), ServerError),
        (Answer(status=500, body=b"[" * 60000), ServerError),
        (Answer(status=402, body=b"{}"), PaymentRequired),
        (Answer(status=302, body=b""), MalformedAnswer),
    ],
)
def test_every_refusal_is_classified_by_what_has_to_be_done(
    answer: Answer, kind: type[BotkitError]
) -> None:
    with pytest.raises(BotkitError) as error:
        read_token_answer(answer, now=NOW)
    assert type(error.value) is kind


def test_a_refusal_that_cannot_be_told_keeps_the_token_and_xs_words() -> None:
    with pytest.raises(BadRequest, match="could not be told") as error:
        read_token_answer(refused(400, "invalid_request", "El valor no es válido."))
    assert error.value.detail == "El valor no es válido."


def test_a_redirect_uri_that_differs_is_named_with_its_cure() -> None:
    with pytest.raises(InvalidGrant, match="redirect URI") as error:
        read_token_answer(
            refused(400, "invalid_request", "Value passed for the redirect uri did not match.")
        )
    assert "console" in error.value.hint
    assert isinstance(error.value.__cause__, BadRequest)


def test_a_429_says_until_when() -> None:
    reset = str(int((NOW + timedelta(seconds=30)).timestamp()))
    answer = refused(429, "x", **{"x-rate-limit-reset": reset, "x-rate-limit-remaining": "0"})
    with pytest.raises(RateLimited) as error:
        read_token_answer(answer, now=NOW)
    assert error.value.retry_at == NOW + timedelta(seconds=30)


def test_without_our_clock_xs_clock_serves() -> None:
    headers = {"date": "Sat, 21 Nov 2026 12:00:00 GMT", "retry-after": "30"}
    with pytest.raises(ServerError) as error:
        read_token_answer(refused(503, "x", **headers))
    assert error.value.retry_at == NOW + timedelta(seconds=30)


def test_the_apps_bearer_token_is_read() -> None:
    body = b'{"token_type":"bearer","access_token":"AAAA%2FAAA"}'
    assert read_bearer_answer(Answer(body=body)) == Secret("AAAA%2FAAA")


def test_a_bearer_of_another_type_is_refused() -> None:
    with pytest.raises(MalformedAnswer, match="token_type"):
        read_bearer_answer(Answer(body=b'{"token_type":"mac","access_token":"A"}'))


@pytest.mark.parametrize("code", [32, 99, 215])
def test_a_key_and_secret_that_x_does_not_know_are_an_invalid_client(code: int) -> None:
    body = json.dumps(
        {"errors": [{"code": code, "label": "authenticity_token_error", "message": "Unable"}]}
    ).encode()
    with pytest.raises(InvalidClient, match=r"API key and secret \(403: Unable\)") as caught:
        read_bearer_answer(Answer(status=403, body=body))
    assert "not the client's" in caught.value.hint


def test_a_revocation_is_done_by_any_200_and_by_a_token_that_is_dead_already() -> None:
    read_revoke_answer(Answer(body=b'{"revoked":true}'))
    read_revoke_answer(Answer(body=b"", headers={}))
    read_revoke_answer(refused(400, "invalid_request", "Value passed for the token was invalid."))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused(503, "x"), ServerError),
        (refused(401, "invalid_client"), InvalidClient),
        (refused(400, "invalid_request", "?"), BadRequest),
    ],
)
def test_a_revocation_that_was_not_done_says_so(answer: Answer, kind: type[BotkitError]) -> None:
    with pytest.raises(kind):
        read_revoke_answer(answer)


@given(
    st.integers(min_value=100, max_value=599),
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
def test_no_answer_makes_the_reader_raise_anything_but_botkits_errors(
    status: int, body: bytes
) -> None:
    with pytest.raises(BotkitError):
        read_token_answer(Answer(status=status, body=body), now=NOW)
