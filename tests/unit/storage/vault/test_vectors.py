"""What an earlier version sealed or signed opens: stores, files and links are out there.

`vectors.json` was made once, by the code of the day that it names. It is never made again: a form
that is added gets a vector of its own.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from botkit.client.upkeep.login_transfer import read_parcel
from botkit.errors import ConfigError, Corrupt, InvitationRefused, VaultKeyError
from botkit.protocol.oauth.invitations import PURPOSE, make_token, read_token
from botkit.storage.vault.parcel import open_parcel
from botkit.storage.vault.vault import Vault

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors.json").read_text())
PASSPHRASE: str = VECTORS["passphrase"]


def bytes_of(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def vault(key: bytes = bytes_of(VECTORS["key"])) -> Vault:
    return Vault(key, deployment=VECTORS["deployment"])


@pytest.mark.parametrize("vector", VECTORS["sealed"], ids=lambda vector: vector["form"])
def test_a_sealed_row_opens_and_only_as_the_row_that_it_is(vector: dict[str, Any]) -> None:
    sealed, place = bytes_of(vector["sealed"]), vector["place"]
    opened = vault().open(sealed, **place)
    assert {name: token.reveal() for name, token in opened.items()} == vector["tokens"]
    access = vault().open_access(sealed, **place)
    assert access.keys() == vector["tokens"].keys() - {"refresh_token", "spent"}
    others = {
        "account_id": "2000",
        "app": "third",
        "kind": "other",
        "gen": place["gen"] + 1,
        "origin": "http://127.0.0.1:1",
        **({"client_id": "another"} if "origin" in place else {}),
    }
    for name, value in others.items():
        with pytest.raises(Corrupt):
            vault().open(sealed, **{**place, name: value})
    with pytest.raises(VaultKeyError):
        vault(bytes(32)).open(sealed, **place)


def test_a_row_with_an_origin_does_not_open_as_an_older_one() -> None:
    for vector in VECTORS["sealed"]:
        if "origin" in vector["place"]:
            place = {**vector["place"], "origin": "", "client_id": ""}
            with pytest.raises(Corrupt):
                vault().open(bytes_of(vector["sealed"]), **place)


@pytest.mark.parametrize("vector", VECTORS["parcels"], ids=lambda vector: vector["form"])
def test_a_login_on_its_way_opens(vector: dict[str, Any]) -> None:
    content = open_parcel(vector["text"], PASSPHRASE)
    assert json.loads(content) == vector["content"]
    parcel = read_parcel(content)
    assert parcel.account.username == "greeter"
    assert parcel.logins[0].tokens["refresh_token"] == "rt-1"
    assert parcel.origin == vector["content"].get("origin", "")
    assert msgspec.json.decode(msgspec.json.encode(parcel), type=type(parcel)) == parcel
    title, _, body = vector["text"].partition("\n")
    other = {"botkit-login-1": "botkit-login-2", "botkit-login-2": "botkit-login-1"}[title]
    with pytest.raises(ConfigError, match="does not open"):
        open_parcel(f"{other}\n{body}", PASSPHRASE)


@pytest.mark.parametrize("vector", VECTORS["invitations"], ids=lambda vector: vector["id"])
def test_an_invitation_that_is_out_is_still_good(vector: dict[str, Any]) -> None:
    signer = vault()
    found = read_token(
        vector["token"], lambda payload, tag: signer.verify(payload, tag, purpose=PURPOSE)
    )
    assert (found.id, found.secret) == (vector["id"], bytes_of(vector["secret"]))
    made = make_token(found.id, found.secret, lambda text: signer.sign(text, purpose=PURPOSE))
    assert made == vector["token"]
    with pytest.raises(InvitationRefused):
        read_token(
            vector["token"], lambda payload, tag: signer.verify(payload, tag, purpose="other")
        )
