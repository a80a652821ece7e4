"""Who may call a hook: a token, or a signature over the raw bytes, each once and whole."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from pydantic import SecretStr

from botkit.config import HookSettings
from botkit.web.hooks.proofs import NOBODY, Proofs, proofs_of
from botkit.web.requests import WebRequest

# The published example of Standard Webhooks, as its libraries test it (github.com/standard-webhooks,
# read 2026-11-30).
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, SENT = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
NOW = datetime.fromtimestamp(SENT, UTC)
# GitHub docs, "Validating webhook deliveries" (read 2026-11-30).
HUB = "It's a Secret to Everybody"
HUB_BODY = b"Hello, World!"
HUB_SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


class Asked:
    """The headers of a request, as the server decodes them."""

    def __init__(self, *headers: tuple[str, str]) -> None:
        self._headers = headers

    def headers(self, name: str) -> list[str]:
        return [value for key, value in self._headers if key.lower() == name.lower()]


def accepts(
    proofs: Proofs, *headers: tuple[str, str], body: bytes = BODY, now: datetime = NOW
) -> bool:
    return proofs.accept(cast("WebRequest", Asked(*headers)), body, now=now)


def standard(
    *, name: str = ID, sent: str = str(SENT), signature: str = SIGNATURE
) -> Sequence[tuple[str, str]]:
    return (
        ("webhook-id", name),
        ("webhook-timestamp", sent),
        ("webhook-signature", signature),
    )


def signed_at(sent: str, name: str = ID) -> str:
    content = b"%b.%b.%b" % (name.encode(), sent.encode(), BODY)
    key = base64.b64decode(STANDARD.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()


SIGNED = proofs_of(HookSettings(secret=SecretStr(STANDARD)))
HUBBED = proofs_of(HookSettings(secret=SecretStr(HUB)))
TOKEN = "t0k3n-of-sixteen-or-more"
BEARER = proofs_of(HookSettings(token=SecretStr(TOKEN), previous_token=SecretStr("old" * 8)))


def test_the_published_example_of_standard_webhooks_is_taken() -> None:
    assert accepts(SIGNED, *standard())
    assert SIGNED.signs_ids
    assert accepts(SIGNED, *standard(sent=f"00{SENT}", signature=signed_at(f"00{SENT}")))
    assert not HUBBED.signs_ids


def test_one_of_several_signatures_is_enough_as_while_a_secret_is_replaced() -> None:
    assert accepts(SIGNED, *standard(signature=f"v1,bm9uZQ== v1a,xyz {SIGNATURE}"))
    both = proofs_of(
        HookSettings(
            secret=SecretStr("whsec_" + base64.b64encode(b"n" * 24).decode()),
            previous_secret=SecretStr(STANDARD),
        )
    )
    assert accepts(both, *standard())


@pytest.mark.parametrize("off_s", [-300, 300])
def test_five_minutes_either_way_are_taken(off_s: int) -> None:
    assert accepts(SIGNED, *standard(), now=NOW + timedelta(seconds=off_s))


@pytest.mark.parametrize("off_s", [-301, 301])
def test_a_second_more_is_not(off_s: int) -> None:
    assert not accepts(SIGNED, *standard(), now=NOW + timedelta(seconds=off_s))


@pytest.mark.parametrize(
    "headers",
    [
        standard(name="msg_other"),
        standard(name=""),
        standard(name="", signature=signed_at(str(SENT), "")),
        standard(sent="1614265331"),
        standard(sent="١٦١٤٢٦٥٣٣٠"),
        standard(sent=f"+{SENT}"),
        standard(sent="1" * 400),
        standard(sent=f"000{SENT}", signature=signed_at(f"000{SENT}")),
        standard(signature=SIGNATURE[3:]),
        standard(signature=SIGNATURE[:-1]),
        standard(signature="v1,\udce9"),
        standard(signature=" ".join(["v1,bm9uZQ=="] * 16 + [SIGNATURE])),
        [*standard(), ("webhook-id", ID)],
        [*standard(), ("webhook-signature", SIGNATURE)],
        standard()[:2],
        [],
        [("Authorization", "Bearer ")],
    ],
    ids=str,
)
def test_any_other_form_is_refused(headers: Sequence[tuple[str, str]]) -> None:
    assert not accepts(SIGNED, *headers)


def test_a_changed_byte_is_refused() -> None:
    assert not accepts(SIGNED, *standard(), body=BODY + b" ")
    assert not accepts(HUBBED, ("X-Hub-Signature-256", HUB_SIGNATURE), body=HUB_BODY + b" ")


def test_the_published_example_of_github_is_taken() -> None:
    assert accepts(HUBBED, ("X-Hub-Signature-256", HUB_SIGNATURE), body=HUB_BODY)


@pytest.mark.parametrize(
    "given",
    [
        HUB_SIGNATURE.removeprefix("sha256="),
        HUB_SIGNATURE.upper(),
        HUB_SIGNATURE[:-1],
        HUB_SIGNATURE.replace("sha256", "sha1"),
        "sha256=" + hmac.new(b"-", HUB_BODY, hashlib.sha256).hexdigest(),
        "",
        "\udcff",
    ],
)
def test_a_body_signature_has_one_form(given: str) -> None:
    assert not accepts(HUBBED, ("X-Hub-Signature-256", given), body=HUB_BODY)


def test_a_signature_made_with_no_secret_opens_no_hook_with_a_token() -> None:
    made = "sha256=" + hmac.new(b"-", BODY, hashlib.sha256).hexdigest()
    assert not accepts(BEARER, ("X-Hub-Signature-256", made))
    content = b"%b.%d.%b" % (ID.encode(), SENT, BODY)
    forged = "v1," + base64.b64encode(hmac.digest(b"-", content, "sha256")).decode()
    assert not accepts(BEARER, *standard(signature=forged))


def test_the_token_and_the_one_before_are_taken_whatever_the_case_of_the_scheme() -> None:
    assert accepts(BEARER, ("Authorization", f"Bearer {TOKEN}"))
    assert accepts(BEARER, ("authorization", f"bearer {'old' * 8}"))


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", TOKEN)],
        [("Authorization", f"Basic {TOKEN}")],
        [("Authorization", f"Bearer {TOKEN}x")],
        [("Authorization", f"Bearer {TOKEN[:-1]}")],
        [("Authorization", "Bearer \udce9\udc80")],
        [("Authorization", f"Bearer {TOKEN}"), ("Authorization", f"Bearer {TOKEN}")],
        [],
    ],
    ids=str,
)
def test_another_token_is_refused(headers: Sequence[tuple[str, str]]) -> None:
    assert not accepts(BEARER, *headers)


def test_nothing_opens_a_hook_that_is_not_there() -> None:
    for headers in ([], [("Authorization", "")], [("Authorization", "Bearer ")], standard()):
        assert not accepts(NOBODY, *headers)
