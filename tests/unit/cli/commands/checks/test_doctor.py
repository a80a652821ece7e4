"""`botkit doctor` as an operator types it, against a simulated X on a socket."""

from __future__ import annotations

import base64
import subprocess
import sys
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from botkit.config import surroundings
from botkit.model.tokens import LoginState
from tests.unit.cli.doctoring import API, CLIENT

if TYPE_CHECKING:
    from tests.unit.cli.doctoring import Doctor

BOT = """
from botkit import Bot, Mention

bot = Bot("greeter", may={may})

@bot.on(Mention)
async def greet(mention: Mention) -> None: ...
"""
DUE = timedelta(minutes=10)


# ---- all is well ---------------------------------------------------------------------------------


def test_nothing_is_wrong_with_a_bot_that_can_write(doctor: Doctor) -> None:
    doctor.desk.log_in()
    doctor.label_done()
    verdicts = doctor.verdicts()
    assert set(verdicts.values()) == {"fine"}
    assert doctor.code == 0
    assert {"settings", "bot", "store", "vault", "x", "clock", "keys", "keys.client"} <= set(
        verdicts
    )
    assert {"keys.api", "keys.bearer", "callback", "callback.registered"} <= set(verdicts)
    assert {"login.oauth2", "access.post", "access.reply", "access.hearing"} <= set(verdicts)
    assert {"budget", "label", "enrolment", "app", "credits", "spend-cap", "usage-cap"} <= set(
        verdicts
    )
    assert "account" in verdicts


def test_it_spends_no_token_that_is_not_due_and_says_what_it_costs(doctor: Doctor) -> None:
    doctor.desk.log_in()
    doctor()
    assert "taken" not in doctor.desk.refreshes
    assert (doctor.said["times_asked"], doctor.said["cost_usd"]) == (1, "0.010")
    budget = doctor("--offline")["budget"]["cause"]
    assert budget.startswith("USD 0.010 spent today")
    assert doctor.said["times_asked"] == 0


def test_it_refreshes_first_what_is_due(doctor: Doctor) -> None:
    doctor.desk.log_in(left=DUE)
    assert doctor.verdicts()["login.oauth2"] == "fine"
    assert doctor.desk.refreshes.count("taken") == 1
    doctor()
    assert doctor.desk.refreshes.count("taken") == 1


def test_it_writes_nothing_to_x(doctor: Doctor) -> None:
    doctor.desk.log_in()
    before = len(doctor.desk.world.posts), len(doctor.desk.world.messages)
    doctor()
    assert (len(doctor.desk.world.posts), len(doctor.desk.world.messages)) == before


def test_a_line_each_for_a_person(doctor: Doctor) -> None:
    doctor.desk.log_in()
    assert doctor.desk.top("doctor") == 1
    lines = doctor.desk.out.splitlines()
    assert lines[0] == "fine               settings: every setting is known and can be read"
    (label,) = [line for line in lines if "label (@greeter)" in line]
    assert label.startswith("could not be told  label")
    assert label.endswith("Cure: Walk through it: botkit checklist.")
    assert lines[-1].startswith("X was asked once whose a login is: up to USD 0.010")


# ---- before there is an account ------------------------------------------------------------------


def test_without_an_account_settings_and_app_are_checked_all_the_same(doctor: Doctor) -> None:
    found = doctor()
    assert doctor.code == 2
    assert found["account"]["verdict"] == "wrong"
    assert "botkit setup" in found["account"]["cure"]
    for check in ("settings", "x", "clock", "keys.client", "keys.api", "callback.registered"):
        assert found[check]["verdict"] == "fine"
    assert found["credits"]["verdict"] == "could not be told"
    assert "login.oauth2" not in found


def test_without_any_keys_each_that_is_missing_is_named(doctor: Doctor) -> None:
    doctor.settings(**dict.fromkeys((*CLIENT, *API)))
    doctor()
    missing = [found for found in doctor.said["findings"] if found["id"] == "keys.client"]
    assert [found["cause"] for found in missing] == [
        "client_id is missing.",
        "client_secret is missing.",
    ]
    assert "BOTKIT_APP__CLIENT_SECRET_FILE" in missing[1]["cure"]
    assert doctor.code == 2


@pytest.mark.parametrize("name", [CLIENT[1], API[0]])
def test_half_a_pair_is_wrong(doctor: Doctor, name: str) -> None:
    doctor.settings(**{name: None})
    doctor()
    field = name.removeprefix("BOTKIT_APP__").lower()
    causes = [found["cause"] for found in doctor.said["findings"] if found["verdict"] == "wrong"]
    assert f"{field} is missing." in causes


def test_every_fault_of_the_settings_is_listed(doctor: Doctor) -> None:
    doctor.settings(BOTKIT_X__API_ULR="https://a.example", BOTKIT_HTTP__PORT="many")
    doctor()
    wrong = [found["cause"] for found in doctor.said["findings"] if found["verdict"] == "wrong"]
    assert len(wrong) == 2
    assert any("did you mean BOTKIT_X__API_URL?" in cause for cause in wrong)
    assert doctor.code == 2
    assert doctor.desk.top("doctor") == 2
    assert "Nothing else was looked at" in doctor.desk.out
    doctor.settings(BOTKIT_X__API_ULR=None, BOTKIT_HTTP__PORT=None)


# ---- X -------------------------------------------------------------------------------------------


def test_when_x_cannot_be_reached_the_rest_is_looked_at(doctor: Doctor) -> None:
    doctor.desk.log_in()
    doctor.settings(BOTKIT_X__API_URL="http://127.0.0.1:9")
    found = doctor()
    assert doctor.code == 4
    assert found["x"]["verdict"] == "could not be told"
    assert found["login.oauth2"]["cause"].startswith("as stored: good since")
    assert found["access.post"]["verdict"] == "fine"
    assert "keys.client" not in found


def test_what_is_wrong_counts_more_than_an_x_that_cannot_be_reached(doctor: Doctor) -> None:
    doctor.desk.log_in(status=LoginState.DEAD, reason="because")
    doctor.settings(BOTKIT_X__API_URL="http://127.0.0.1:9")
    assert doctor.verdicts()["login.oauth2"] == "wrong"
    assert doctor.code == 2


def test_offline_nothing_is_asked_and_that_is_no_fault(doctor: Doctor) -> None:
    doctor.desk.log_in()
    doctor.settings(BOTKIT_X__API_URL="http://127.0.0.1:9")
    found = doctor("--offline")
    assert doctor.code == 0
    assert found["x"]["cause"] == "X was not asked (--offline)."
    assert found["label"]["verdict"] == "could not be told"


@pytest.mark.parametrize(("status", "code"), [(200, 1), (302, 4), (503, 4), (404, 4)])
def test_who_answers_in_place_of_x_is_not_asked_anything_else(
    doctor: Doctor, status: int, code: int
) -> None:
    doctor.desk.log_in()
    doctor.desk.faults.answer("GET /2/users/me", status=status, headers={"location": "/x"})
    found = doctor()
    assert doctor.code == code
    assert found["x"]["verdict"] == "could not be told"
    assert "keys.client" not in found


def test_a_clock_that_is_off_is_said_and_hides_nothing(doctor: Doctor) -> None:
    doctor.desk.log_in()
    doctor.desk.faults.clock_off(1200)
    found = doctor()
    assert doctor.code == 2
    assert "20 min 00 s behind X's" in found["clock"]["cause"]
    assert "NTP" in found["clock"]["cure"]
    for check in ("keys.client", "keys.api", "callback.registered", "login.oauth2"):
        assert found[check]["verdict"] == "fine"
    doctor.desk.faults.clock_off(-90)
    assert "1 min 30 s ahead of X's" in doctor()["clock"]["cause"]


def test_an_x_without_a_date_leaves_the_clock_untold(doctor: Doctor) -> None:
    body = {"title": "Unauthorized"}
    doctor.desk.faults.answer("GET /2/users/me", status=401, body=body, headers={"date": "soon"})
    found = doctor()
    assert found["clock"]["verdict"] == "could not be told"
    assert found["keys.api"]["verdict"] == "fine"


@pytest.mark.parametrize(
    ("verb", "check", "words"),
    [
        ("not_enrolled", "enrolment", "Pay-per-use"),
        ("out_of_credit", "credits", "Top up"),
        ("spend_cap", "spend-cap", "next cycle"),
        ("usage_cap", "usage-cap", "billing cycle"),
    ],
)
def test_what_stops_the_app_is_named_once_with_its_cure(
    doctor: Doctor, verb: str, check: str, words: str
) -> None:
    doctor.desk.log_in()
    getattr(doctor.desk.faults, verb)()
    found = doctor()
    assert doctor.code == 2
    assert [f["id"] for f in doctor.said["findings"] if f["verdict"] == "wrong"] == [check]
    assert words in found[check]["cure"]
    assert found["login.oauth2"]["cure"] == f"See the line {check}."
    assert doctor.said["times_asked"] == 0


def test_a_suspended_account_is_named(doctor: Doctor) -> None:
    doctor.desk.log_in()
    doctor.desk.user.suspended = True
    found = doctor()
    assert found["account"]["cause"].startswith("X suspended the account.")
    assert found["enrolment"]["verdict"] == "fine"
    assert found["login.oauth2"]["cure"] == "See the line account."


def test_the_cap_on_reads_is_seen_in_the_figures_too(doctor: Doctor) -> None:
    doctor.desk.log_in()
    usage = {"data": {"project_cap": "3000000", "project_usage": "3000000"}}
    doctor.desk.faults.answer("GET /2/usage/tweets", status=200, body=usage)
    found = doctor()["usage-cap"]
    assert (found["verdict"], found["cause"]) == (
        "wrong",
        "3,000,000 of 3,000,000 posts read in this cycle.",
    )


# ---- store, vault, logins ------------------------------------------------------------------------


def test_a_wrong_vault_key_is_5_and_the_app_is_checked_all_the_same(doctor: Doctor) -> None:
    doctor.desk.log_in()
    doctor.settings(BOTKIT_STORE__KEY=base64.urlsafe_b64encode(b"x" * 32).decode())
    found = doctor()
    assert doctor.code == 5
    assert found["vault"]["verdict"] == "wrong"
    assert found["keys.client"]["verdict"] == "fine"
    assert found["login.oauth2"]["cause"].startswith("as stored")


def test_no_vault_key_is_2(doctor: Doctor) -> None:
    doctor.desk.log_in()
    doctor.settings(BOTKIT_STORE__KEY=None)
    assert doctor.verdicts()["vault"] == "wrong"
    assert doctor.code == 2


def test_a_store_that_is_damaged_is_5(doctor: Doctor) -> None:
    (doctor.desk.folder / "botkit.db").write_bytes(b"no store" * 1000)
    (doctor.desk.folder / "botkit.db").chmod(0o600)
    found = doctor()
    assert (found["store"]["verdict"], doctor.code) == ("wrong", 5)
    assert found["keys.client"]["verdict"] == "fine"


def test_a_dead_login_is_wrong_with_the_next_command(doctor: Doctor) -> None:
    doctor.desk.log_in()
    doctor.desk.world.revoke(doctor.desk.user.id)
    found = doctor()["login.oauth2"]
    assert found["verdict"] == "wrong"
    assert "botkit setup --account greeter" in found["cure"]


def test_a_login_whose_refresh_had_no_answer_is_uncertain(doctor: Doctor) -> None:
    doctor.desk.log_in(status=LoginState.UNCERTAIN, reason="no answer")
    found = doctor()["login.oauth2"]
    assert (found["verdict"], found["exit_code"]) == ("could not be told", 1)
    assert doctor.verdicts("--offline")["login.oauth2"] == "could not be told"


def test_an_oauth_1a_login_is_asked_too_and_its_level_judged(doctor: Doctor) -> None:
    pair = doctor.desk.world.oauth1_tokens.issue(
        doctor.desk.app, doctor.desk.user.id, level="read"
    )
    doctor.desk.log_in_1a(pair.token, pair.secret)
    offline = doctor("--offline")["access.post"]
    assert offline["verdict"] == "could not be told"
    found = doctor()
    assert found["login.oauth1"]["verdict"] == "fine"
    assert (found["access.post"]["have"], found["access.post"]["need"]) == (
        ["read"],
        ["read-write"],
    )
    assert "Read and write" in found["access.post"]["cure"]
    assert "botkit setup --oauth1 --account greeter" in found["access.post"]["cure"]
    assert "It was authorized on" in found["access.post"]["cause"]


def test_x_that_cannot_answer_for_a_login_leaves_it_untold(doctor: Doctor) -> None:
    doctor.desk.log_in()
    doctor.desk.faults.answer("GET /2/users/me", status=401, body={"title": "Unauthorized"})
    doctor.desk.faults.unavailable("GET /2/users/me", times=None)
    found = doctor()["login.oauth2"]
    assert (found["verdict"], found["exit_code"]) == ("could not be told", 4)


def test_an_account_that_is_not_there_is_named(doctor: Doctor) -> None:
    doctor.desk.log_in()
    found = doctor("--account", "nobody")
    assert found["account"]["verdict"] == "wrong"
    assert "@greeter" in found["account"]["cure"]
    assert doctor.verdicts("--account", "greeter")["login.oauth2"] == "fine"


def test_an_account_of_an_app_that_the_settings_do_not_have(doctor: Doctor) -> None:
    doctor.desk.log_in()
    doctor.settings(BOTKIT_APPS__SHOP__CLIENT_ID="x", BOTKIT_APPS__SHOP__CLIENT_SECRET="y")
    doctor("--offline")
    about = {found["about"] for found in doctor.said["findings"]}
    assert {"app default", "app shop"} <= about
    doctor.settings(BOTKIT_APPS__SHOP__CLIENT_ID=None, BOTKIT_APPS__SHOP__CLIENT_SECRET=None)


# ---- what the bot may ----------------------------------------------------------------------------


def test_each_operation_that_the_login_does_not_allow_is_a_line(doctor: Doctor) -> None:
    (doctor.desk.folder / "mine.py").write_text(BOT.format(may={"message"}))
    doctor.desk.log_in()
    doctor("mine.py:bot")
    lines = [f for f in doctor.said["findings"] if f["id"] == "access.message"]
    assert len(lines) == 5
    for line in lines:
        assert line["verdict"] == "wrong"
        assert any(scope.startswith("dm.") for scope in line["need"])
        assert "tweet.read" in line["have"]
        assert "botkit setup --account greeter" in line["cure"]
    assert doctor()["bot"]["cause"].startswith("none is named")


def test_a_login_without_a_refresh_token_is_said(doctor: Doctor) -> None:
    doctor.desk.log_in(scopes=("tweet.read", "tweet.write", "users.read"))
    found = doctor()["access.hearing"]
    assert found["verdict"] == "wrong"
    assert "ends after two hours" in found["cause"]
    assert found["cure"] == "Authorize again: botkit setup --account greeter"


@pytest.mark.parametrize("target", ["nowhere:bot", "broken.py:bot"])
def test_a_bot_that_cannot_be_loaded_hides_nothing(doctor: Doctor, target: str) -> None:
    (doctor.desk.folder / "broken.py").write_text(
        "from botkit import Bot\nbot = Bot('x')\n@bot.on(int)\nasync def f() -> None: ...\n"
    )
    doctor.desk.log_in()
    verdicts = doctor.verdicts(target)
    assert verdicts["bot"] == "wrong"
    assert verdicts["login.oauth2"] == "fine"


def test_a_budget_that_is_spent_is_said(doctor: Doctor) -> None:
    doctor.desk.log_in()
    found = doctor("--set", "budget.day_usd=0.01")["budget"]
    assert found["verdict"] == "wrong"
    assert "budget.day_usd" in found["cure"]


def test_no_secret_is_in_what_it_says(doctor: Doctor) -> None:
    doctor.desk.log_in()
    secret = doctor.desk.environ[CLIENT[1]]
    body = {"error": "unauthorized_client", "error_description": f"not {secret}"}
    doctor.desk.faults.answer("POST /2/oauth2/token", status=400, body=body)
    doctor.desk.faults.answer("POST /oauth/request_token", status=400, body={"detail": secret})
    doctor()
    assert secret not in doctor.desk.out


# ---- beside a running bot ------------------------------------------------------------------------


@pytest.mark.slow
def test_beside_a_running_bot_a_refresh_that_is_due_happens_once(doctor: Doctor) -> None:
    desk = doctor.desk
    (desk.folder / "mine.py").write_text(BOT.format(may={"post"}))
    desk.log_in(left=DUE)
    running = subprocess.Popen(
        [sys.executable, "-m", "botkit", "run", "mine.py:bot"],
        cwd=desk.folder,
        env=surroundings() | desk.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while desk.top("status") != 0:
            assert running.poll() is None
            threading.Event().wait(0.1)
        found = doctor("mine.py:bot")
        assert found["login.oauth2"]["verdict"] == "fine"
        assert doctor.code == 1
        while "taken" not in desk.refreshes:  # a bot that is told to stop begins none
            assert running.poll() is None
            threading.Event().wait(0.05)
    finally:
        running.terminate()
        assert running.wait(20) == 0
    assert desk.refreshes.count("taken") == 1
