"""Which texts ask the account to stop, and which only hold such a word."""

from __future__ import annotations

import pytest

from botkit.protocol.rules.opt_outs import START_WORDS, STOP_WORDS, OptOutRules

RULES = OptOutRules()


@pytest.mark.parametrize(
    "text",
    [
        "STOP",
        "@greeter stop!",
        " Please stop. ",
        "stop, please",
        "ok, stop it now. Thanks!",
        "stop @greeter",
        "Please stop replying to me, @greeter.",
        "don\u2019t reply",
        "Don\u2019t message me again!",
        "I want to unsubscribe",
        "Unsubscribe me please",
        "arr\u00eatez !",
        "bitte h\u00f6r auf",
        "\u0421\u0442\u043e\u043f",
        "\u3084\u3081\u3066\u3002",
        "unsubscribe",
        "... (stop)",
        "stop" + "!" * 196,  # 200 characters
        "stop ! ! ! ! ! ! ! ! !",
        "@a @b @c @d @e do not message me",
        "\u0930\u094b\u0915\u0947\u0902",  # ends with a sign that is no letter
        "don't reply",
        "stop replying",
        "Stop replying to me",
        "stop writing to me",
        "Do not contact me",
        "never tag me again",
        "dont dm me any more",
        "don't reply to me anymore",
        "Please, please don't reply to me any more now, thank you!",
    ],
)
def test_a_plain_request_to_stop_is_an_opt_out(text: str) -> None:
    assert RULES.asks_to_stop(text)


@pytest.mark.parametrize(
    "text",
    [
        "\uff33\uff34\uff2f\uff30",
        "\u200bstop\u200b",
        "stop stop stop",
        "stop https://t.co/abc",
        "hey, stop thx",
        "ARRETEZ s'il vous plaît",
        "dejame en paz",
        "Lass mich bitte in Ruhe",
        "не пиши мне больше, пожалуйста",
        "もう返信しないでください",
    ],
)
def test_neither_the_form_of_letters_nor_what_stands_around_a_request_matters(text: str) -> None:
    assert RULES.asks_to_stop(text)


@pytest.mark.parametrize(
    ("verb", "doing"),
    [
        ("reply", "replying"),
        ("reply to", "replying to"),
        ("respond to", "responding to"),
        ("answer", "answering"),
        ("message", "messaging"),
        ("dm", "dming"),
        ("contact", "contacting"),
        ("write to", "writing to"),
        ("text", "texting"),
        ("mention", "mentioning"),
        ("tag", "tagging"),
        ("talk to", "talking to"),
        ("bother", "bothering"),
        ("spam", "spamming"),
    ],
)
def test_each_thing_that_a_bot_does_may_be_refused_in_english(verb: str, doing: str) -> None:
    assert RULES.asks_to_stop(f"Stop {doing} me!")
    for no in ("do not", "don't", "dont", "never"):
        for end in ("", " again", " any more", " anymore"):
            assert RULES.asks_to_stop(f"{no} {verb} me{end}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@greeter",
        "please",
        "thanks, bot",
        "stop the war",
        "when does it end?",
        "never stop",
        "don't stop",
        "stop it or I call my lawyer",
        "do not message me at ten, message me at noon",
        "stop " * 60,
        "stop" + "!" * 197,
    ],
)
def test_a_stop_word_in_a_sentence_is_none(text: str) -> None:
    assert not RULES.asks_to_stop(text)


@pytest.mark.parametrize(
    "text",
    ["end", "Cancel!", "quit", "no more", "para", "basta", "cancelar", "exit", "alto", "iptal"],
)
def test_a_word_that_people_also_say_with_another_meaning_is_none(text: str) -> None:
    assert not RULES.asks_to_stop(text)


@pytest.mark.parametrize(
    "text",
    [
        "stop?",
        "@greeter Stop ?",
        "stop??",
        "Стоп?",
        "停止\uff1f",
        "중지?",
        "stop? @greeter",
        "'stop'?",
    ],
)
def test_a_question_about_the_word_is_no_request(text: str) -> None:
    assert not RULES.asks_to_stop(text)


@pytest.mark.parametrize(
    "text",
    [
        "stop?!",
        "please stop?",
        "can you stop?",
        "unsubscribe?",
        "opt out?",
        "やめて\uff1f",
        "stop. ok?",
    ],
)
def test_a_request_in_the_form_of_a_question_is_one(text: str) -> None:
    assert RULES.asks_to_stop(text)


@pytest.mark.parametrize("text", ["$STOP", "@greeter $stop", "\uff04STOP!", "$STOP $STOP"])
def test_a_cashtag_is_a_stock_and_no_request(text: str) -> None:
    assert not RULES.asks_to_stop(text)


@pytest.mark.parametrize("text", ["#STOP", "@greeter #stop", "stop $", "STOP.", '"stop"'])
def test_other_signs_around_the_word_do_not_matter(text: str) -> None:
    assert RULES.asks_to_stop(text, own_names={"greeter"})


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("stop @ada", False),
        ("@greeter stop @ada", False),
        ("@greeter please stop, @ada!", False),
        ("stop @ada @bob", False),
        ("stop @greeter", True),
        ("stop @Greeter!", True),
        ("@ada stop @greeter", True),
        ("stop @ada @greeter", True),
        ("@greeter @ada stop", True),
        ("stop", True),
        ("stop messaging me @greeter https://t.co/a", True),
    ],
)
def test_names_after_the_request_say_who_has_to_stop(text: str, *, asks: bool) -> None:
    assert RULES.asks_to_stop(text, own_names={"greeter"}) is asks
    assert RULES.asks_to_stop(text, own_names=None)


def test_the_way_back_is_no_question_for_somebody_else_or_stock() -> None:
    assert RULES.asks_to_start("start @greeter", own_names={"greeter"})
    assert not RULES.asks_to_start("start @ada", own_names={"greeter"})
    assert not RULES.asks_to_start("$START")


def test_an_author_adds_words_or_has_words_of_their_own() -> None:
    more = OptOutRules(stop_words=STOP_WORDS | {"Servus, baba"})
    assert more.asks_to_stop("@greeter servus, baba!")
    assert more.asks_to_stop("stop")
    own = OptOutRules(stop_words=frozenset({"halt"}))
    assert own.asks_to_stop("Halt!")
    assert not own.asks_to_stop("stop")
    assert not OptOutRules(stop_words=frozenset()).asks_to_stop("stop")


def test_six_further_words_may_surround_a_request_and_no_more() -> None:
    own = OptOutRules(stop_words=frozenset({"halt"}))
    assert own.asks_to_stop("please " * 6 + "halt")
    assert not own.asks_to_stop("please " * 7 + "halt")


def test_a_word_of_the_author_may_end_as_politeness_does() -> None:
    own = OptOutRules(stop_words=frozenset({"stop, thank you"}))
    assert own.asks_to_stop("Stop, thank you!")
    assert not own.asks_to_stop("stop")


def test_the_way_back_is_a_plain_word_too() -> None:
    assert RULES.asks_to_start("@greeter START")
    assert RULES.asks_to_start("opt-in please")
    assert not RULES.asks_to_start("start the music")
    assert not STOP_WORDS & START_WORDS


@pytest.mark.parametrize("word", sorted(STOP_WORDS | START_WORDS))
def test_each_word_is_found_as_it_stands(word: str) -> None:
    assert RULES.asks_to_stop(word) or RULES.asks_to_start(word)
