from __future__ import annotations

import re
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oauthlib.oauth1.rfc5849 import signature as reference

from botkit.model.tokens import Secret, TokenPair
from botkit.protocol.oauth.oauth1 import SigningTemplate, escape, new_nonce

CONSUMER_SECRET = "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw"
PAIR = TokenPair(
    token=Secret("370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb"),
    token_secret=Secret("LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE"),
)
NONCE = "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg"
TIMESTAMP = 1318622958
STATUS = [
    ("status", "Hello Ladies + Gentlemen, a signed OAuth request!"),
    ("include_entities", "true"),
]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def template() -> SigningTemplate:
    return SigningTemplate("xvz1evFS4wEEPTGEFPHBog", Secret(CONSUMER_SECRET), PAIR)


def header_parts(header: str) -> dict[str, str]:
    assert header.startswith("OAuth ")
    found = re.findall(r'([a-z_]+)="([^"]*)"', header)
    return {name: urllib.parse.unquote(value) for name, value in found}


def signature(header: str) -> str:
    return header_parts(header)["oauth_signature"]


@pytest.mark.parametrize(
    ("method", "url", "params", "expected"),
    [
        (
            "POST",
            "https://api.x.com/1.1/statuses/update.json",
            STATUS,
            "Ls93hJiZbQ3akF3HF3x1Bz8/zU4=",
        ),
        (
            "POST",
            "https://api.twitter.com/1.1/statuses/update.json",
            STATUS,
            "hCtSmYh+iHYCEqBWrE7C7hYmtUk=",
        ),
        (
            "POST",
            "https://api.twitter.com/1/statuses/update.json",
            STATUS,
            "tnnArxj06cWHq44gCs1OSKk/jLY=",
        ),
        (
            "GET",
            "https://api.x.com/2/users/me",
            [("user.fields", "id,username")],
            "TCiy/E5gF4Mkah33a3iqdUNPxgc=",
        ),
        (
            "GET",
            "https://api.x.com/2/users/me?user.fields=id,username#top",
            [],
            "TCiy/E5gF4Mkah33a3iqdUNPxgc=",
        ),
        ("POST", "https://api.x.com/2/tweets", [], "lr+tV/DKclEvXKVjG6tgaSSLV0k="),
        ("post", "HTTPS://API.x.com:443/2/tweets", [], "lr+tV/DKclEvXKVjG6tgaSSLV0k="),
    ],
)
def test_signatures_are_those_of_xs_documentation(
    method: str, url: str, params: list[tuple[str, str]], expected: str
) -> None:
    header = template().authorization(method, url, params, nonce=NONCE, timestamp=TIMESTAMP)
    assert signature(header) == expected


LOGIN_SECRET = Secret("L8qq9PZyRg6ieKGEKhZolGC0vJWLw8iEJ88DRdyOg")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("api.twitter.com", "F1Li3tvehgcraF8DMJ7OyxO4w9Y="),
        ("api.x.com", "X9xhcB9d+NxXd/ThJ/n51vPhetM="),
    ],
)
def test_the_request_token_is_asked_for_with_a_signed_callback(host: str, expected: str) -> None:
    header = SigningTemplate("cChZNFj6T5R0TigYB9yd1w", LOGIN_SECRET).authorization(
        "POST",
        f"https://{host}/oauth/request_token",
        nonce="ea9ec8429b68d6b77cd5600adbbb0456",
        timestamp=1318467427,
        extra={"oauth_callback": "http://localhost/sign-in-with-twitter/"},
    )
    assert signature(header) == expected
    assert header_parts(header)["oauth_callback"] == "http://localhost/sign-in-with-twitter/"
    assert "oauth_token=" not in header


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("api.twitter.com", "39cipBtIOHEEnybAR4sATQTpl2I="),
        ("api.x.com", "G3DdousFWwxEepaZcmHguKqeBvs="),
    ],
)
def test_the_access_token_is_asked_for_with_a_signed_verifier(host: str, expected: str) -> None:
    pair = TokenPair(
        token=Secret("NPcudxy0yU5T3tBzho7iCotZ3cnetKwcTIRlX0iwRl0"),
        token_secret=Secret("veNRnAWe6inFuo8o2u8SLLZLjolYDmDP7SzL0YfYI"),
    )
    header = SigningTemplate("cChZNFj6T5R0TigYB9yd1w", LOGIN_SECRET, pair).authorization(
        "POST",
        f"https://{host}/oauth/access_token",
        [("oauth_verifier", "uw7NjWHT6OJ1MpJOXsHfNxoAhPKpgI8BlYDhxEjIBY")],
        nonce="a9900fe68e2573b27a37f10fbad6a755",
        timestamp=1318467427,
    )
    assert signature(header) == expected


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("Ladies + Gentlemen", "Ladies%20%2B%20Gentlemen"),
        ("An encoded string!", "An%20encoded%20string%21"),
        ("Dogs, Cats & Mice", "Dogs%2C%20Cats%20%26%20Mice"),
        ("☃", "%E2%98%83"),
        ("-._~/", "-._~%2F"),
    ],
)
def test_escaping_is_that_of_rfc_3986(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def test_the_header_has_the_seven_parameters() -> None:
    header = template().authorization(
        "POST", "https://api.x.com/2/tweets", nonce=NONCE, timestamp=str(TIMESTAMP)
    )
    assert header_parts(header) == {
        "oauth_consumer_key": "xvz1evFS4wEEPTGEFPHBog",
        "oauth_nonce": NONCE,
        "oauth_signature": "lr+tV/DKclEvXKVjG6tgaSSLV0k=",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": str(TIMESTAMP),
        "oauth_token": PAIR.token.reveal(),
        "oauth_version": "1.0",
    }


@given(
    params=st.lists(st.tuples(TEXT, TEXT), max_size=6),
    query=st.lists(st.tuples(TEXT, TEXT), max_size=3),
    secrets=st.tuples(TEXT, TEXT, TEXT, TEXT),
    url=st.sampled_from(
        [
            "https://api.x.com/2/tweets",
            "http://127.0.0.1:8080/2/users",
            "HTTP://Example.COM:80/a%20b",
        ]
    ),
)
def test_signatures_agree_with_oauthlib_for_odd_characters_and_names_that_come_twice(
    params: list[tuple[str, str]],
    query: list[tuple[str, str]],
    secrets: tuple[str, str, str, str],
    url: str,
) -> None:
    consumer_key, consumer_secret, token, token_secret = (text.strip() for text in secrets)
    pair = TokenPair(token=Secret(token), token_secret=Secret(token_secret))
    whole = f"{url}?{urllib.parse.urlencode(query)}" if query else url
    header = SigningTemplate(consumer_key, Secret(consumer_secret), pair).authorization(
        "POST", whole, params, nonce=NONCE, timestamp=TIMESTAMP
    )
    pairs = [
        *params,
        *query,
        ("oauth_consumer_key", consumer_key),
        ("oauth_nonce", NONCE),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", str(TIMESTAMP)),
        ("oauth_token", token),
        ("oauth_version", "1.0"),
    ]
    base = reference.signature_base_string(
        "POST", reference.base_string_uri(url), reference.normalize_parameters(pairs)
    )
    expected = reference.sign_hmac_sha1_with_client(base, _Client(consumer_secret, token_secret))
    assert signature(header) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("oauth_callback", "http://127.0.0.1:1/a%20b?c=%2520"),
        ("realm", "r"),
        ("oauth_verifier", "%"),
    ],
)
def test_a_parameter_is_signed_as_it_stands_whatever_its_name(name: str, value: str) -> None:
    url = "https://api.x.com/oauth/request_token"
    header = template().authorization("POST", url, [(name, value)], nonce=NONCE, timestamp=1)
    sent = [(k, v) for k, v in header_parts(header).items() if k != "oauth_signature"]
    text = reference.signature_base_string(
        "POST", url, reference.normalize_parameters([*sent, (name, value)])
    )
    client = _Client(CONSUMER_SECRET, PAIR.token_secret.reveal())
    assert signature(header) == reference.sign_hmac_sha1_with_client(text, client)


def test_the_header_of_a_login_is_the_same_to_the_letter() -> None:
    header = SigningTemplate("key", Secret("secret")).authorization(
        "POST",
        "https://api.x.com/oauth/request_token",
        nonce="abc",
        timestamp=1,
        extra={"oauth_callback": "http://127.0.0.1:8765/a b~"},
    )
    assert header == (
        'OAuth oauth_consumer_key="key", oauth_nonce="abc",'
        f' oauth_signature="{urllib.parse.quote(signature(header), "~")}",'
        ' oauth_signature_method="HMAC-SHA1", oauth_timestamp="1", oauth_version="1.0",'
        ' oauth_callback="http%3A%2F%2F127.0.0.1%3A8765%2Fa%20b~"'
    )


class _Client:
    def __init__(self, client_secret: str, resource_owner_secret: str) -> None:
        self.client_secret = client_secret
        self.resource_owner_secret = resource_owner_secret


def test_the_fast_way_and_the_thorough_way_sign_alike() -> None:
    signer = template()
    url = "https://api.x.com/2/tweets"
    fast = signer.authorization("POST", url, nonce=NONCE, timestamp=TIMESTAMP)
    assert fast == signer.authorization("POST", url, nonce=NONCE, timestamp=TIMESTAMP)
    assert fast == signer.authorization("POST", url + "?", nonce=NONCE, timestamp=TIMESTAMP)


def test_more_urls_than_are_kept_are_signed_all_the_same() -> None:
    signer = template()
    for number in range(600):
        url = f"https://api.x.com/2/tweets/{number}"
        ours = signer.authorization("DELETE", url, nonce=NONCE, timestamp=TIMESTAMP)
        assert ours == template().authorization("DELETE", url, nonce=NONCE, timestamp=TIMESTAMP)
    assert len(signer._routes) <= 256


@pytest.mark.parametrize("nonce", ["", "a-b", "a b", 'a"', "é"])
def test_a_nonce_that_x_would_not_take_is_refused(nonce: str) -> None:
    with pytest.raises(ValueError, match="nonce"):
        template().authorization(
            "POST", "https://api.x.com/2/tweets", nonce=nonce, timestamp=TIMESTAMP
        )


def test_a_nonce_has_64_bits_and_is_letters_and_digits() -> None:
    assert new_nonce(b"\x00\xff" * 8) == "00ff" * 8
    with pytest.raises(ValueError, match="8 random bytes"):
        new_nonce(b"1234567")


def test_a_template_does_not_show_its_secrets() -> None:
    assert repr(template()) == "SigningTemplate(...)"


def test_stray_white_space_around_keys_is_dropped() -> None:
    loose = SigningTemplate(
        " xvz1evFS4wEEPTGEFPHBog\n",
        Secret(f"{CONSUMER_SECRET}\r\n"),
        TokenPair(
            token=Secret(f" {PAIR.token.reveal()}"),
            token_secret=Secret(f"{PAIR.token_secret.reveal()} "),
        ),
    )
    url = "https://api.x.com/2/tweets"
    assert loose.authorization("POST", url, nonce=NONCE, timestamp=1) == template().authorization(
        "POST", url, nonce=NONCE, timestamp=1
    )
