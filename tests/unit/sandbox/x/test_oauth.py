"""The token endpoints: what X enforces of OAuth 2.0."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

import pytest


async def test_a_code_becomes_tokens_with_the_scopes_that_were_granted(peer, read):
    answer = await peer.exchange(await peer.code())

    body = read(answer)
    assert answer.status == 200
    assert body["token_type"] == "bearer"
    assert body["expires_in"] == 7200
    assert body["scope"] == "tweet.read tweet.write users.read offline.access"
    assert body["access_token"] != body["refresh_token"]
    assert answer.headers["cache-control"] == "no-store"


async def test_without_offline_access_there_is_no_refresh_token(peer, read):
    answer = await peer.exchange(await peer.code(scope="tweet.read users.read"))

    assert "refresh_token" not in read(answer)


async def test_a_code_works_once(peer, read):
    code = await peer.code()
    await peer.exchange(code)

    again = await peer.exchange(code)

    assert again.status == 400
    assert read(again) == {
        "error": "invalid_request",
        "error_description": "Value passed for the authorization code was invalid.",
    }


async def test_a_code_lives_thirty_seconds(peer):
    young, old = await peer.code(), await peer.code()

    await peer.clock.advance(30)
    assert (await peer.exchange(young)).status == 200
    await peer.clock.advance(0.1)
    assert (await peer.exchange(old)).status == 400


async def test_a_code_of_another_app_is_refused(peer):
    other = peer.world.grants.add_app("Other")
    code = await peer.code()

    answer = await peer.call(
        "POST",
        "/2/oauth2/token",
        form=peer.exchange_form(code),
        headers=peer.basic(other.client_id, other.client_secret),
    )

    assert answer.status == 400
    assert (await peer.exchange(code)).status == 200  # and it is not spent by that


async def test_the_verifier_must_belong_to_the_challenge(peer, read):
    answer = await peer.exchange(await peer.code(), code_verifier="x" * 43)

    assert answer.status == 400
    assert read(answer)["error_description"].startswith("Value passed for the authorization code")


@pytest.mark.parametrize("method", ["S256", "s256"])
async def test_the_challenge_method_is_taken_in_either_spelling(peer, method):
    answer = await peer.exchange(await peer.code(code_challenge_method=method))

    assert answer.status == 200


async def test_a_plain_challenge_is_the_verifier_itself(peer):
    verifier = "v" * 43
    code = await peer.code(code_challenge_method="plain", code_challenge=verifier)

    assert (await peer.exchange(code, code_verifier=verifier)).status == 200


async def test_the_redirect_of_the_exchange_must_be_that_of_the_code(peer, read):
    answer = await peer.exchange(await peer.code(), redirect_uri="http://127.0.0.1:8765/other")

    assert answer.status == 400
    assert read(answer)["error_description"] == (
        "Value passed for the redirect uri did not match the uri of the authorization code."
    )


@pytest.mark.parametrize("name", ["code", "redirect_uri", "code_verifier", "grant_type"])
async def test_a_missing_parameter_is_named(peer, read, name):
    answer = await peer.exchange(await peer.code(), **{name: "-"})

    assert answer.status == 400
    assert read(answer) == {
        "error": "invalid_request",
        "error_description": f"Missing required parameter [{name}].",
    }


async def test_the_secret_in_the_body_alone_is_refused(peer, read):
    form = peer.exchange_form(
        await peer.code(), client_id=peer.app.client_id, client_secret=peer.app.client_secret
    )

    answer = await peer.call("POST", "/2/oauth2/token", form=form)

    assert answer.status == 401
    assert read(answer) == {
        "error": "unauthorized_client",
        "error_description": "Missing valid authorization header",
    }


async def test_id_and_secret_in_the_body_beside_a_valid_basic_header_are_tolerated(peer):
    answer = await peer.exchange(
        await peer.code(), client_id=peer.app.client_id, client_secret=peer.app.client_secret
    )

    assert answer.status == 200


async def test_another_client_id_in_the_body_is_refused(peer):
    answer = await peer.exchange(await peer.code(), client_id="somebody")

    assert answer.status == 401


@pytest.mark.parametrize(
    "header",
    [
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(b"nobody:x").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"\xff:x").decode()},
    ],
)
async def test_a_wrong_basic_header_is_refused_with_the_same_words(peer, read, header):
    form = peer.exchange_form(await peer.code())

    answer = await peer.call("POST", "/2/oauth2/token", form=form, headers=header)

    assert (answer.status, read(answer)["error"]) == (401, "unauthorized_client")


async def test_a_wrong_secret_is_refused(peer, read):
    form = peer.exchange_form(await peer.code())

    answer = await peer.call(
        "POST", "/2/oauth2/token", form=form, headers=peer.basic(secret="wrong")
    )

    assert (answer.status, read(answer)["error"]) == (401, "unauthorized_client")


async def test_id_and_secret_are_form_decoded(peer):
    peer.app.client_secret = "s:+%&~ é"

    assert (await peer.exchange(await peer.code())).status == 200


async def test_a_json_body_is_taken(peer, read):
    body = json.dumps(peer.exchange_form(await peer.code())).encode()

    answer = await peer.call("POST", "/2/oauth2/token", body=body, headers=peer.basic())

    assert answer.status == 200


async def test_a_json_body_that_is_no_object_misses_everything(peer, read):
    answer = await peer.call("POST", "/2/oauth2/token", body=b"[]", headers=peer.basic())

    assert read(answer)["error_description"] == "Missing required parameter [grant_type]."


async def test_a_public_app_shows_its_id_in_the_body_and_no_secret(peer, read):
    public = peer.world.grants.add_app(
        "Phone", client_secret=None, redirect_uris=["http://127.0.0.1:8765/callback"]
    )
    form = peer.exchange_form(await peer.code(client_id=public.client_id))

    without = await peer.call("POST", "/2/oauth2/token", form=form)
    form["client_id"] = public.client_id
    with_id = await peer.call("POST", "/2/oauth2/token", form=form)

    assert read(without)["error_description"] == "Missing required parameter [client_id]."
    assert with_id.status == 200


async def test_an_unknown_client_id_is_an_invalid_client(peer, read):
    form = peer.exchange_form("x", client_id="nobody")

    answer = await peer.call("POST", "/2/oauth2/token", form=form)

    assert (answer.status, read(answer)["error"]) == (400, "invalid_client")


async def test_another_grant_type_is_refused(peer, read):
    form = {"grant_type": "client_credentials"}

    answer = await peer.call("POST", "/2/oauth2/token", form=form, headers=peer.basic())

    assert (answer.status, read(answer)["error"]) == (400, "unsupported_grant_type")


async def test_a_refresh_gives_new_tokens_and_kills_the_refresh_token(peer, read):
    first = read(await peer.exchange(await peer.code()))

    second = read(await peer.refresh(first["refresh_token"]))
    again = await peer.refresh(first["refresh_token"])

    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert again.status == 400
    assert read(again) == {
        "error": "invalid_request",
        "error_description": "Value passed for the token was invalid.",
    }
    assert (await peer.refresh(second["refresh_token"])).status == 200


async def test_the_old_access_token_lives_on_after_a_refresh_until_its_time_is_up(peer, read):
    first = read(await peer.exchange(await peer.code()))
    await peer.refresh(first["refresh_token"])

    await peer.clock.advance(7199)
    assert (await peer.call("GET", "/2/users/me", token=first["access_token"])).status == 200
    await peer.clock.advance(1)
    expired = await peer.call("GET", "/2/users/me", token=first["access_token"])

    assert expired.status == 401
    assert read(expired) == {
        "title": "Unauthorized",
        "type": "about:blank",
        "status": 401,
        "detail": "Unauthorized",
    }


async def test_reuse_can_be_made_to_end_the_grant(peer, read):
    first = read(await peer.exchange(await peer.code()))
    second = read(await peer.refresh(first["refresh_token"]))
    peer.world.rules.reuse_kills_grant = True

    await peer.refresh(first["refresh_token"])

    assert (await peer.refresh(second["refresh_token"])).status == 400
    assert (await peer.call("GET", "/2/users/me", token=second["access_token"])).status == 401


async def test_a_refresh_can_be_made_to_end_the_old_access_token(peer, read):
    first = read(await peer.exchange(await peer.code()))
    peer.world.rules.refresh_kills_access = True

    await peer.refresh(first["refresh_token"])

    assert (await peer.call("GET", "/2/users/me", token=first["access_token"])).status == 401


async def test_a_second_login_ends_the_first(peer, read):
    first = read(await peer.exchange(await peer.code()))
    second = read(await peer.exchange(await peer.code()))

    assert (await peer.call("GET", "/2/users/me", token=first["access_token"])).status == 401
    assert (await peer.refresh(first["refresh_token"])).status == 400
    assert (await peer.call("GET", "/2/users/me", token=second["access_token"])).status == 200


async def test_another_apps_refresh_token_is_refused(peer, read):
    other = peer.world.grants.add_app("Other")
    grant = peer.world.grants.grant(other, peer.greeter.id, ["offline.access"])

    assert (await peer.refresh(grant.refresh)).status == 400


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
async def test_revoking_either_token_ends_both(peer, read, which):
    tokens = read(await peer.exchange(await peer.code()))

    answer = await peer.call(
        "POST", "/2/oauth2/revoke", form={"token": tokens[which]}, headers=peer.basic()
    )

    assert (answer.status, read(answer)) == (200, {"revoked": True})
    assert (await peer.call("GET", "/2/users/me", token=tokens["access_token"])).status == 401
    assert (await peer.refresh(tokens["refresh_token"])).status == 400


async def test_revoking_an_unknown_token_is_done_already(peer, read):
    answer = await peer.call(
        "POST", "/2/oauth2/revoke", form={"token": "unknown"}, headers=peer.basic()
    )

    assert answer.status == 200


async def test_the_user_can_take_the_grant_back(peer, read):
    tokens = read(await peer.exchange(await peer.code()))

    peer.world.revoke(peer.greeter.id)

    assert (await peer.call("GET", "/2/users/me", token=tokens["access_token"])).status == 401
    assert (await peer.refresh(tokens["refresh_token"])).status == 400


async def test_api_key_and_secret_get_the_one_bearer(peer, read):
    headers = peer.basic(peer.app.api_key, peer.app.api_secret)
    form = {"grant_type": "client_credentials"}

    first = await peer.call("POST", "/oauth2/token", form=form, headers=headers)
    second = await peer.call("POST", "/oauth2/token", form=form, headers=headers)

    assert read(first) == {"token_type": "bearer", "access_token": peer.app.bearer}
    assert read(first) == read(second)


async def test_client_id_and_secret_get_no_bearer(peer, read):
    form = {"grant_type": "client_credentials"}

    answer = await peer.call("POST", "/oauth2/token", form=form, headers=peer.basic())

    assert answer.status == 403
    assert read(answer)["errors"][0]["code"] == 99


async def test_a_bearer_needs_the_grant_type(peer):
    headers = peer.basic(peer.app.api_key, peer.app.api_secret)

    assert (await peer.call("POST", "/oauth2/token", form={}, headers=headers)).status == 400


async def test_the_token_log_says_what_was_tried_and_holds_no_token(peer, read):
    first = read(await peer.exchange(await peer.code()))
    await peer.refresh(first["refresh_token"])
    await peer.refresh(first["refresh_token"])

    log = peer.world.grants.log
    assert [(use.grant_type, use.outcome) for use in log] == [
        ("authorization_code", "taken"),
        ("refresh_token", "taken"),
        ("refresh_token", "refused"),
    ]
    assert log[1].token_hash == log[2].token_hash
    assert first["refresh_token"] not in repr(log)


async def test_keys_that_were_made_anew_in_the_console_kill_those_before(peer, read):
    secret, bearer, grant = peer.app.client_secret, peer.app.bearer, peer.grant()
    key, key_secret = peer.app.api_key, peer.app.api_secret
    peer.server.faults.renew_keys()

    form = {"grant_type": "refresh_token", "refresh_token": grant.refresh}
    refused = await peer.call(
        "POST", "/2/oauth2/token", form=form, headers=peer.basic(secret=secret)
    )
    app_only = await peer.call(
        "POST",
        "/oauth2/token",
        form={"grant_type": "client_credentials"},
        headers=peer.basic(key, key_secret),
    )

    assert read(refused)["error"] == "unauthorized_client"
    assert read(app_only)["errors"][0]["code"] == 99
    assert (await peer.call("GET", "/2/usage/tweets", token=bearer)).status == 401
    assert (await peer.refresh(grant.refresh)).status == 200


async def test_a_public_app_gets_no_secret_when_its_keys_are_made_anew(peer):
    public = peer.world.grants.add_app("public", client_secret=None)
    peer.server.faults.renew_keys()

    assert public.client_secret is None


async def test_the_clock_of_x_can_be_ahead_in_date_and_in_what_is_signed(peer):
    before = (await peer.call("GET", "/2/users/me")).headers["date"]
    peer.server.faults.clock_off(1200)
    after = (await peer.call("GET", "/2/users/me")).headers["date"]
    peer.server.faults.clock_off(0)

    gone = parsedate_to_datetime(after) - parsedate_to_datetime(before)
    assert gone == timedelta(minutes=20)
    assert (await peer.call("GET", "/2/users/me")).headers["date"] == before


async def test_the_fields_of_a_token_request_may_stand_in_the_query(peer, read):
    # As X's own client for TypeScript (twitter-api-sdk) sends them.
    form = peer.exchange_form(await peer.code())
    answer = await peer.call("POST", f"/2/oauth2/token?{urlencode(form)}", headers=peer.basic())
    tokens = read(answer)
    assert answer.status == 200
    query = urlencode({"token": tokens["access_token"], "token_type_hint": "access_token"})
    ended = await peer.call("POST", f"/2/oauth2/revoke?{query}", headers=peer.basic())
    assert read(ended) == {"revoked": True}
