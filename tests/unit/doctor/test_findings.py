"""What errors mean for a check, and what the worst of all findings ends the command with."""

from __future__ import annotations

import pytest

from botkit import errors
from botkit.doctor.findings import Check, Finding, exit_code
from botkit.protocol.refusals.table import Topic, Verdict

SUSPENDED = errors.Forbidden("x", status=403, codes=(64,), detail="Your account is suspended.")


@pytest.mark.parametrize(
    ("error", "verdict", "code"),
    [
        (errors.TransportError("x", kind="dns"), Verdict.UNTOLD, 4),
        (errors.TransportError("x", kind="reset"), Verdict.UNTOLD, 4),
        (TimeoutError(), Verdict.UNTOLD, 4),
        (errors.ServerError("x", status=503), Verdict.UNTOLD, 4),
        (errors.RateLimited("x", status=429), Verdict.UNTOLD, 1),
        (errors.Parked("login"), Verdict.UNTOLD, 1),
        (errors.VaultKeyError("x", hint="y"), Verdict.WRONG, 5),
        (errors.StoreUnavailable("x"), Verdict.WRONG, 5),
        (errors.ConfigError("x", hint="y"), Verdict.WRONG, 2),
        (errors.InvalidGrant("x"), Verdict.WRONG, 2),
        (errors.PaymentRequired("x", status=402), Verdict.WRONG, 2),
        (
            errors.MissingScope(operation="a", have=["b"], need=["c"], cure="d"),
            Verdict.WRONG,
            2,
        ),
        (ZeroDivisionError("secret"), Verdict.UNTOLD, 1),
    ],
)
def test_each_error_is_a_verdict_with_its_code(
    error: BaseException, verdict: Verdict, code: int
) -> None:
    found = Check("check", "app default").of_error(error)
    assert (found.verdict, found.exit_code) == (verdict, code)
    assert (found.id, found.about) == ("check", "app default")


def test_an_error_that_nobody_expected_is_named_without_its_words() -> None:
    found = Check("check").of_error(ZeroDivisionError("a secret"))
    assert "ZeroDivisionError" in found.cause
    assert "secret" not in found.cause


def test_what_is_missing_stands_in_the_finding() -> None:
    denied = errors.MissingScope(operation="a", have=["b"], need=["c"], cure="d")
    found = Check("access").of_error(denied)
    assert (found.have, found.need, found.cure) == (("b",), ("c",), "d")


def test_an_answer_about_something_else_leads_to_its_own_line() -> None:
    found = Check("login", "@greeter").of_error(SUSPENDED, topic=Topic.LOGIN)
    assert (found.verdict, found.cure) == (Verdict.UNTOLD, "See the line account.")
    assert Check("account").of_error(SUSPENDED, topic=Topic.STANDING).verdict is Verdict.WRONG
    assert Check("account").of_error(SUSPENDED).cause.endswith("Your account is suspended.")


@pytest.mark.parametrize(
    ("code", "cure"), [(135, "NTP"), (32, "api_key"), (93, "direct messages")]
)
def test_an_answer_about_what_has_no_line_of_its_own_is_wrong_where_it_came(
    code: int, cure: str
) -> None:
    error = errors.Unauthorized("x", status=401, codes=(code,))
    found = Check("login.oauth1", "@greeter").of_error(error, topic=Topic.LOGIN)
    assert (found.verdict, found.exit_code) == (Verdict.WRONG, 2)
    assert cure in found.cure


def test_an_answer_behind_an_error_is_what_counts() -> None:
    error = errors.InvalidClient("x", hint="y")
    error.__cause__ = errors.Unauthorized("x", status=401, title="unauthorized_client")
    assert "does not say which" in Check("keys.client").of_error(error).cause


@pytest.mark.parametrize(
    ("codes", "worst"),
    [([], 0), ([0, 1], 1), ([1, 4], 4), ([4, 2, 1], 2), ([2, 5, 4], 5), ([3], 3)],
)
def test_store_comes_before_person_before_reach_before_doubt(codes: list[int], worst: int) -> None:
    findings = [Finding(id="x", verdict=Verdict.WRONG, exit_code=code) for code in codes]
    assert exit_code(findings) == worst


def test_the_four_ways_to_say_it() -> None:
    check = Check("a")
    assert check.fine().exit_code == 0
    assert check.wrong("b", "c").exit_code == 2
    assert check.untold("b").exit_code == 1
    left_out = check.not_asked("b")
    assert (left_out.verdict, left_out.exit_code) == (Verdict.UNTOLD, 0)
