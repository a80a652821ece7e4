"""Look up X's refusals in a table: the meaning of an answer, and its cure.

The file `refusals.json` holds the rows. `botkit doctor`, the hints and classes of errors, the
readers of token answers and the page docs/reference/doctor.md use them. The first row that fits an
answer applies. X's texts can be localised, so status, code, `error` and the last segment of the
problem's type decide; wording decides only if nothing else tells cases apart.

Importing this module reads the rows. A starting bot needs none of them, so modules loaded at a
start import it inside the function that reads a refusal.

Source: docs/explanation/x-facts.md; each row names its facts.
"""

from __future__ import annotations

import enum
import pkgutil
import re
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from botkit.errors import ResponseError

__all__ = [
    "ERROR_OF_CODE",
    "ERROR_OF_TITLE",
    "ERROR_OF_TYPE",
    "TABLE",
    "Diagnosis",
    "ErrorName",
    "Topic",
    "Verdict",
    "codes_of",
    "diagnose",
    "diagnose_error",
]

ErrorName = Literal[
    "", "BadRequest", "Forbidden", "NotFound", "PaymentRequired", "RateLimited", "ServerError"
]


class Verdict(enum.StrEnum):
    """Name the result of a check."""

    FINE = "fine"
    WRONG = "wrong"
    UNTOLD = "could not be told"


class Topic(enum.StrEnum):
    """Name the subject of a refusal."""

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


class Diagnosis(Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    """Hold a row of the table: the signs of an answer, and its meaning.

    An answer fits if it matches every kind of sign that the row lists. One matching value of a
    kind suffices; `types`, `titles` and `codes` count as one kind.

    Attributes:
        statuses: HTTP statuses.
        types: Last segments of a problem's type.
        titles: Titles of a problem, or the `error` of a token answer.
        codes: Codes of a v1 error list.
        reasons: X's own `reason`, `connection_issue` or `disconnect_type`.
        words: A pattern of X's English text, in lower case; `text` is a sample of that text.
        error: The class of error, if the status does not decide it.
        facts: The numbers of the row's sources in docs/explanation/x-facts.md; empty for a row
            that only catches answers unknown to the other rows.
    """

    id: str
    statuses: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    codes: tuple[int, ...] = ()
    reasons: tuple[str, ...] = ()
    words: str = ""
    text: str = ""
    error: ErrorName = ""
    verdict: Verdict
    topic: Topic
    cause: str
    cure: str = ""
    facts: tuple[str, ...] = ()

    @property
    def is_named(self) -> bool:
        """Return True if the row is recognised by more than the status."""
        return bool(self.types or self.titles or self.codes or self.reasons or self.words)

    def fits(
        self, status: int, names: Collection[str], codes: Collection[int], reason: str, detail: str
    ) -> bool:
        """Return True if an answer with these signs fits this row."""
        if self.statuses and status not in self.statuses:
            return False
        if self.reasons and reason not in self.reasons:
            return False
        known = (*self.types, *self.titles)
        if (known or self.codes) and not any(name in known for name in names):
            return any(code in self.codes for code in codes)
        return not self.words or re.search(self.words, detail.lower()) is not None


class _Data(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hold the file's data: the day on which the facts were read, and the rows by precedence."""

    read_on: str
    rows: tuple[Diagnosis, ...]


def diagnose(
    status: int,
    *,
    title: str = "",
    segment: str = "",
    codes: Collection[int] = (),
    reason: str = "",
    detail: str = "",
) -> Diagnosis:
    """Return the first row that fits; the last row fits every answer."""
    names = (segment, title)
    return next(row for row in TABLE if row.fits(status, names, codes, reason, detail))


def diagnose_error(error: ResponseError) -> Diagnosis:
    """Return the row for the answer that the error was made from."""
    return diagnose(
        error.status,
        title=error.title,
        segment=error.problem_type,
        codes=error.codes,
        reason=error.reason,
        detail=error.detail,
    )


def codes_of(*ids: str) -> frozenset[int]:
    """Return the codes of the rows with these ids, for callers that decide by codes alone.

    Raises:
        KeyError: The table has no row with one of the ids.
    """
    rows = {row.id: row for row in TABLE}
    return frozenset(code for an_id in ids for code in rows[an_id].codes)


def _read() -> _Data:
    source = pkgutil.get_data("botkit.protocol.refusals", "refusals.json")
    assert source is not None
    return msgspec.json.decode(source, type=_Data)


TABLE = _read().rows
"""Every row, in the order of precedence."""

ERROR_OF_TYPE: Mapping[str, ErrorName] = {name: row.error for row in TABLE for name in row.types}
ERROR_OF_TITLE: Mapping[str, ErrorName] = {name: row.error for row in TABLE for name in row.titles}
ERROR_OF_CODE: Mapping[int, ErrorName] = {code: row.error for row in TABLE for code in row.codes}
