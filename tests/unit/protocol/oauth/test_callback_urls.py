from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.errors import ConfigError
from botkit.protocol.oauth.callback_urls import (
    REFUSED_SCHEMES,
    check_redirect_uri,
    check_registered,
    is_callback,
    loopback_address,
)

WIRE = Path(__file__).parents[3] / "wire/operators"
CASES: list[dict[str, str]] = json.loads((WIRE / "callback_urls.json").read_bytes())["cases"]
FINE = "http://127.0.0.1:8765/callback"


def rules(uri: str, *, fatal: bool) -> list[str]:
    return [problem.rule for problem in check_redirect_uri(uri) if problem.fatal is fatal]


@pytest.mark.parametrize(
    "uri",
    [FINE, "http://[::1]:8765/callback", "https://bot.example/callback", "http://127.0.0.1/cb"],
)
def test_what_x_takes_and_a_browser_leaves_alone_has_no_problem(uri: str) -> None:
    assert check_redirect_uri(uri) == []


@pytest.mark.parametrize(
    ("uri", "rule"),
    [
        ("", "plain-ascii"),
        (" http://127.0.0.1:1/", "plain-ascii"),
        ("http://127.0.0.1:1/a b", "plain-ascii"),
        ("http://127.0.0.1:1/\n", "plain-ascii"),
        ("http://127.0.0.1:1/ä", "plain-ascii"),
        ("/callback", "absolute"),
        ("127.0.0.1:8765/callback", "absolute"),
        ("http:///callback", "absolute"),
        ("http:callback", "absolute"),
        ("http://localhost:8765/callback", "loopback-literal"),
        ("http://LOCALHOST:8765/callback", "loopback-literal"),
        ("http://localhost.example/callback", "https-in-production"),
        ("http://192.0.2.1/callback", "https-in-production"),
        ("http://127.0.0.2:8765/callback", "https-in-production"),
        ("http://0.0.0.0:8765/callback", "https-in-production"),
        ("http://127.1:8765/callback", "https-in-production"),
        ("http://bot.example/callback", "https-in-production"),
        ("http://127.0.0.1:8765/callback#top", "no-fragment"),
        ("http://127.0.0.1:8765/callback#", "no-fragment"),
        ("localhost:8765/callback", "absolute"),
        ("bot.example:8443", "absolute"),
        ("https://me:pw@bot.example/callback", "no-user"),
        ("http://127.0.0.1:8765/callback?state=1", "no-answer-parameters"),
        ("http://127.0.0.1:8765/callback?code", "no-answer-parameters"),
        ("http://127.0.0.1:0/callback", "port"),
        ("http://127.0.0.1:65536/callback", "port"),
        ("http://127.0.0.1:http/callback", "port"),
        ("http://[::1/callback", "port"),
        ("ftp://bot.example/callback", "scheme-refused"),
        ("mso-offdap://callback", "scheme-refused"),
        ("javascript:alert(1)", "scheme-refused"),
        ("JavaScript:alert(1)", "scheme-refused"),
    ],
)
def test_what_cannot_work_is_named_by_its_rule(uri: str, rule: str) -> None:
    assert rules(uri, fatal=True) == [rule]


def test_parameters_that_come_twice_are_named_in_order() -> None:
    problems = check_redirect_uri("http://127.0.0.1:8765/callback?state=1&error=2&code=3")
    (problem,) = (one for one in problems if one.rule == "no-answer-parameters")
    assert problem.text.startswith("X adds code, error, state itself")


def told(case: dict[str, str]) -> tuple[str, str]:
    """The rule of the only fatal problem of a case, and its text and cure."""
    problems = check_redirect_uri(case["uri"].replace("PORT", "8765"))
    (problem,) = (problem for problem in problems if problem.fatal)
    return problem.rule, f"{problem.text} {problem.cure}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["uri"])
def test_what_a_browser_rewrites_can_never_be_answered_and_is_refused(
    case: dict[str, str],
) -> None:
    rule, said = told(case)
    asked = case.get("browser_asks_for", "")
    if case["uri"].endswith("#"):
        assert rule == "no-fragment"
    elif asked:
        assert rule == "browser-rewrites"
        assert f"asks for {asked} instead" in said
        assert f"Write http://127.0.0.1:8765{asked}," in said
    else:
        assert rule == "absolute"
        assert (
            f"http:// or https:// is missing before the host. Write https://{case['uri']}," in said
        )


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/a/..", "/"),
        ("/../c", "/c"),
        ("/a/.", "/a/"),
        ("/a/b/../../c/", "/c/"),
        ("/%2e/c", "/c"),
        ("/a/.%2E/c", "/c"),
        ('/a"<>^{b}', "/a%22%3C%3E%5E%7Bb%7D"),
        ("/a\\..\\b", "/b"),
    ],
)
def test_paths_are_rewritten_as_browsers_do(path: str, asked: str) -> None:
    _, said = told({"uri": f"http://127.0.0.1:PORT{path}"})
    assert f"asks for {asked} instead" in said


@pytest.mark.parametrize(
    "path", ["/a..b", "/...", "/%2e%2e%2e", "/a//b", "/a;b", "/~a%20|[]", "/"]
)
def test_paths_that_browsers_leave_alone_have_no_fatal_problem(path: str) -> None:
    assert rules(f"http://127.0.0.1:8765{path}", fatal=True) == []
    assert rules(f"https://bot.example{path}", fatal=True) == []


def test_every_scheme_that_x_refuses_is_refused() -> None:
    assert len(REFUSED_SCHEMES) == 34
    for scheme in REFUSED_SCHEMES:
        assert rules(f"{scheme}://callback", fatal=True) == ["scheme-refused"]


@pytest.mark.parametrize(
    ("uri", "rule"),
    [
        ("http://127.0.0.1:8765", "exact-match"),
        ("http://127.0.0.1:8765/callback/", "exact-match"),
        ("https://Bot.Example/callback", "exact-match"),
        ("HTTPS://bot.example/callback", "exact-match"),
        ("https://bot.example:443/callback", "exact-match"),
        ("http://127.0.0.1:80/callback", "exact-match"),
        ("http://127.0.0.1:08765/callback", "exact-match"),
        ("http://127.0.0.1:/callback", "exact-match"),
        ("http://127.0.0.1:8765/callback?a='b'", "exact-match"),
        ("https://bot.example/callback?bot=1", "exact-match"),
        ("https://127.0.0.1:8765/callback", "local-https"),
        ("https://localhost:8765/callback", "local-https"),
        ("mybot://callback", "own-scheme"),
        ("com.example.mybot:/callback", "own-scheme"),
    ],
)
def test_what_often_goes_wrong_is_a_warning(uri: str, rule: str) -> None:
    assert rules(uri, fatal=False) == [rule]
    assert rules(uri, fatal=True) == []


def test_fatal_problems_come_first_and_each_has_text_and_cure() -> None:
    problems = check_redirect_uri("http://me@localhost:8765/callback/?state=1#top")
    assert [problem.rule for problem in problems] == [
        "loopback-literal",
        "no-fragment",
        "no-user",
        "no-answer-parameters",
        "exact-match",
        "exact-match",
    ]
    assert all(problem.text and problem.cure for problem in problems)


@given(
    st.text() | st.from_regex(r"[a-z]{0,5}:?/{0,3}[\[\]@:.a-z0-9]*(/[?#&=a-z]*)?", fullmatch=True)
)
def test_no_text_makes_the_check_raise(uri: str) -> None:
    problems = check_redirect_uri(uri)
    if not any(problem.fatal for problem in problems) and uri.startswith("http://"):
        assert loopback_address(uri)[0] in {"127.0.0.1", "::1"}


def test_a_registered_callback_url_is_fine() -> None:
    assert check_registered(FINE, [FINE, "https://bot.example/"]) == []


def test_more_than_ten_are_too_many() -> None:
    eleven = [FINE, *(f"https://bot.example/{n}" for n in range(10))]
    assert [problem.rule for problem in check_registered(FINE, eleven)] == ["at-most-10"]
    assert check_registered(FINE, eleven[:10]) == []


@pytest.mark.parametrize(
    ("near", "difference"),
    [
        ("http://127.0.0.1:8765/callback/", "the path"),
        ("http://localhost:8765/callback", "host or port"),
        ("http://127.0.0.1:8766/callback", "host or port"),
        ("https://127.0.0.1:8765/callback", "the scheme"),
        ("http://127.0.0.1:8765/callback?x=1", "its letters"),
    ],
)
def test_one_that_nearly_matches_is_told_by_what_differs(near: str, difference: str) -> None:
    (problem,) = check_registered(FINE, ["https://other.example/cb", near])
    assert problem.rule == "exact-match"
    assert f"{near} differs by {difference}." in problem.text


def test_one_that_matches_nothing_says_what_to_add() -> None:
    (problem,) = check_registered(FINE, [])
    assert problem.cure == f"Add {FINE} to the app's callback URLs in X's console."


def test_a_registered_one_that_is_no_url_harms_nothing() -> None:
    (problem,) = check_registered(FINE, ["http://[::1"])
    assert problem.rule == "exact-match"


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        (FINE, ("127.0.0.1", 8765, "/callback")),
        ("http://[::1]:8765/a/b", ("::1", 8765, "/a/b")),
        ("http://127.0.0.1/", ("127.0.0.1", 80, "/")),
        ("http://127.0.0.1:8765", ("127.0.0.1", 8765, "/")),
    ],
)
def test_the_listeners_address_is_that_of_the_callback_url(
    uri: str, address: tuple[str, int, str]
) -> None:
    assert loopback_address(uri) == address


@pytest.mark.parametrize(
    ("uri", "rule"),
    [
        ("https://bot.example/callback", "loopback-literal"),
        ("mybot://callback", "loopback-literal"),
        ("http://localhost:8765/callback", "loopback-literal"),
        ("http://127.0.0.1:8765/#x", "no-fragment"),
        ("http://bot.example/", "https-in-production"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_a_config_error_with_the_rule(
    uri: str, rule: str
) -> None:
    with pytest.raises(ConfigError) as error:
        loopback_address(uri)
    assert f"({rule})" in error.value.problems[0]
    assert error.value.hint


@pytest.mark.parametrize(
    ("address", "uri"),
    [
        (f"{FINE}?state=s&code=c", FINE),
        ("HTTP://127.0.0.1:8765/callback?code=c", FINE),
        ("http://127.0.0.1/cb?code=c", "http://127.0.0.1:80/cb"),
        ("https://bot.example/?code=c", "https://BOT.example:443"),
        (f"{FINE}?own=1&code=c", f"{FINE}?own=1"),
        ("com.example.bot:/cb?code=c", "com.example.bot:/cb"),
    ],
)
def test_an_address_where_the_callback_url_leads_is_its_own(address: str, uri: str) -> None:
    assert is_callback(address, uri)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:8766/callback?code=c",
        "https://127.0.0.1:8765/callback?code=c",
        "http://localhost:8765/callback?code=c",
        "http://127.0.0.1:8765/callback/?code=c",
        "http://127.0.0.1:8765/Callback?code=c",
        "http://127.0.0.1:8765@evil.example/callback?code=c",
        "http://127.0.0.1:99999/callback?code=c",
        "http://[::1/callback?code=c",
    ],
)
def test_an_address_that_leads_elsewhere_is_not_its_own(address: str) -> None:
    assert not is_callback(address, FINE)
