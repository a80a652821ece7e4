"""The consent page."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

HTML = {"Accept": "text/html,application/xhtml+xml"}


async def _page(peer, *, cookie: str = "", **changes: str):
    headers = HTML | ({"Cookie": f"sandbox_user={cookie}"} if cookie else {})
    query = urlencode(peer.asked(**changes))
    return await peer.call("GET", f"/i/oauth2/authorize?{query}", headers=headers)


async def test_agreeing_sends_state_and_code_back_percent_encoded(peer):
    answer = await peer.consent()

    assert answer.status == 302
    assert re.fullmatch(
        r"http://127\.0\.0\.1:8765/callback\?state=a%2Bb%2Fc%3D%3D&code=[\w\-%]+",
        answer.headers["location"],
    )
    assert answer.headers["cache-control"] == "no-store"


async def test_cancelling_sends_access_denied_and_the_state_back(peer):
    answer = await peer.consent(decision="cancel")

    assert answer.headers["location"] == (
        "http://127.0.0.1:8765/callback?error=access_denied&state=a%2Bb%2Fc%3D%3D"
    )


async def test_a_redirect_that_has_a_query_keeps_it(peer):
    peer.app.redirect_uris.append("http://127.0.0.1:8765/callback?x=1")

    answer = await peer.consent(redirect_uri="http://127.0.0.1:8765/callback?x=1")

    assert answer.headers["location"].startswith("http://127.0.0.1:8765/callback?x=1&state=")


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:8765/callback/",
        "http://127.0.0.1:8766/callback",
        "https://127.0.0.1:8765/callback",
        "http://localhost:8765/callback",
        "http://127.0.0.1:8765/callback?x=1",
        "-",
    ],
)
async def test_a_redirect_that_is_not_registered_exactly_so_is_refused(peer, read, uri):
    answer = await peer.consent(redirect_uri=uri)

    assert answer.status == 400
    assert read(answer)["error"] == "invalid_request"
    assert "does not match" in read(answer)["error_description"]


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"response_type": "token"},
        {"scope": "-"},
        {"scope": "tweet.read tweet.fly"},
        {"state": "-"},
        {"state": "s" * 501},
        {"code_challenge": "-"},
        {"code_challenge": "short"},
        {"code_challenge_method": "-"},
        {"code_challenge_method": "S512"},
        {"as": "nobody"},
    ],
)
async def test_a_malformed_request_is_refused_without_a_redirect(peer, changes):
    answer = await peer.consent(**changes)

    assert answer.status == 400
    assert "location" not in answer.headers


async def test_a_browser_sees_a_page_that_refuses_and_the_sandboxs_reason(peer):
    answer = await _page(peer, client_id="<script>")

    assert answer.status == 400
    assert answer.headers["content-type"].startswith("text/html")
    assert b"You weren&#39;t able" in answer.body or b"You weren't able" in answer.body


async def test_the_page_says_which_app_which_user_and_what_for(peer):
    page = (await _page(peer, cookie="ada")).body.decode()

    assert "Greeter wants to access an X account" in page
    assert '<option value="ada" selected>' in page
    assert "<code>tweet.write</code>" in page
    assert "http://127.0.0.1:8765" in page


async def test_whoever_is_logged_in_is_chosen_when_the_browser_has_no_session(peer):
    peer.world.logged_in = "greeter"

    assert '<option value="greeter" selected>' in (await _page(peer)).body.decode()


async def test_nobody_logged_in_and_nobody_named_is_refused(peer, read):
    assert (await peer.consent(**{"as": "-"})).status == 400


async def test_a_name_in_the_page_is_escaped(peer):
    peer.app.name = "<img src=x onerror=alert(1)>"
    peer.ada.name = "</option><script>"

    page = (await _page(peer)).body.decode()

    assert "<img" not in page
    assert "<script" not in page


async def test_a_suspended_user_cannot_be_chosen(peer):
    peer.server.faults.suspend("ada")

    assert "@ada" not in (await _page(peer)).body.decode()


async def test_the_page_loads_nothing_and_runs_nothing(peer):
    answer = await _page(peer)

    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' http://127.0.0.1:8765" in policy
    assert answer.headers["referrer-policy"] == "same-origin"
    assert b"http-equiv" not in answer.body
    assert not re.search(rb"<(script|link|img|iframe)\b|(src|href)=", answer.body)


async def test_the_page_can_be_used_without_seeing_it(peer):
    page = (await _page(peer)).body.decode()

    assert '<html lang="en">' in page
    assert '<label for="as">' in page
    assert page.count("<h1>") == 1
    assert page.count('type="submit"') == 2


async def test_a_custom_scheme_may_be_a_redirect(peer):
    peer.app.redirect_uris.append("myapp://done")

    answer = await _page(peer, redirect_uri="myapp://done")

    assert "form-action 'self' myapp:" in answer.headers["content-security-policy"]


async def test_a_plain_challenge_may_be_short(peer, read):
    # Programs in the wild log in with `code_challenge=challenge&code_challenge_method=plain`.
    issued = await peer.code(code_challenge="challenge", code_challenge_method="plain")
    assert (await peer.exchange(issued, code_verifier="another")).status == 400
    issued = await peer.code(code_challenge="challenge", code_challenge_method="plain")
    assert (await peer.exchange(issued, code_verifier="challenge")).status == 200
