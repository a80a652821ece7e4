"""How a login that was asked about is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from botkit.client.upkeep.check import Checked
from botkit.doctor import logins
from botkit.doctor.probes import Probes
from botkit.errors import BotkitError, ServerError, TransportError
from botkit.model.tokens import CredentialKind, LoginState
from botkit.model.users import Account, User
from botkit.protocol.refusals.table import Verdict

NOW = datetime(2026, 11, 25, tzinfo=UTC)
ME = Account(id="7", username="greeter")


def checked(**changes: Any) -> Checked:
    plain = {"kind": CredentialKind.OAUTH2, "status": LoginState.OK, "reason": "", "since": NOW}
    return Checked(**{**plain, "gen": 1, **changes})


async def judge(monkeypatch: pytest.MonkeyPatch, *found: Checked) -> tuple[Any, Any, Probes]:
    async def check(*_: object, **__: object) -> list[Checked]:
        return list(found)

    monkeypatch.setattr(logins, "check_logins", check)
    nothing: Any = None
    asking = Probes(nothing, nothing, nothing, nothing)
    lines, owner = await logins.ask_logins(
        nothing, ME, asking, next_step=lambda *_: "do this", on_asked=lambda: None
    )
    return lines, owner, asking


async def test_an_account_without_a_login_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,), owner, asking = await judge(monkeypatch)
    assert (line.id, line.verdict, owner, asking.evidence) == ("login", Verdict.WRONG, None, [])
    assert "botkit setup --account greeter" in line.cure
    assert logins.stored_logins(ME, [], next_step=lambda *_: "") == [line]


async def test_a_token_of_another_user_is_wrong_and_shows_no_profile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = User(id="8", username="mallory", name="M")
    login = checked(owner=other, status=LoginState.DEAD, reason="of another user")
    (line,), owner, asking = await judge(monkeypatch, login)
    assert (line.verdict, line.cure, owner) == (Verdict.WRONG, "do this", None)
    assert asking.evidence[0].error is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TransportError("no connection"), 4),
        (ServerError("x", status=503), 4),
        (BotkitError("the access token is over and cannot be renewed"), 1),
    ],
)
async def test_a_login_that_x_did_not_judge_is_not_called_dead(
    monkeypatch: pytest.MonkeyPatch, error: BotkitError, code: int
) -> None:
    (line,), _, asking = await judge(monkeypatch, checked(error=error))
    assert (line.verdict, line.exit_code) == (Verdict.UNTOLD, code)
    assert asking.evidence[0].error is error


async def test_a_login_without_an_end_says_none(monkeypatch: pytest.MonkeyPatch) -> None:
    login = checked(kind=CredentialKind.OAUTH1, owner=User(id="7", username="greeter", name="G"))
    (line,), owner, _ = await judge(monkeypatch, login)
    assert (line.id, line.cause) == ("login.oauth1", "X says it is @greeter's")
    assert owner is not None
