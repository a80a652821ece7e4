"""What a check or a refusal says about the set-up: a verdict, the cause, and what to do.

The refusals of X as such values are the table in `refusals.py`.
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Diagnosis", "Topic", "Verdict"]


class Verdict(enum.StrEnum):
    """What came of a check."""

    FINE = "fine"
    WRONG = "wrong"
    UNTOLD = "could not be told"


class Topic(enum.StrEnum):
    """What a refusal speaks of."""

    CLIENT_KEYS = "client id and secret"
    API_KEYS = "api key and secret"
    LOGIN = "login"
    CALLBACK = "callback URL"
    CLOCK = "clock"
    ACCESS = "access"
    ENROLMENT = "enrolment"
    APP = "app"
    STANDING = "account"
    CREDITS = "credits"
    SPEND_CAP = "spend cap"
    USAGE_CAP = "usage cap"
    RATE = "rate"
    STREAM = "stream"
    CALL = "the call"
    X = "X"


class Diagnosis(Struct, frozen=True, kw_only=True, gc=False):
    """A row of the table: what X answers, and what that means.

    Every sign that is given must be there; of `statuses`, `reasons`, and `names` and `codes`
    together one suffices. `names` are last segments of a problem type, titles, or the `error` of
    a token answer. `words` is a pattern of X's English text, of which `text` is the sample.
    `reasons` are X's own `reason`, `connection_issue` or `disconnect_type`.
    """

    id: str
    verdict: Verdict
    topic: Topic
    cause: str
    cure: str = ""
    statuses: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    codes: tuple[int, ...] = ()
    reasons: tuple[str, ...] = ()
    words: str = ""
    text: str = ""

    @property
    def is_named(self) -> bool:
        """Whether more than the status tells it."""
        return bool(self.names or self.codes or self.reasons or self.words)

    def fits(
        self, status: int, names: Collection[str], codes: Collection[int], reason: str, detail: str
    ) -> bool:
        """Whether an answer with these signs is this one."""
        if self.statuses and status not in self.statuses:
            return False
        if self.reasons and reason not in self.reasons:
            return False
        named = bool(self.names or self.codes)
        if named and not any(name in self.names for name in names):
            return any(code in self.codes for code in codes)
        return not self.words or re.search(self.words, detail.lower()) is not None
