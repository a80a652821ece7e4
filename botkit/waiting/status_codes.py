"""Map each problem to the exit code of `botkit status`, which tells who must act.

Source: docs/reference/cli.md, "What is wrong".
"""

from __future__ import annotations

from botkit.errors import BotkitError, Forbidden, Parked, Unauthorized

__all__ = ["PASSES", "PERSON", "REFUSED", "STORE", "X", "code_of", "code_of_wait"]

PASSES, PERSON, REFUSED, X, STORE = 1, 2, 3, 4, 5
_WAITS = {
    "login": PERSON,
    "account": PERSON,
    "handler": PERSON,
    "credits": REFUSED,
    "budget": REFUSED,
    "network": X,
    "author": X,
}


def code_of_wait(waiting_for: str, *, has_end: bool = False) -> int:
    """Return the code for events that wait for this cause.

    `has_end` is True if the events are tried again at a known time, because a login may work again
    by then.
    """
    if waiting_for == "login" and has_end:
        return PASSES
    return _WAITS.get(waiting_for.partition("/")[0], PASSES)


def code_of(problem: BotkitError | Parked) -> int:
    """Return the code for the problem that a source waits for."""
    match problem:
        case Parked():
            return code_of_wait(problem.waiting_for, has_end=problem.until is not None)
        case Unauthorized():
            return PERSON
        case Forbidden():
            from botkit.protocol.refusals.table import Verdict, diagnose_error  # not at a start

            wrong = diagnose_error(problem).verdict is Verdict.WRONG
            return PERSON if wrong else PASSES
        case _:
            return problem.exit_code
