from __future__ import annotations

import base64
import string
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.errors import AuthorizationDenied, StateMismatch
from botkit.model.tokens import Secret
from botkit.protocol.oauth import oauth2

STATE = "s" * 43
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
UNRESERVED = set(string.ascii_letters + string.digits + "-._~")


def authorize_url(**changed: object) -> str:
    given: dict[str, object] = {
        "client_id": "the-id",
        "redirect_uri": "http://127.0.0.1:8765/callback",
        "scopes": ("tweet.read", "tweet.write", "users.read", "offline.access"),
        "state": STATE,
        "code_verifier": VERIFIER,
    }
    consent_url = str(changed.pop("consent_url", "https://x.com/i/oauth2/authorize"))
    return oauth2.authorize_url(consent_url, **(given | changed))  # type: ignore[arg-type]


def parameters(url: str) -> list[tuple[str, str]]:
    return urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query, keep_blank_values=True)


def test_the_challenge_is_that_of_rfc_7636_appendix_b() -> None:
    assert oauth2.code_challenge(VERIFIER) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@given(st.binary(min_size=32, max_size=200))
def test_verifiers_and_states_are_43_to_128_unreserved_characters(random: bytes) -> None:
    for text in (oauth2.new_code_verifier(random), oauth2.new_state(random)):
        assert 43 <= len(text) <= 128
        assert set(text) <= UNRESERVED


def test_different_bytes_give_different_verifiers_and_states() -> None:
    one, two = b"\x00" * 32, b"\x00" * 31 + b"\x01"
    assert oauth2.new_code_verifier(one) != oauth2.new_code_verifier(two)
    assert oauth2.new_state(one) != oauth2.new_state(two)


def test_too_little_randomness_is_refused() -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        oauth2.new_state(b"x" * 31)


def test_the_authorize_url_carries_exactly_the_parameters_of_the_flow() -> None:
    assert parameters(authorize_url()) == [
        ("response_type", "code"),
        ("client_id", "the-id"),
        ("redirect_uri", "http://127.0.0.1:8765/callback"),
        ("scope", "tweet.read tweet.write users.read offline.access"),
        ("state", STATE),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ]


def test_scopes_are_joined_by_percent_20() -> None:
    assert "scope=tweet.read%20tweet.write%20users.read%20offline.access" in authorize_url()


def test_what_consent_url_and_client_id_hold_already_survives() -> None:
    url = authorize_url(consent_url="https://x.test/authorize?lang=a%2Bb", client_id=" a+b \n")
    assert url.startswith("https://x.test/authorize?lang=a%2Bb&response_type=code&")
    assert dict(parameters(url))["client_id"] == "a+b"
    assert "+" not in url


@pytest.mark.parametrize(
    ("client_id", "secret", "pair"),
    [
        ("id", "secret", "id:secret"),
        ("Aladdin", "open sesame", "Aladdin:open%20sesame"),
        (" id\n", "\tsecret \r\n", "id:secret"),
        ("a:b", "c:+%&~d", "a%3Ab:c%3A%2B%25%26~d"),
        ("ä", "€", "%C3%A4:%E2%82%AC"),
    ],
)
def test_basic_form_encodes_id_and_secret_each_and_trims_them(
    client_id: str, secret: str, pair: str
) -> None:
    header = oauth2.basic_authorization(client_id, Secret(secret))
    assert header == "Basic " + base64.b64encode(pair.encode()).decode()


def test_basic_of_the_apps_key_and_secret_is_that_of_x() -> None:
    secret = Secret("L8qq9PZyRg6ieKGEKhZolGC0vJWLw8iEJ88DRdyOg")
    assert oauth2.basic_authorization("xvz1evFS4wEEPTGEFPHBog", secret) == (
        "Basic eHZ6MWV2RlM0d0VFUFRHRUZQSEJvZzpMOHFxOVBaeVJnNmllS0dFS2hab2xHQzB2SldMdzhpRUo4OERSZHlPZw=="
    )


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_basic_can_be_decoded_to_what_was_given(secret: str) -> None:
    header = oauth2.basic_authorization("id", Secret(secret))
    pair = base64.b64decode(header.removeprefix("Basic ")).decode()
    assert urllib.parse.unquote_plus(pair.partition(":")[2]) == secret.strip()


def test_the_forms_hold_what_the_grant_needs_and_no_secret() -> None:
    code = oauth2.code_form(
        code=Secret("a+b&c"),
        redirect_uri="http://127.0.0.1:8765/callback",
        code_verifier=Secret(VERIFIER),
    )
    assert urllib.parse.parse_qsl(code.decode()) == [
        ("grant_type", "authorization_code"),
        ("redirect_uri", "http://127.0.0.1:8765/callback"),
        ("code", "a+b&c"),
        ("code_verifier", VERIFIER),
    ]
    assert oauth2.refresh_form(Secret("r+1")) == b"grant_type=refresh_token&refresh_token=r%2B1"
    assert oauth2.client_credentials_form() == b"grant_type=client_credentials"
    assert (
        oauth2.revoke_form(Secret("t&1"), hint="refresh_token")
        == b"token=t%261&token_type_hint=refresh_token"
    )


def test_a_callback_with_the_right_state_gives_the_code() -> None:
    assert oauth2.read_callback(f"state={STATE}&code=a%2Bb", state=STATE) == "a+b"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "code=c",
        "state=&code=c",
        "state=other&code=c",
        f"state={STATE}x&code=c",
        f"state={STATE}&state={STATE}&code=c",
        f"state={STATE}&state=other&code=c",
        f"state={STATE}&code=c&code=d",
        f"state={STATE}&code=c&foo=1&foo=1",
        f"state={STATE}&code=c&error=access_denied",
        f"state={STATE}",
        f"state={STATE}&code=",
        f"state={STATE}&code=%ff",
        "error=access_denied",
        "error=access_denied&state=other",
        f"state={STATE}&code=c&" + "&".join(f"p{n}=1" for n in range(64)),
        "state=\udcff&code=c",
    ],
)
def test_a_callback_that_cannot_be_trusted_is_refused_and_the_attempt_goes_on(query: str) -> None:
    with pytest.raises(StateMismatch):
        oauth2.read_callback(query, state=STATE)


def test_an_attempt_without_a_state_matches_nothing() -> None:
    with pytest.raises(StateMismatch):
        oauth2.read_callback("state=&code=c", state="")


@given(st.text(), st.text(min_size=1, alphabet=st.characters(codec="ascii")))
def test_no_query_makes_the_callback_raise_anything_else(query: str, state: str) -> None:
    try:
        code = oauth2.read_callback(query, state=state)
    except (StateMismatch, AuthorizationDenied):
        return
    assert ("code", code) in urllib.parse.parse_qsl(query)


def test_a_configured_issuer_must_stand_in_the_redirect_letter_by_letter() -> None:
    query = f"state={STATE}&code=c&iss=https%3A%2F%2Fx.com"
    assert oauth2.read_callback(query, state=STATE, issuer="https://x.com") == "c"
    for other in ("https://x.com/", "https://evil.example"):
        with pytest.raises(StateMismatch, match="another issuer"):
            oauth2.read_callback(query, state=STATE, issuer=other)
    refusal = f"state={STATE}&error=access_denied"
    for from_elsewhere in (refusal + "&iss=https%3A%2F%2Fevil.example", refusal):
        with pytest.raises(StateMismatch, match="issuer"):
            oauth2.read_callback(from_elsewhere, state=STATE, issuer="https://x.com")


def test_a_redirect_without_a_configured_issuer_is_refused_and_named_ones_do_not_matter_else() -> (
    None
):
    with pytest.raises(StateMismatch, match="without the issuer"):
        oauth2.read_callback(f"state={STATE}&code=c", state=STATE, issuer="https://x.com")
    query = f"state={STATE}&code=c&iss=https%3A%2F%2Fx.com"
    assert oauth2.read_callback(query, state=STATE) == "c"


def test_a_declined_consent_says_so() -> None:
    with pytest.raises(AuthorizationDenied, match="person declined"):
        oauth2.read_callback(f"error=access_denied&state={STATE}", state=STATE)


def test_another_refusal_says_what_x_said_cut_and_on_one_line() -> None:
    query = urllib.parse.urlencode(
        {
            "error": "invalid_scope",
            "error_description": "no\r\n\x1b[31m" + "x" * 900,
            "state": STATE,
        }
    )
    with pytest.raises(AuthorizationDenied, match="invalid_scope no") as refusal:
        oauth2.read_callback(query, state=STATE)
    assert refusal.value.message.isprintable()
    assert len(refusal.value.message) < 300
