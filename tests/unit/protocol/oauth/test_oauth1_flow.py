from __future__ import annotations

import urllib.parse
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.errors import (
    AuthError,
    AuthorizationDenied,
    BadRequest,
    BotkitError,
    ConfigError,
    InvalidClient,
    InvalidGrant,
    MalformedAnswer,
    RateLimited,
    ServerError,
    StateMismatch,
    Unauthorized,
)
from botkit.model.tokens import Secret, TokenPair
from botkit.ports.io import HttpResponse
from botkit.protocol.oauth import oauth1_flow
from botkit.protocol.oauth.oauth1 import SigningTemplate
from botkit.protocol.oauth.oauth1_flow import ACCESS_TOKEN, PIN_CALLBACK, REQUEST_TOKEN, Blame

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CALLBACK = "http://127.0.0.1:8765/callback"
TOKEN = TokenPair(token=Secret("NPcudxy0+/="), token_secret=Secret("veNRnAWe"))
FIELDS = {"oauth_token": "tok&en+", "oauth_token_secret": "se=cret%", "x": ""}
CODE_415 = '{"errors":[{"code":415,"message":"URL de callback no aprobada."}]}'
HASH = (
    "<?xml version='1.0'?>\n<hash>\n<error>URL de callback no aprobada &amp; m\u00e1s</error>\n"
    "<request>/oauth/request_token</request>\n</hash>"
)


def answer(
    body: str | bytes, *, status: int = 200, date: datetime | None = NOW, **headers: str
) -> HttpResponse:
    named = {} if date is None else {"date": format_datetime(date, usegmt=True)}
    raw = body if isinstance(body, bytes) else body.encode()
    return HttpResponse(status=status, headers=named | headers, body=raw)


def form(**fields: str) -> HttpResponse:
    return answer(urllib.parse.urlencode(fields))


def requested(response: HttpResponse, *, callback: str = CALLBACK) -> TokenPair:
    return oauth1_flow.read_request_token(response, callback=callback, now=NOW)


def refused(
    body: str, *, status: int = 403, request: str = REQUEST_TOKEN, callback: str = CALLBACK
) -> BotkitError:
    return oauth1_flow.read_refusal(
        answer(body, status=status), request, callback=callback, now=NOW
    )


def test_the_consent_address_names_the_request_token_percent_encoded() -> None:
    base = "https://api.x.com/oauth/authorize"
    assert oauth1_flow.authorize_url(base, TOKEN) == f"{base}?oauth_token=NPcudxy0%2B%2F%3D"
    with_name = oauth1_flow.authorize_url(f"{base}?a=b", TOKEN, username="greeter")
    assert with_name == f"{base}?a=b&oauth_token=NPcudxy0%2B%2F%3D&screen_name=greeter"


def test_the_redirect_of_this_login_gives_its_verifier() -> None:
    query = urllib.parse.urlencode({"oauth_token": "NPcudxy0+/=", "oauth_verifier": "uw7+/="})
    assert oauth1_flow.read_callback(query, request_token=TOKEN) == "uw7+/="


@pytest.mark.parametrize(
    "query",
    [
        "",
        "oauth_verifier=v",
        "oauth_token=another&oauth_verifier=v",
        "oauth_token=NPcudxy0%2B%2F%3D",
        "oauth_token=NPcudxy0%2B%2F%3D&oauth_verifier=",
        "oauth_token=NPcudxy0%2B%2F%3D&oauth_verifier=v&oauth_verifier=v",
        "oauth_token=NPcudxy0%2B%2F%3D&oauth_token=NPcudxy0%2B%2F%3D&oauth_verifier=v",
        "oauth_token=NPcudxy0%2B%2F%3D&oauth_verifier=v&denied=NPcudxy0%2B%2F%3D",
        "denied=another",
        "oauth_token=another&denied=NPcudxy0%2B%2F%3D",
        "oauth_token=NPcudxy0%2B%2F%3D&denied=another",
        "oauth_token=%ff&oauth_verifier=v",
        "&".join(f"a{number}=b" for number in range(80)),
        "oauth_token=\ud800&oauth_verifier=v",
    ],
)
def test_a_redirect_that_is_not_of_this_login_leaves_it_open(query: str) -> None:
    with pytest.raises(StateMismatch):
        oauth1_flow.read_callback(query, request_token=TOKEN)


@pytest.mark.parametrize("also", ["", "&oauth_token=NPcudxy0%2B%2F%3D"])
def test_a_refusal_of_this_login_is_the_persons_answer(also: str) -> None:
    with pytest.raises(AuthorizationDenied):
        oauth1_flow.read_callback(f"denied=NPcudxy0%2B%2F%3D{also}", request_token=TOKEN)


@given(st.text(max_size=60))
def test_no_query_whatever_passes_without_the_token(query: str) -> None:
    with pytest.raises(StateMismatch):
        oauth1_flow.read_callback(query, request_token=TOKEN)


@pytest.mark.parametrize("typed", ["1234567", " 0034567\r\n", "\u00a01234567\t"])
def test_a_pin_is_trimmed_and_keeps_its_zeros(typed: str) -> None:
    assert oauth1_flow.read_pin(typed) == typed.strip()


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "  ",
        "12 34",
        "12-34",
        "abc",
        "1234567a",
        "\u0661\u0662\u0663",
        "1" * 33,
        "http://x/?oauth_verifier=1",
    ],
)
def test_what_is_not_digits_only_is_no_pin(typed: str) -> None:
    with pytest.raises(StateMismatch, match="PIN"):
        oauth1_flow.read_pin(typed)


def test_a_confirmed_request_token_is_read_whatever_its_content_type_says() -> None:
    pair = requested(form(**FIELDS, oauth_callback_confirmed="true"))
    assert (pair.token.reveal(), pair.token_secret.reveal()) == ("tok&en+", "se=cret%")


@pytest.mark.parametrize(
    "confirmed",
    [
        {},
        {"oauth_callback_confirmed": "false"},
        {"oauth_callback_confirmed": ""},
        {"oauth_callback_confirmed": "True"},
    ],
)
def test_without_the_confirmation_no_login_begins(confirmed: dict[str, str]) -> None:
    with pytest.raises(AuthError, match="did not confirm"):
        requested(form(**FIELDS, **confirmed))


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ("oauth_token=t&oauth_callback_confirmed=true", "oauth_token_secret"),
        ("oauth_token=&oauth_token_secret=s&oauth_callback_confirmed=true", "oauth_token"),
        ("oauth_token=%20&oauth_token_secret=s&oauth_callback_confirmed=true", "oauth_token"),
        ("oauth_token=a%0d%0ab&oauth_token_secret=s&oauth_callback_confirmed=true", "oauth_token"),
        (
            f"oauth_token={'a' * 5000}&oauth_token_secret=s&oauth_callback_confirmed=true",
            "oauth_token",
        ),
        ("oauth_token=a&oauth_token=b&oauth_token_secret=s", "body"),
        ("oauth_token=%ff&oauth_token_secret=s&oauth_callback_confirmed=true", "body"),
        (b"oauth_token=\xc3\xa9", "body"),
        ("&".join(f"a{number}=b" for number in range(80)), "body"),
        ("a=" + "b" * 70_000, "size"),
    ],
)
def test_a_success_without_a_usable_token_names_the_part_and_quotes_nothing(
    body: str, part: str
) -> None:
    with pytest.raises(MalformedAnswer) as raised:
        requested(answer(body))
    assert raised.value.detail == part
    assert "oauth_token=" not in str(raised.value)


def test_the_access_token_comes_with_whose_it_is() -> None:
    granted = oauth1_flow.read_access_token(
        form(**FIELDS, user_id="6253282", screen_name="greeter"), now=NOW
    )
    assert (granted.user_id, granted.username) == ("6253282", "greeter")
    assert granted.pair.token_secret == Secret("se=cret%")
    assert "se=cret" not in repr(granted)


@pytest.mark.parametrize("user_id", ["", "abc", "-1", "1" * 20, "\u0661"])
def test_an_access_token_of_nobody_is_refused(user_id: str) -> None:
    with pytest.raises(MalformedAnswer) as raised:
        oauth1_flow.read_access_token(form(**FIELDS, user_id=user_id))
    assert raised.value.detail == "user_id"


@pytest.mark.parametrize(
    "body",
    [
        CODE_415,
        CODE_415.replace("415", '"415"'),
        f'<errors><error code="415">{"no"}</error></errors>',
        HASH,
    ],
)
def test_a_callback_that_is_not_approved_names_the_rule_and_the_address(body: str) -> None:
    error = refused(body)
    assert isinstance(error, ConfigError)
    assert "[exact-match]" in error.message
    assert CALLBACK in error.message
    assert "Register it letter by letter" in error.hint


def test_the_words_of_an_xml_refusal_are_quoted_unescaped() -> None:
    assert "no aprobada & m\u00e1s" in refused(HASH).message


def test_an_app_without_pin_and_one_of_pin_only_are_told_apart_by_what_was_asked() -> None:
    body = '{"errors":[{"code":417,"message":"x"}]}'
    without = refused(body, callback=PIN_CALLBACK)
    only = refused(body)
    assert "[pin-needs-callback]" in without.message
    assert "--oauth1" in without.hint
    assert "[pin-only]" in only.message
    assert "--pin" in only.hint


@pytest.mark.parametrize("code", [32, 99, 215])
def test_a_wrong_signature_points_at_key_and_secret(code: int) -> None:
    body = f'{{"errors":[{{"code":{code},"message":"Could not authenticate you."}}]}}'
    error = refused(body, status=401)
    assert isinstance(error, InvalidClient)
    assert "api_key" in error.hint
    assert f"code {code}" in error.message


def test_a_time_out_of_bounds_points_at_the_clock() -> None:
    error = refused('{"errors":[{"code":135,"message":"Timestamp out of bounds."}]}', status=401)
    assert isinstance(error, ConfigError)
    assert "NTP" in error.hint


@pytest.mark.parametrize(
    ("body", "request_name"),
    [
        ('{"errors":[{"code":89,"message":"Invalid or expired token."}]}', ACCESS_TOKEN),
        ('{"errors":[{"code":89,"message":"Invalid or expired token."}]}', REQUEST_TOKEN),
        ("Error processing your OAuth request: Invalid oauth_verifier parameter", ACCESS_TOKEN),
    ],
)
def test_a_dead_token_or_a_wrong_pin_means_start_again(body: str, request_name: str) -> None:
    error = refused(body, status=401, request=request_name)
    assert isinstance(error, InvalidGrant)
    assert "Start again" in error.hint


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ("", 503, ServerError),
        ("<html>busy</html>", 500, ServerError),
        ('{"errors":[{"code":88,"message":"Rate limit exceeded"}]}', 429, RateLimited),
    ],
)
def test_what_passes_by_itself_is_no_fault_of_keys_or_callback(
    body: str, status: int, kind: type[BotkitError]
) -> None:
    assert isinstance(refused(body, status=status), kind)


def test_a_refusal_that_could_not_be_told_keeps_xs_own_words() -> None:
    error = refused("Whoa there!", status=400)
    assert isinstance(error, BadRequest)
    assert error.detail == "Whoa there!"
    assert "could not be told" in error.hint
    generic = refused("Failed to validate oauth signature and token", status=401)
    assert isinstance(generic, Unauthorized)
    assert "could not be told" in generic.hint
    hashed = refused(HASH, status=401)
    assert isinstance(hashed, Unauthorized)
    listed = refused("[1]", status=403)
    assert isinstance(listed, BotkitError)


def test_a_known_code_keeps_its_cure() -> None:
    error = refused('{"errors":[{"code":416,"message":"x"}]}')
    assert "suspended" in error.hint


def test_a_redirect_instead_of_an_answer_is_malformed() -> None:
    with pytest.raises(MalformedAnswer):
        requested(answer("", status=302))


def test_a_refusal_carries_what_x_answered_as_its_cause() -> None:
    error = refused(CODE_415)
    assert isinstance(error.__cause__, BotkitError)
    plain = refused("x", status=400)
    assert plain.__cause__ is None


def test_a_refusal_without_any_clock_is_read_all_the_same() -> None:
    error = oauth1_flow.read_refusal(answer(CODE_415, status=403, date=None), REQUEST_TOKEN)
    assert isinstance(error, ConfigError)


CODE_135 = '{"errors":[{"code":135,"message":"Timestamp out of bounds."}]}'
GENERIC_401 = '{"title":"Unauthorized","status":401}'
CODE_32 = '{"errors":[{"code":32,"message":"Could not authenticate you."}]}'


@pytest.mark.parametrize(
    ("body", "status", "off_s", "expected"),
    [
        (CODE_135, 401, 1200, 1200),
        (CODE_135, 403, -5, -5),
        (GENERIC_401, 401, 1200, 1200),
        (GENERIC_401, 401, -1200, -1200),
        (GENERIC_401, 401, 30, None),
        (GENERIC_401, 403, 1200, None),
        (CODE_32, 401, 1200, None),
        ("oauth_token=t", 200, 1200, None),
    ],
)
def test_only_a_refused_time_moves_the_clock(
    body: str, status: int, off_s: int, expected: int | None
) -> None:
    response = answer(body, status=status, date=NOW + timedelta(seconds=off_s))
    off = oauth1_flow.read_clock_off(response, now=NOW)
    assert off == (None if expected is None else timedelta(seconds=expected))


def test_without_xs_clock_nothing_is_corrected() -> None:
    assert oauth1_flow.read_clock_off(answer(CODE_135, status=401, date=None), now=NOW) is None


@pytest.mark.parametrize(
    ("codes", "blame"),
    [
        ((89,), Blame.TOKEN),
        ((32, 89), Blame.TOKEN),
        ((135,), Blame.CLOCK),
        ((32,), Blame.KEYS),
        ((99,), Blame.KEYS),
        ((215,), Blame.KEYS),
        ((), Blame.UNSAID),
        ((187,), Blame.UNSAID),
    ],
)
def test_the_codes_of_a_401_say_what_it_is_about(codes: tuple[int, ...], blame: Blame) -> None:
    assert oauth1_flow.blame_of(codes) is blame


@pytest.mark.parametrize(
    ("body", "status", "blame"),
    [
        ("oauth_token=a&oauth_token_secret=b&oauth_callback_confirmed=true", 200, Blame.TOKEN),
        (CODE_415, 403, Blame.TOKEN),
        (HASH, 403, Blame.TOKEN),
        (CODE_32, 401, Blame.KEYS),
        (CODE_135, 401, Blame.CLOCK),
        ('{"errors":[{"code":89,"message":"?"}]}', 401, Blame.UNSAID),
        (GENERIC_401, 401, Blame.UNSAID),
        ("", 503, Blame.UNSAID),
    ],
)
def test_keys_that_x_takes_alone_leave_the_token_to_blame(
    body: str, status: int, blame: Blame
) -> None:
    assert oauth1_flow.blame_by_keys(answer(body, status=status), now=NOW) is blame


def test_invalidated_means_dead_now_or_before() -> None:
    oauth1_flow.read_invalidated(answer('{"access_token":"t"}'), now=NOW)
    dead = '{"errors":[{"code":89,"message":"Invalid or expired token."}]}'
    oauth1_flow.read_invalidated(answer(dead, status=401), now=NOW)
    with pytest.raises(InvalidClient):
        oauth1_flow.read_invalidated(answer(CODE_32, status=401), now=NOW)
    with pytest.raises(ServerError):
        oauth1_flow.read_invalidated(answer("", status=503), now=NOW)


@pytest.mark.parametrize(
    "text",
    [
        "1-abc\nse%cret+/=\n",
        "\ufeff  1-abc \r\n\r\n  se%cret+/=  ",
        '{"oauth_token": "1-abc", "oauth_token_secret": " se%cret+/= ", "user_id": "1"}',
    ],
)
def test_a_token_and_its_secret_are_read_from_two_lines_or_json(text: str) -> None:
    pair = oauth1_flow.read_given_pair(text)
    assert (pair.token.reveal(), pair.token_secret.reveal()) == ("1-abc", "se%cret+/=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "hunter2\nb\nc",
        "access token: hunter2\nb",
        "hunter2\n\x1bb",
        "{not json hunter2",
        '{"oauth_token": "hunter2"}',
        '{"oauth_token": 7, "oauth_token_secret": "hunter2"}',
        '{"oauth_token": "", "oauth_token_secret": "hunter2"}',
        '[{"oauth_token": "hunter2"}]',
    ],
)
def test_anything_else_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        oauth1_flow.read_given_pair(text)
    assert "hunter2" not in str(raised.value)


def signature_of(header: str) -> str:
    return urllib.parse.unquote(header.split('oauth_signature="')[1].split('"', maxsplit=1)[0])


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("api.x.com", "X9xhcB9d+NxXd/ThJ/n51vPhetM="),
        ("api.twitter.com", "F1Li3tvehgcraF8DMJ7OyxO4w9Y="),
    ],
)
def test_a_request_token_call_is_signed_as_in_xs_documentation(host: str, expected: str) -> None:
    template = SigningTemplate(
        "cChZNFj6T5R0TigYB9yd1w", Secret("L8qq9PZyRg6ieKGEKhZolGC0vJWLw8iEJ88DRdyOg")
    )
    header = template.authorization(
        "POST",
        f"https://{host}/oauth/request_token",
        nonce="ea9ec8429b68d6b77cd5600adbbb0456",
        timestamp=1318467427,
        extra={"oauth_callback": "http://localhost/sign-in-with-twitter/"},
    )
    assert signature_of(header) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("api.x.com", "G3DdousFWwxEepaZcmHguKqeBvs="),
        ("api.twitter.com", "39cipBtIOHEEnybAR4sATQTpl2I="),
    ],
)
@pytest.mark.parametrize("place", ["header", "form"])
def test_an_access_token_call_is_signed_as_in_xs_documentation(
    host: str, expected: str, place: str
) -> None:
    verifier = {"oauth_verifier": "uw7NjWHT6OJ1MpJOXsHfNxoAhPKpgI8BlYDhxEjIBY"}
    more: dict[str, Any] = (
        {"extra": verifier} if place == "header" else {"params": list(verifier.items())}
    )
    pair = TokenPair(
        token=Secret("NPcudxy0yU5T3tBzho7iCotZ3cnetKwcTIRlX0iwRl0"),
        token_secret=Secret("veNRnAWe6inFuo8o2u8SLLZLjolYDmDP7SzL0YfYI"),
    )
    template = SigningTemplate(
        "cChZNFj6T5R0TigYB9yd1w", Secret("L8qq9PZyRg6ieKGEKhZolGC0vJWLw8iEJ88DRdyOg"), pair
    )
    header = template.authorization(
        "POST",
        f"https://{host}/oauth/access_token",
        nonce="a9900fe68e2573b27a37f10fbad6a755",
        timestamp=1318467427,
        **more,
    )
    assert signature_of(header) == expected
