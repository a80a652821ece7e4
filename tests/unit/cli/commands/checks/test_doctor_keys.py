"""`botkit doctor` on an app's keys, bearer token and callback URL: X's answer is the proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from botkit.model.tokens import LoginState
from tests.unit.cli.doctoring import API, CLIENT

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Desk
    from tests.unit.cli.doctoring import Doctor


# ---- keys ----------------------------------------------------------------------------------------


def _keys(desk: Desk, *names: str) -> list[str]:
    return [desk.environ[name] for name in names]


@pytest.mark.parametrize(
    ("pair", "check"), [(CLIENT, "keys.client"), (API, "keys.api")], ids=["client", "api"]
)
def test_swapped_keys_are_proven_by_x(doctor: Doctor, pair: tuple[str, str], check: str) -> None:
    doctor.desk.log_in()
    first, second = _keys(doctor.desk, *pair)
    doctor.settings(**{pair[0]: second, pair[1]: first})
    found = doctor()[check]
    assert found["verdict"] == "wrong"
    assert "swapped" in found["cure"]


def test_two_pairs_in_each_others_place_are_proven_by_x(doctor: Doctor) -> None:
    values = _keys(doctor.desk, *API, *CLIENT)
    doctor.settings(**dict(zip((*CLIENT, *API), values, strict=True)))
    found = doctor()
    assert "belong into api_key and api_secret" in found["keys.client"]["cure"]
    assert "belong into client_id and client_secret" in found["keys.api"]["cure"]
    assert found["callback.registered"]["cure"] == "See the line keys.api."


@pytest.mark.parametrize(
    ("pair", "other", "check"), [(CLIENT, API, "keys.client"), (API, CLIENT, "keys.api")]
)
def test_the_right_pair_in_the_wrong_place_is_found(
    doctor: Doctor, pair: tuple[str, str], other: tuple[str, str], check: str
) -> None:
    right = _keys(doctor.desk, *pair)
    wrong = {pair[0]: "made-up-1", pair[1]: "made-up-2"}
    doctor.settings(**dict(zip(other, right, strict=True)), **wrong)
    assert f"stand in {other[0][12:].lower()}" in doctor()[check]["cure"]


def test_wrong_keys_keep_the_hint_of_what_they_look_like(doctor: Doctor) -> None:
    doctor.settings(BOTKIT_APP__CLIENT_SECRET="AAAAmade-up", BOTKIT_APP__API_SECRET="made-up")
    found = doctor()
    assert "A hint: client_secret begins with AAAA" in found["keys.client"]["cure"]
    assert "does not say which of the two" in found["keys.api"]["cause"]
    assert "hint" not in found["keys.api"]["cure"]
    assert found["keys"]["verdict"] == "fine"


def test_offline_a_hint_is_told_as_a_hint(doctor: Doctor) -> None:
    doctor.settings(BOTKIT_APP__CLIENT_SECRET="AAAAmade-up")
    found = doctor("--offline")["keys"]
    assert found["verdict"] == "could not be told"
    assert "a hint only" in found["cause"]


def test_one_text_in_two_places_is_wrong_without_asking(doctor: Doctor) -> None:
    doctor.settings(BOTKIT_APP__CLIENT_SECRET=doctor.desk.environ[CLIENT[0]])
    found = doctor("--offline")["keys"]
    assert (found["verdict"], doctor.code) == ("wrong", 2)


def test_keys_that_were_made_anew_are_wrong_and_the_login_is_left_alone(doctor: Doctor) -> None:
    doctor.desk.log_in()
    doctor.desk.faults.renew_keys()
    verdicts = doctor.verdicts()
    assert (verdicts["keys.client"], verdicts["keys.api"]) == ("wrong", "wrong")
    assert verdicts["login.oauth2"] == "fine"
    assert doctor.desk.state is LoginState.OK


@pytest.mark.parametrize("check", ["keys.client", "keys.api"])
def test_while_x_has_a_fault_keys_are_not_blamed(doctor: Doctor, check: str) -> None:
    for call in ("POST /2/oauth2/token", "POST /oauth2/token"):
        doctor.desk.faults.unavailable(call, times=None)
    found = doctor()[check]
    assert (found["verdict"], found["exit_code"]) == ("could not be told", 4)


def test_words_of_x_that_are_not_known_are_kept_and_prove_nothing(doctor: Doctor) -> None:
    body = {"error": "invalid_request", "error_description": "Ganz anders."}
    doctor.desk.faults.answer("POST /2/oauth2/token", status=400, body=body)
    found = doctor()["keys.client"]
    assert found["verdict"] == "could not be told"
    assert "Ganz anders" in found["cause"]


def test_a_fault_while_looking_for_a_mix_up_leaves_the_keys_wrong(doctor: Doctor) -> None:
    refused = {"error": "unauthorized_client", "error_description": "x"}
    doctor.desk.faults.answer("POST /2/oauth2/token", status=401, body=refused)
    doctor.desk.faults.unavailable("POST /2/oauth2/token", times=None)
    doctor.desk.faults.answer("POST /oauth2/token", status=403, body={"errors": [{"code": 99}]})
    doctor.desk.faults.unavailable("POST /oauth2/token", times=None)
    verdicts = doctor.verdicts()
    assert (verdicts["keys.client"], verdicts["keys.api"]) == ("wrong", "wrong")


def test_a_server_that_takes_any_refresh_token_is_not_x(doctor: Doctor) -> None:
    tokens = {"token_type": "bearer", "access_token": "a", "expires_in": 7200}
    doctor.desk.faults.answer("POST /2/oauth2/token", status=200, body=tokens)
    assert doctor.verdicts()["keys.client"] == "could not be told"


def test_a_client_that_x_does_not_know_is_told_in_the_words_of_the_table(doctor: Doctor) -> None:
    body = {"error": "invalid_client", "error_description": "x"}
    doctor.desk.faults.answer("POST /2/oauth2/token", status=400, body=body, times=None)
    found = doctor()["keys.client"]
    assert found["cause"].startswith("X does not know this client id. X said: 400: invalid_client")
    assert found["cure"].startswith("Take client_id from")


@pytest.mark.parametrize(
    ("call", "check"),
    [
        ("POST /2/oauth2/token", "keys.client"),
        ("POST /oauth2/token", "keys.api"),
        ("POST /oauth/request_token", "callback.registered"),
    ],
)
def test_a_suspended_app_is_named_whichever_question_meets_it(
    doctor: Doctor, call: str, check: str
) -> None:
    doctor.desk.faults.answer(call, status=403, body={"errors": [{"code": 416}]}, times=None)
    found = doctor()
    assert found[check]["cure"] == "See the line app."
    assert found["app"]["verdict"] == "wrong"


# ---- bearer --------------------------------------------------------------------------------------


def test_the_bearer_of_the_settings_is_tried(doctor: Doctor) -> None:
    doctor.settings(BOTKIT_APP__BEARER_TOKEN=doctor.desk.app.bearer)
    assert doctor.verdicts()["keys.bearer"] == "fine"


def test_a_dead_bearer_is_wrong(doctor: Doctor) -> None:
    doctor.settings(BOTKIT_APP__BEARER_TOKEN="made-up")
    assert "Remove bearer_token" in doctor()["keys.bearer"]["cure"]
    doctor.settings(**dict.fromkeys(API))
    found = doctor()["keys.bearer"]
    assert found["verdict"] == "wrong"
    assert "A hint: bearer_token does not begin with AAAA" in found["cure"]


def test_a_bearer_of_another_app_is_named_as_that(doctor: Doctor) -> None:
    other = doctor.desk.world.grants.add_app("other")
    doctor.settings(BOTKIT_APP__BEARER_TOKEN=other.bearer)
    assert "another app" in doctor()["keys.bearer"]["cause"]


def test_a_users_token_for_the_apps_is_named_as_that(doctor: Doctor) -> None:
    grant = doctor.desk.log_in()
    doctor.settings(BOTKIT_APP__BEARER_TOKEN=next(iter(grant.access)))
    assert "a user's access token" in doctor()["keys.bearer"]["cause"]


def test_without_a_bearer_the_bot_polls_unless_the_stream_is_wanted(doctor: Doctor) -> None:
    doctor.settings(**dict.fromkeys(API))
    assert doctor()["keys.bearer"]["cause"] == "none, so the bot polls its mentions"
    found = doctor("--set", "bot.source=stream")["keys.bearer"]
    assert found["verdict"] == "wrong"


# ---- callback ------------------------------------------------------------------------------------


def test_a_callback_that_x_does_not_have_is_found_by_asking(doctor: Doctor) -> None:
    doctor.settings(BOTKIT_APP__REDIRECT_URI="http://127.0.0.1:8765/callback/")
    found = doctor()
    assert "careful [exact-match]" in found["callback"]["cause"]
    assert found["callback.registered"]["verdict"] == "wrong"
    assert "letter by letter" in found["callback.registered"]["cure"]


def test_the_older_xml_refusal_of_a_callback_is_known(doctor: Doctor) -> None:
    body = b"<hash><error>no aprobada</error><request>/oauth/request_token</request></hash>"
    doctor.desk.faults.answer("POST /oauth/request_token", status=403, body=body)
    assert doctor.verdicts()["callback.registered"] == "wrong"


def test_keys_whose_signature_x_refuses_stand_in_the_line_that_met_it(doctor: Doctor) -> None:
    body = {"errors": [{"code": 32, "message": "Could not authenticate you."}]}
    doctor.desk.faults.answer("POST /oauth/request_token", status=401, body=body)
    found = doctor()
    assert (doctor.code, found["keys.api"]["verdict"]) == (2, "fine")
    assert found["callback.registered"]["verdict"] == "wrong"
    assert "api_key and api_secret" in found["callback.registered"]["cure"]


def test_an_app_for_pins_only_leaves_the_callback_untold(doctor: Doctor) -> None:
    body = {"errors": [{"code": 417, "message": "x"}]}
    doctor.desk.faults.answer("POST /oauth/request_token", status=403, body=body)
    found = doctor()["callback.registered"]
    assert found["verdict"] == "could not be told"
    assert "--pin" in found["cure"]


def test_each_rule_that_a_callback_breaks_is_a_line(doctor: Doctor) -> None:
    doctor.settings(BOTKIT_APP__REDIRECT_URI="http://bot.example/callback?code=1#x")
    doctor()
    causes = [f["cause"] for f in doctor.said["findings"] if f["id"] == "callback"]
    for rule in ("https-in-production", "no-fragment", "no-answer-parameters"):
        assert any(f"[{rule}]" in cause for cause in causes)
    assert not [f for f in doctor.said["findings"] if f["id"] == "callback.registered"]


def test_without_api_keys_only_a_login_shows_the_callback(doctor: Doctor) -> None:
    doctor.settings(**dict.fromkeys(API))
    found = doctor()["callback.registered"]
    assert (found["verdict"], found["exit_code"]) == ("could not be told", 0)
    doctor.settings(BOTKIT_APP__REDIRECT_URI=None)
