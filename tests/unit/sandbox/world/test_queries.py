"""Rules and search queries: what they match, and what is refused.

What a single operator means rests on the examples of X's pages "Filtered Stream Operators",
"Search Operators", "Build a rule" and "Build a query" (read 2026-08-22); the texts of refusals on
reports of users (docs/explanation/x-facts.md, 18.5). How operators work together is judged by a
second matcher in this file, which knows the tree from which a query was written and never parses.
"""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.protocol.queries.syntax import faults_of
from botkit.sandbox.harness.clock import SeededEntropy, VirtualClock
from botkit.sandbox.world.queries import NotPlayedError, parse_query
from botkit.sandbox.world.query_operators import tokens_of
from botkit.sandbox.world.query_syntax import QueryFault
from botkit.sandbox.world.world import World


@pytest.fixture
def world():
    made = World(VirtualClock(), SeededEntropy())
    for name in ("ada", "bob", "cleo"):
        made.add_user(name)
    return made


def post(world, text, by="ada", **more):
    return world.add_post(world.user(by).id, text, **more)


def matches(world, query, found, product="stream"):
    return parse_query(query, product, enterprise=True).matches(world, found)


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        ("cat", "A Cat!", True),
        ("cat", "cats", False),
        ("cat", "#cat", True),
        ("coca", "I like coca-cola", True),
        ("coca-cola", "I like coca-cola", True),
        ('"coca cola"', "I like Coca-Cola", True),
        ('"like cola"', "I like coca-cola", False),
        ("CAT", "the cat", True),
        ("straße", "STRASSE", True),
        ("\U0001f603", "good \U0001f603!", True),
        ("\U0001f603", "good \U0001f621", False),
        ("\U0001f468", "\U0001f468\u200d\U0001f469\u200d\U0001f467", False),
        ("\u2764\ufe0f", "I \u2764 it", True),
        ("\u732b", "\u79c1\u306f\u732b\u3067\u3059", True),
        ("\u6771\u4eac", "\u4eac\u6771", False),
        ('"social media"~5', "media that is not social", True),
        ('"social media"~2', "social and other media", True),
        ('"social media"~2', "social a b c media", False),
        ('"social media"~2', "media social", True),
        ('"social media"~1', "media social", False),
        ('"a a"~3', "a b", False),
        ("#fanart", "my #FanArt", True),
        ("#thanku", "#thankunext", False),
        ("#fanart", "fanart", False),
        ("$tsla", "buy $TSLA", True),
        ("$tsla", "tsla", False),
        ("@bob", "hi @Bob", True),
        ("@nobody", "hi @nobody", False),
        ("from:ada", "x", True),
        ("from:BOB", "x", False),
        ('url:"https://example.com"', "see https://example.com/a", True),
        ('url:"https://t.co"', "see https://example.com/a", True),
        ("url:example", "see example.com", True),
        ("url:exam", "see example.com", False),
        ("url_contains:xampl", "see example.com", True),
        ("x has:hashtags", "x #a", True),
        ("x has:hashtags", "x", False),
        ("x has:cashtags", "x $TSLA", True),
        ("x has:links", "x example.com", True),
        ("x has:mentions", "x @bob", True),
        ("x has:mentions", "x @nobody", False),
        ("x has:geo", "x", False),
        ("x lang:EN", "x", True),
        ("x lang:de", "x", False),
        ("x -is:nullcast", "x", True),
        ("x is:verified", "x", False),
        ("place:seattle OR x", "x", True),
        ("bio:builder", "x", True),
        ("bio_name:ada", "x", True),
        ("bio_location:nyc", "x", False),
        ("min_followers:1", "x", True),
        ("min_followers:2", "x", False),
        ("followers_count:0..1", "x", True),
        ("following_count:1..10", "x", False),
        ("tweets_count:1..10", "x", True),
        ("listed_count:10..100", "x", False),
        ("x sample:100", "x", True),
        ('x source:"Greeter"', "x", False),
    ],
)
def test_an_operator_of_a_rule_means_what_x_says(world, query, text, expected):
    world.user("ada").description = "A builder of bots"
    world.follow(world.user("bob").id, world.user("ada").id)
    assert matches(world, query, post(world, text)) is expected


def test_operators_on_ids_and_counts_find_their_posts(world):
    head = post(world, "x")
    reply = post(world, "x", by="bob", reply_to=head.id)
    quote = post(world, "x", by="bob", quoting=head.id)
    repost = world.repost(world.user("cleo").id, head.id)
    world.like(world.user("bob").id, head.id)
    chosen = world.lists.add(world.user("ada").id, "mine")
    chosen.members[world.user("bob").id] = None
    for query, expected in {
        "to:ada": [reply],
        "retweets_of:ada": [repost],
        "is:reply x": [reply],
        "is:quote x": [quote],
        "is:retweet from:cleo": [repost],
        f"conversation_id:{head.id}": [head, reply],
        f"in_reply_to_tweet_id:{head.id}": [reply],
        f"quotes_of_tweet_id:{head.id}": [quote],
        f"retweets_of_tweet_id:{head.id}": [repost],
        f"list:{chosen.id}": [reply, quote],
        "min_likes:1": [head],
        "min_replies:1": [head],
        "min_reposts:1": [head],
        f"from:{world.user('bob').id}": [reply, quote],
    }.items():
        found = [one for one in world.posts.values() if matches(world, query, one, "search")]
        assert found == expected, query


def test_pictures_and_films_are_told_apart(world):
    photo = post(world, "cats", media=("photo",))
    film = post(world, "cats", media=("video",))
    plain = post(world, "cats")
    for query, expected in {
        "cats has:media": [photo, film],
        "cats has:images": [photo],
        "cats has:video_link": [film],
        "cats -has:media": [plain],
    }.items():
        assert [one for one in (photo, film, plain) if matches(world, query, one)] == expected


def test_the_app_that_posted_is_the_source(world):
    app = world.grants.add_app("Greeter")
    found = post(world, "x", app_id=app.id)
    assert matches(world, 'x source:"Greeter"', found)
    assert not matches(world, 'x source:"Other"', found)


def test_a_sample_is_the_same_each_time_and_about_as_large_as_asked_for(world):
    found = [post(world, "x") for _ in range(400)]
    chosen = [one for one in found if matches(world, "x sample:25", one)]
    assert [one for one in found if matches(world, "x sample:25", one)] == chosen
    assert 60 < len(chosen) < 140


def test_accents_must_be_the_same_for_a_rule_and_may_be_missing_for_a_search(world):
    plain, accented = post(world, "diacritica"), post(world, "DIACRÍTICA")
    assert not matches(world, "diacrítica", plain)
    assert matches(world, "diacrítica", plain, "search")
    assert matches(world, "diacrítica", accented)
    assert not matches(world, "diacritica", accented)


def test_a_rule_reads_the_quoted_post_too_and_a_search_does_not(world):
    quoted = post(world, "grumpy #cat example.com", by="bob")
    quote = post(world, "look", quoting=quoted.id)
    for query in ("grumpy", "#cat", "url:example", "look has:links"):
        assert matches(world, query, quote)
        assert not matches(world, query, quote, "search")
    assert not matches(world, "look -grumpy", quote)
    assert not matches(world, "from:bob", quote)
    world.delete_post(quoted.id)
    assert not matches(world, "grumpy", quote)


def test_a_repost_matches_by_what_it_shows_but_no_keyword_of_a_search(world):
    head = post(world, "a long text about a #cat " + "and more " * 20 + "end")
    repost = world.repost(world.user("bob").id, head.id)
    assert matches(world, "end", repost)
    assert matches(world, "@ada #cat", repost)
    assert not matches(world, "end", repost, "search")
    assert matches(world, "#cat", repost, "search")
    assert matches(world, "from:bob -dog", repost, "search")
    assert not matches(world, "from:bob -end", repost, "search")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("apple OR iphone ipad", "apple OR (iphone ipad)"),
        ("ipad iphone OR android", "(iphone ipad) OR android"),
        ("apple(iphone)", "apple iphone"),
    ],
)
def test_and_binds_before_or(world, one, other):
    for words in itertools.product(("apple", ""), ("iphone", ""), ("ipad", ""), ("android", "")):
        found = post(world, " ".join(words) + " x")
        assert matches(world, one, found) is matches(world, other, found)


WORDS = ("cat", "dog", "owl", "#tag", "@bob", "example.com")
TERMS = {
    "cat": lambda post: "cat" in post.written.split(),
    '"dog owl"': lambda post: "dog owl" in post.written.replace("#", " ").replace(".", " "),
    "#tag": lambda post: "#tag" in post.written,
    "@bob": lambda post: "@bob" in post.written,
    "from:ada": lambda post: post.author_id in ADA,
    "has:links": lambda post: "example.com" in post.written,
    "url:example": lambda post: "example.com" in post.written,
    "is:reply": lambda post: post.reply_to_id is not None,
}
ADA: set[str] = set()


def random_tree(draw, depth):
    """A term (negated or not), or a list of parts under `and` or `or`."""
    if depth == 0 or draw.random() < 0.3:
        return ("term", draw.choice(list(TERMS)), draw.random() < 0.3)
    parts = [random_tree(draw, depth - 1) for _ in range(draw.randint(2, 3))]
    return (draw.choice(("and", "or")), parts)


def written(draw, tree, inside=""):
    """The tree as a query, with parentheses where they are needed and where they are not."""
    if tree[0] == "term":
        return "-" * tree[2] + tree[1]
    joint = " " if tree[0] == "and" else " OR "
    text = joint.join(written(draw, part, tree[0]) for part in tree[1])
    needed = tree[0] == "or" and inside == "and"
    return f"({text})" if needed or draw.random() < 0.3 else text


def holds(tree, found):
    if tree[0] == "term":
        return TERMS[tree[1]](found) is not tree[2]
    results = [holds(part, found) for part in tree[1]]
    return all(results) if tree[0] == "and" else any(results)


@pytest.mark.parametrize("seed", range(60))
def test_a_query_matches_what_its_tree_says(world, seed):
    ADA.add(world.user("ada").id)
    draw = random.Random(seed)
    head = post(world, "head")
    posts = [
        post(
            world,
            " ".join(draw.sample(WORDS, draw.randint(1, 5))),
            by=draw.choice(("ada", "cleo")),
            reply_to=draw.choice((None, head.id)),
        )
        for _ in range(25)
    ]
    tree = ("and", [("term", "@bob", False), random_tree(draw, 3)])
    query = written(draw, tree)
    for found in posts:
        # A reply's names at its start count as mentions, and the texts are as written.
        assert matches(world, query, found) is holds(tree, found), (query, found.written)


UNAVAILABLE = (
    "Reference to invalid operator 'list'. Operator is not available in current product or product"
    " packaging. Please refer to complete available operator list at http://t.co/operators."
    " (at position 3)"
)
AMBIGUOUS = (
    "Ambiguous use of and as a keyword. Use a space to logically join two clauses, or"
    ' "and" to find occurrences of and in text (at position 3)'
)


@pytest.mark.parametrize(
    ("product", "query", "details"),
    [
        ("search", "since:2020", ["Reference to invalid operator 'since' (at position 1).", "*"]),
        ("stream", "h:m", ["Reference to invalid operator 'h' (at position 1).",
                           "Reference to invalid field 'h' (at position 1)."]),
        ("search", "x has:polls", ["Reference to invalid operator 'has:polls'."]),
        ("search", "x min_faves:3", ["Reference to invalid operator 'min_faves' (at position 3).", "*"]),
        (
            "stream",
            "x list:1",
            [UNAVAILABLE],
        ),
        ("search", "x sample:3", ["Reference to invalid operator 'sample'. Operator is not *"]),
        ("search", "has:media", ["is/has/lang cannot be used as a standalone operator (at position 1)"]),
        ("search", "has:links OR is:retweet",
         ["is/has/lang cannot be used as a standalone operator (at position 1)"]),
        ("stream", "is:reply lang:en",
         ["has/is/lang/sample/source cannot be used as a standalone operator (at position 1)"]),
        ("search", "-cat has:media", ["is/has/lang cannot be used as a standalone operator (at position 1)"]),
        ("stream", "-cat", ["Rules must contain a non-negation term (at position 1)", "*"]),
        ("stream", "dog OR -cat", ["Rules must contain a non-negation term (at position 1)", "*"]),
        ("search", "a b)", ["missing EOF at ')' (at position 4)"]),
        ("search", "(a b", ["Missing closing parenthesis (at position 5)"]),
        ("search", "a AND b", [AMBIGUOUS]),
        ("search", "a or b", ["Ambiguous use of or as a keyword. *"]),
        ("search", "('coca cola')", ["no viable alternative at character ''' (at position 2)"]),
        ("search", "[a]", ["no viable alternative at character '[' (at position 1)"]),
        ("search", '"open', ["no viable alternative at character '\"' (at position 1)"]),
        ("search", "a OR", ["no viable alternative at input '<EOF>' (at position 5)"]),
        ("search", "a ()", ["no viable alternative at input ')' (at position 4)"]),
        ("search", "a -", ["no viable alternative at character '<EOF>' (at position 4)"]),
        ("search", "from:", ["no viable alternative at input 'from:' (at position 1)"]),
        ("search", "a -(b c)", ["Negating a group is not supported (at position 3)"]),
        ("search", "from:a-b", ["Invalid value 'a-b' for operator 'from' (at position 1)"]),
        ("search", "is:nullcast x", ["is:nullcast must be negated (at position 1)"]),
        ("stream", "x -sample:10", ["The operator 'sample' cannot be negated (at position 3)"]),
        ("stream", '"a b"~7', ["no viable alternative at character '~' (at position 1)"]),
        ("search", '"a b"~2', ["no viable alternative at character '~' (at position 1)"]),
        ("stream", 'embedding:"climate"', ["Reference to invalid operator 'embedding'. *"]),
        ("search", "  ", ["The length must be between 1 and 512 characters"]),
        ("search", "x" * 513, ["The length must be between 1 and 512 characters"]),
        ("stream", "x" * 1025, ["The length must be between 1 and 1024 characters"]),
        ("stream", "(" * 60 + "x" + ")" * 60, ["Too many groups inside one another (at position 52)"]),
    ],
)  # fmt: skip
def test_what_x_refuses_is_refused_with_the_place(product, query, details):
    with pytest.raises(QueryFault) as refused:
        parse_query(query, product)
    for found, expected in zip(refused.value.details, details, strict=True):
        assert found.startswith(expected.removesuffix("*")), refused.value.details
        assert expected.endswith("*") or found == expected


@pytest.mark.parametrize("product", ["stream", "search"])
def test_what_the_product_lets_through_is_taken(product):
    """The two grammars were written apart from each other."""
    parts = ["cats", '"a b"', "#tag", "@ada", "$TSLA", "from:ada", "has:links", "is:reply", "lang:en",
             "url:example.com", "12:30", "coca-cola", "A&B", "min_likes:3", 'source:"X"', "is:nullcast",
             "sample:10", "bio:dev", "and", "don't", "list:1", "-cats", "(", ")", "OR", "-has:media",
             "conversation_id:x", "from:a-b", "sample:0", "lang:e", "followers_count:1..2",
             "conversation_id:7", "min_likes:few", "OR -dogs", 'from:"ada"', "tweets_count:1.."]  # fmt: skip
    draw = random.Random(1)
    taken = 0
    for _ in range(4000):
        query = " ".join(draw.choice(parts) for _ in range(draw.randint(1, 6)))
        passed = not faults_of(query, product)
        if passed:
            parse_query(query, product)
            taken += 1
        if not passed:
            with pytest.raises(QueryFault):
                parse_query(query, product)
    assert taken > 100


def test_enterprise_has_longer_texts_and_more_operators():
    parse_query("x" * 2048, "stream", enterprise=True)
    parse_query("x" * 4096, "search", enterprise=True)
    with pytest.raises(QueryFault):
        parse_query("x" * 2049, "stream", enterprise=True)
    with pytest.raises(NotPlayedError, match="embedding"):
        parse_query('embedding:"climate"', "stream", enterprise=True)


@pytest.mark.parametrize(
    "query", ["context:10.1", 'entity:"Ada"', "url_title:snow", "-context:1.2 x"]
)
def test_an_operator_that_the_sandbox_cannot_play_is_named(query):
    with pytest.raises(NotPlayedError, match=r"the operator `\w+:`"):
        parse_query(query, "stream")


SIGNS = st.sampled_from(
    [*"ab \"()-:#@$~[]'.,é猫\U0001f603\u200d\ufe0f\n\t", "from:", "has:links", "OR ", '"a b"~3', "lang:en"]
)  # fmt: skip


@given(st.lists(SIGNS | st.text(max_size=3), max_size=30), st.sampled_from(["stream", "search"]))
def test_any_text_is_a_query_or_is_refused(parts, product):
    made = World(VirtualClock(), SeededEntropy())
    made.add_user("ada")
    found = post(made, "cats #tag @ada example.com \U0001f603")
    try:
        query = parse_query("".join(parts), product)
    except (QueryFault, NotPlayedError):
        return
    assert query.matches(made, found) in {True, False}


def test_words_are_cut_at_punctuation_and_signs():
    assert tokens_of("I like coca-cola, snake_case & don't") == (
        "i", "like", "coca", "cola", "snake", "case", "don", "t",
    )  # fmt: skip
    assert tokens_of("a\U0001f603b \u2764\ufe0f") == ("a", "\U0001f603", "b", "\u2764")
