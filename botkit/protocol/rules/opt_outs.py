"""Recognize a text that only asks the account to stop, or to start again.

X asks for an immediate opt-out, by common stop words. Words that people also say to a bot with
another meaning (`end`, `cancel`, `quit`, `para`) are not among them: an opt-out holds for good.
Source: X developer guidelines, "Requirements for automated accounts", read 2026-08-22.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from botkit.protocol.text.weighted_length import normalise, without_leading_names

if TYPE_CHECKING:
    from collections.abc import Collection

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
    |can you stop|could you stop|just stop|stop already|stop spam|i'd like to opt out|fuck off
    |don't @ me|dont @ me|no more messages|no more replies
    |abmelden|abbestellen|hör auf mir zu antworten|nicht mehr antworten|antworte mir nicht
    |arrête de me répondre|laissez-moi tranquille|laisse moi tranquille|désabonne-moi
    |deja de responderme|deja de molestarme|no me escribas|no me contestes|ya no me escribas
    |no me respondas más|dame de baja|darme de baja|me deixa em paz|pare de me marcar
    |cancellami|laat me met rust|stop ermee|uitschrijven|sluta svara mig|lämna mig ifred
    |la meg være i fred|lad mig være|jätä minut rauhaan|daj mi spokój|zostaw mnie w spokoju
    |přestaň|hagyj békén|leiratkozás|dezabonare|lasă-mă în pace|σταμάτα|прекрати|отпишись
    |отстань от меня|не пиши мне больше|больше не пиши мне|не отвечай мне|перестань
    |оставь меня в покое|не пиши мені|bana yazma
    |停止してください|返信しないで|返信しないでください|もう返信しないで|もう返信しないでください
    |请停止|請停止|停止发送|不要再回复我|别再回复我|不要回复我了
    |그만해|그만하세요|그만해줘|답장하지 마세요|jangan balas saya|jangan hubungi saya lagi
    |đừng trả lời tôi|หยุดตอบ|لا ترد علي|תפסיק
""")
"""The texts that count as a request to stop if a user writes nothing else."""

START_WORDS = _listed("start|unstop|opt in|opt-in|optin|opt me in|resubscribe|subscribe|resume")
"""The texts by which a user who opted out opts in again, if the text has nothing else."""

_POLITE = (
    "hey|hi|please|pls|plz|now|bot|ok|okay|thanks|thx|thank you|bitte|jetzt|danke|por favor"
    "|gracias|s'il te plait|s'il vous plait|stp|svp|merci|per favore|grazie|obrigado|obrigada"
    "|alsjeblieft|пожалуиста|спасибо"
)
# Compared after `_folded`, which takes the accents off.
_POLITENESS = re.compile(rf"\A(?:(?:{_POLITE})\W+)+|(?:\W+(?:{_POLITE}))+(?=\Z|\W)")
_LINK_AT_END = re.compile(r"(?:\s+https?://\S+)+\s*\Z")
_MARKS = re.compile("[\u0300-\u036f\u064b-\u0652]")
_UNSEEN = re.compile("[\u200b-\u200f\u2060\ufeff]")
_NAMES_AT_END = re.compile(r"(?:\s+[@\uff20]\w{1,20}[.!]*)+\s*\Z", re.ASCII)
_NAME = re.compile(r"[@\uff20](\w{1,20})", re.ASCII)
_CASHTAG = re.compile(r"\$\w")
_NOUNS = ("stop", "stopp", "стоп", "ストップ", "停止", "중지")
"""Stop words that are also the name of a thing: with a question mark they only ask about it."""


class OptOutRules(Struct, frozen=True, kw_only=True):
    """Set how users opt out of messages from the bot, and in: `Bot(..., opt_out=OptOutRules())`.

    A mention, a reply or a direct message counts if it has one of the words and nothing else;
    case, punctuation, @names and words of politeness around it do not matter. A cashtag ($STOP), a
    question about the word (stop?) and a request to somebody else (stop @ada) do not count.

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

    def asks_to_stop(self, text: str, *, own_names: Collection[str] | None = None) -> bool:
        """Return True if the text only asks the account to stop.

        Names after the request say who has to stop: one of them must be in `own_names`, the
        account's usernames. With None, names do not matter.
        """
        return _says(text, self.stop_words, own_names)

    def asks_to_start(self, text: str, *, own_names: Collection[str] | None = None) -> bool:
        """Return True if the text only asks the account to start again; see `asks_to_stop`."""
        return _says(text, self.start_words, own_names)


def _says(text: str, words: frozenset[str], own_names: Collection[str] | None) -> bool:
    wanted, most = _prepared(words)
    if len(text) > _LONGEST or len(text.split(None, most + 1)) > most + text.count("@"):
        return False  # called for each event: most texts are too long
    said = _LINK_AT_END.sub("", without_leading_names(_folded(text)))
    names = _NAMES_AT_END.search(said)
    if names is not None:
        said = said[: names.start()]
        if own_names is not None and not _names_one(names[0], own_names):
            return False
    if _CASHTAG.search(said) or _questions().fullmatch(said):
        return False
    said = _bare(said)
    return any(
        one in wanted or all(word in wanted for word in one.split())
        for one in (said, _bare(_POLITENESS.sub("", said)))
        if one
    )


def _names_one(names: str, own_names: Collection[str]) -> bool:
    """Return True if one of the @names is in `own_names`."""
    return not {name.casefold() for name in own_names}.isdisjoint(_NAME.findall(names))


@cache
def _questions() -> re.Pattern[str]:
    """Return the pattern of a question that is nothing but one of `_NOUNS`."""
    return re.compile(rf"[^\w!]*(?:{'|'.join(map(_folded, _NOUNS))})[^\w!?]*\?[^\w!]*")


def _folded(text: str) -> str:
    """Return the text for comparison: full-width letters, accents and case make no difference."""
    plain = unicodedata.normalize("NFKD", _UNSEEN.sub("", text).replace("\u2019", "'"))
    return normalise(_MARKS.sub("", plain)).casefold()


@cache
def _prepared(words: frozenset[str]) -> tuple[frozenset[str], int]:
    """Return the words ready for comparison, and the most words of a text that can match."""
    wanted = frozenset(_bare(_folded(word)) for word in words) - {""}
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
