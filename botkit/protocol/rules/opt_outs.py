"""Recognize a text that only asks the account to stop, or to start again.

X asks for an immediate opt-out, by common stop words. Words that people also say to a bot with
another meaning (`end`, `cancel`, `quit`, `para`) are not among them: an opt-out holds for good.
Source: X developer guidelines, "Requirements for automated accounts", read 2026-08-22.
"""

from __future__ import annotations

import re
from functools import cache

from msgspec import Struct

from botkit.protocol.text.weighted_length import normalise, without_leading_names

__all__ = ["START_WORDS", "STOP_WORDS", "OptOutRules"]

_LONGEST = 200
"""The most characters of a text that is examined: a request to stop is short."""
_FURTHER_WORDS = 6
"""The most further words (politeness, names) that may surround a request."""


def _listed(words: str) -> frozenset[str]:
    return frozenset(" ".join(word.split()) for word in words.strip().split("|"))


def _said_in_english() -> frozenset[str]:
    """Return the English sentences that ask for silence, such as `don't reply to me any more`."""
    forms = {
        "reply": "replying",
        "reply to": "replying to",
        "respond to": "responding to",
        "answer": "answering",
        "message": "messaging",
        "dm": "dming",
        "contact": "contacting",
        "write to": "writing to",
        "text": "texting",
        "mention": "mentioning",
        "tag": "tagging",
        "talk to": "talking to",
        "bother": "bothering",
        "spam": "spamming",
    }
    asked = {"do not reply", "don't reply", "dont reply", "stop replying"}
    for verb, doing in forms.items():
        asked.add(f"stop {doing} me")
        for no in ("do not", "don't", "dont", "never"):
            asked |= {f"{no} {verb} me", f"{no} {verb} me again"}
            asked |= {f"{no} {verb} me any more", f"{no} {verb} me anymore"}
    return frozenset(asked)


STOP_WORDS = _said_in_english() | _listed("""
    stop|stop it|stop that|stop this|stopall|stop all|unsubscribe|unsubscribe me|opt out|opt-out
    |optout|opt me out|i opt out|i want to opt out|i want to unsubscribe|i want you to stop
    |leave me alone|go away|remove me from your list|take me off your list|stop sending me messages
    |stopp|aufhören|aufhoeren|hör auf|hör auf damit|lass mich in ruhe|schreib mir nicht mehr
    |antworte mir nicht mehr|keine nachrichten mehr
    |arrêt|arrête|arrêter|arrêtez|désabonner|désinscription|laisse-moi tranquille|ne m'écris plus
    |arrête de m'écrire|ne me réponds plus
    |deja de escribirme|no me escribas más|no me respondas|déjame en paz|darse de baja
    |cancelar suscripción|descadastrar|pare com isso|pare de me responder|me deixe em paz
    |fermati|smetti|smettila|smetti di scrivermi|disiscrivimi|lasciami in pace
    |stop maar|afmelden|hou op|ophouden|sluta|avregistrera|lopeta|hold op|afmeld
    |przestań|wypisz mnie|durdur|стоп|отписаться|отстань|не пиши мне|зупинись|відписатися
    |停止|やめて|やめてください|ストップ|配信停止|停止して|退订|退訂|取消订阅|别发了|停止發送
    |그만|중지|구독취소|수신거부|berhenti|dừng lại|หยุด
    |توقف|إلغاء الاشتراك|עצור|הסר|रोकें|बंद करो|बंद करें
""")
"""The texts that count as a request to stop if a user writes nothing else."""

START_WORDS = _listed("start|unstop|opt in|opt-in|optin|opt me in|resubscribe|subscribe|resume")
"""The texts by which a user who opted out opts in again, if the text has nothing else."""

_POLITE = (
    "please|pls|plz|now|bot|ok|okay|thanks|thank you|bitte|jetzt|danke|por favor|gracias"
    "|s'il te plaît|s'il vous plaît|stp|svp|merci|per favore|grazie|obrigado|obrigada"
    "|alsjeblieft|пожалуйста|спасибо"
)
_POLITENESS = re.compile(rf"\A(?:(?:{_POLITE})\W+)+|(?:\W+(?:{_POLITE}))+\Z")
_NAMES_AT_END = re.compile(r"(?:\s+[@\uff20]\w{1,20}[.!]*)+\s*\Z", re.ASCII)


class OptOutRules(Struct, frozen=True, kw_only=True):
    """Set how users opt out of messages from the bot, and in: `Bot(..., opt_out=OptOutRules())`.

    A mention, a reply or a direct message counts if it has one of the words and nothing else;
    case, punctuation, @names and words of politeness around it do not matter.

    Attributes:
        stop_words: Words and short sentences that ask to stop; `STOP_WORDS | {"..."}` adds some.
        start_words: Words and short sentences by which a user who has opted out opts in again.
        goodbye: The one answer to a request to stop, with the way back; "" sends none.
        welcome: The answer to a request to start again; "" sends none.
    """

    stop_words: frozenset[str] = STOP_WORDS
    start_words: frozenset[str] = START_WORDS
    goodbye: str = (
        "You will not hear from this account again. If you change your mind, send it the word "
        "START."
    )
    welcome: str = (
        "You will hear from this account again. To end that, send it the word STOP at any time."
    )

    def asks_to_stop(self, text: str) -> bool:
        """Return True if the text only asks the account to stop."""
        return _says(text, self.stop_words)

    def asks_to_start(self, text: str) -> bool:
        """Return True if the text only asks the account to start again."""
        return _says(text, self.start_words)


def _says(text: str, words: frozenset[str]) -> bool:
    wanted, most = _prepared(words)
    if len(text) > _LONGEST or len(text.split(None, most + 1)) > most + text.count("@"):
        return False  # called for each event: most texts are too long
    said = without_leading_names(normalise(text)).casefold().replace("\u2019", "'")
    said = _bare(_NAMES_AT_END.sub("", said))
    return said in wanted or _bare(_POLITENESS.sub("", said)) in wanted


@cache
def _prepared(words: frozenset[str]) -> tuple[frozenset[str], int]:
    """Return the words ready for comparison, and the most words of a text that can match."""
    wanted = frozenset(_bare(normalise(word).casefold()) for word in words) - {""}
    longest = max((len(word.split()) for word in wanted), default=0)
    return wanted, longest + _FURTHER_WORDS


def _bare(words: str) -> str:
    """Return the words without surrounding punctuation; without a regex, as it runs so often."""
    start, end = 0, len(words)
    while end and not words[end - 1].isalnum():
        end -= 1
    while start < end and not words[start].isalnum():
        start += 1
    return words[start:end]
