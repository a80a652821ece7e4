"""The addresses of calls, and what an app can do with the keys that it has."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from botkit.client.logins.endpoints import AppKeys, Endpoints
from botkit.model.tokens import CredentialKind, Secret
from botkit.protocol.api import requests

POST = requests.create_post("hi")


@pytest.mark.parametrize(
    ("query", "end"),
    [
        ((), "/2/tweets"),
        ((("ids", "1,2"), ("text", "a b*~ü")), "/2/tweets?ids=1%2C2&text=a%20b%2A~%C3%BC"),
    ],
)
def test_a_calls_address_is_encoded_as_it_is_signed(
    query: tuple[tuple[str, str], ...], end: str
) -> None:
    endpoints = Endpoints.at("https://x.test/")
    assert endpoints.url_of(replace(POST, query=query)) == "https://x.test" + end


@pytest.mark.parametrize("name", [name for name in Endpoints.__struct_fields__ if "_" in name])
def test_an_address_of_its_own_replaces_the_one_under_the_api_and_no_other(name: str) -> None:
    if name == "api_url":
        return
    plain = Endpoints.at("https://x.test")
    other = Endpoints.at("https://x.test", **{name: "https://y.test/there"})
    changed = [
        one for one in Endpoints.__struct_fields__ if getattr(plain, one) != getattr(other, one)
    ]
    assert changed == [name]


@pytest.mark.parametrize(
    ("keys", "signs", "acts"),
    [
        (AppKeys(), False, False),
        (AppKeys(api_key="k"), False, False),
        (AppKeys(api_secret=Secret("s")), False, False),
        (AppKeys(api_key="k", api_secret=Secret("s")), True, True),
        (AppKeys(bearer_token=Secret("b")), False, True),
        (AppKeys(client_id="c", client_secret=Secret("s")), False, False),
    ],
)
def test_an_app_signs_with_key_and_secret_and_acts_with_them_or_its_own_token(
    keys: AppKeys, *, signs: bool, acts: bool
) -> None:
    assert (keys.can_sign, keys.can_act_as_app) == (signs, acts)


def test_x_binds_each_kind_of_login_to_its_own_public_key() -> None:
    keys = AppKeys(client_id="client", api_key="key")
    assert [keys.public_key(kind) for kind in CredentialKind] == [
        "client" if kind is CredentialKind.OAUTH2 else "key" for kind in CredentialKind
    ]
