"""The one table of X's refusals: what each means for the set-up, and what to do.

It serves `botkit doctor`, the hints of errors, the reading of token answers and the page
docs/reference/doctor.md. X's texts can be localised, so status, code, `error` and the problem
type's last segment decide; wording only where nothing else tells cases apart, and what it does
not tell could not be told.

Source: docs/explanation/x-facts.md, 2.16, 3.5, 4.10, 5.5, 7.9 and 10.1 to 10.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.protocol.refusals.call_refusals import (
    BY_STATUS,
    CALL,
    MONEY,
    PASSING,
    SERVER,
    STANDING,
)
from botkit.protocol.refusals.login_refusals import SIGNED, TOKEN_ENDPOINT

if TYPE_CHECKING:
    from collections.abc import Collection

    from botkit.errors import ResponseError
    from botkit.protocol.refusals.diagnosis import Diagnosis

__all__ = ["TABLE", "diagnose", "diagnose_error"]

TABLE: tuple[Diagnosis, ...] = (
    *SERVER,
    *TOKEN_ENDPOINT,
    *SIGNED,
    *MONEY,
    *STANDING,
    *PASSING,
    *CALL,
    *BY_STATUS,
)
"""Every row; the first that fits is taken."""


def diagnose(
    status: int,
    *,
    title: str = "",
    segment: str = "",
    codes: Collection[int] = (),
    reason: str = "",
    detail: str = "",
) -> Diagnosis:
    """The row that an answer with these signs is; the last one for what no other row knows."""
    names = (segment, title)
    return next(row for row in TABLE if row.fits(status, names, codes, reason, detail))


def diagnose_error(error: ResponseError) -> Diagnosis:
    """The row that an error is."""
    return diagnose(
        error.status,
        title=error.title,
        segment=error.problem_type,
        codes=error.codes,
        reason=error.reason,
        detail=error.detail,
    )
