"""Rules and queries are checked by X's grammar before X sees them.

What X refuses is taken from its pages "Build a rule" and "Operators"; there is no other oracle
here than X itself. The examples that must pass are those of the pages.
"""

from __future__ import annotations

import pytest

from botkit.protocol.queries.syntax import faults_of

GOOD_RULES = (
    "cats has:images -is:retweet",
    "(happy OR happiness) place_country:GB -birthday -is:retweet",
    '"twitter data" has:mentions (has:media OR has:links)',
    "#thankunext #fanart OR @arianagrande",
    '"quick fox"~6',
    '"from:"',
    "point_radius:[2.355128 48.861118 16km] lunch",
    'url:"https://developer.x.com"',
    "context:10.799022225751871488",
    "from:XDevelopers -is:nullcast",
    "bio:founder followers_count:100..500",
    "\u2615 lang:de",
    "$TSLA OR 12:30",
    "(cats OR -dogs) birds",
    "from:2244994945 sample:100 lang:zh-TW",
    'from:"XDevelopers"',
)
GOOD_QUERIES = (
    "@greeter -is:retweet -from:greeter",
    "cats min_likes:10",
    "list:84839422",
    "in_reply_to_tweet_id:1539382664746020864",
)
BAD_RULES = {
    "": "the rule is empty",
    "  ": "the rule is empty",
    "has:images": "no condition can stand alone",
    "-cats": "no condition can stand alone",
    "-cats is:reply": "no condition can stand alone",
    "cats (dogs": "a ( is not closed",
    "cats dogs)": "a ) has no ( before it",
    "cats ()": "a group ( ) is empty",
    "cats OR": "OR stands between two conditions",
    "OR cats": "OR stands between two conditions",
    "cats OR OR dogs": "OR stands between two conditions",
    "(cats OR) dogs": "OR stands between two conditions",
    "cats -(dogs OR birds)": "- negates one condition, not a group",
    "cats - dogs": "- is no condition",
    'cats ""': '"" is no condition',
    'cats "dogs': 'a quotation mark " is not closed',
    '"quick fox"~7': "words up to 6 apart",
    "cats has:pictures": "X knows no has:pictures",
    "cats is:nullcast": "only negated",
    "cats -sample:10": "sample: cannot be negated",
    "cats embedding:dogs": "needs an Enterprise plan",
    "cats list:12": "a rule of the filtered stream has no operator list:",
    "form:ada": "did you mean from:?",
    "cats min_faves:3": "write min_likes:",
    "https://example.com": 'write "https://example.com"',
    "from: ada": "from: has no value",
    "cats AND dogs": "a blank joins conditions",
    "cats or dogs": "OR joins them as alternatives",
    "cats don't": 'only in quotation marks: write "don\'t"',
    "conversation_id:x": "conversation_id: takes an id, which is digits, and not x",
    "from:a-b": "from: takes a username without @",
    "from:@ada": "from: takes a username without @",
    "cats sample:0": "a number from 1 to 100",
    "cats followers_count:1..": "a number or a range",
    "cats lang:english": "the code of a language",
    "cats OR -dogs": "between two OR stand only negations",
    "-dogs -birds OR cats": "between two OR stand only negations",
    'source:"X for iPhone"': "no condition can stand alone",
}


@pytest.mark.parametrize("rule", GOOD_RULES)
def test_the_rules_of_xs_pages_pass(rule: str) -> None:
    assert faults_of(rule, "stream") == []


@pytest.mark.parametrize("query", GOOD_QUERIES)
def test_the_queries_of_xs_pages_pass(query: str) -> None:
    assert faults_of(query, "search") == []


@pytest.mark.parametrize(("rule", "fault"), BAD_RULES.items())
def test_a_rule_that_x_refuses_is_named_with_its_cure(rule: str, fault: str) -> None:
    first, *others = faults_of(rule, "stream")
    assert fault in first
    follow = ("no condition can stand alone", "between two OR stand only negations")
    assert all(other.startswith(follow) for other in others)


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("", "the query is empty"),
        ("cats sample:10", "recent search has no operator sample:"),
        ("cats min_retweets:2", "write min_reposts:"),
        ('"quick fox"~2', "in rules of the stream only"),
    ],
)
def test_a_query_that_x_refuses_is_named_with_its_cure(query: str, fault: str) -> None:
    assert any(fault in each for each in faults_of(query, "search"))


@pytest.mark.parametrize(
    ("place", "plan", "longest"),
    [
        ("stream", "self-serve", 1024),
        ("stream", "enterprise", 2048),
        ("search", "self-serve", 512),
        ("search", "enterprise", 4096),
    ],
)
def test_the_plan_decides_how_long_it_may_be(place: str, plan: str, longest: int) -> None:
    assert faults_of("a" * longest, place, plan=plan) == []  # type: ignore[arg-type]  # a Place
    (fault,) = faults_of("a" * (longest + 1), place, plan=plan)  # type: ignore[arg-type]  # a Place
    assert str(longest) in fault


def test_an_enterprise_app_may_use_what_only_its_plan_has() -> None:
    assert faults_of("cats embedding:dogs", "stream", plan="enterprise") == []
