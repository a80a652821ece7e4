"""Tell botkit's own control errors from those that an author's code raises by itself.

`LeaseLost` ends the bot, `Conflict` and `StoreUnavailable` run the event again without end, and
`Parked` lets it wait for its cause. That is right if botkit raised them, in an action or a read
that the handler awaited. Raised by the author's own code they mean that the handler failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from botkit.errors import Conflict, LeaseLost, Parked, StoreUnavailable, UndecodableEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from botkit.routing.candidates import Candidate

__all__ = [
    "CONTROL_ERRORS",
    "FailureOfAuthor",
    "as_failure_of_author",
    "candidates_of_author",
    "raise_as_failure_of_author",
]

CONTROL_ERRORS = (LeaseLost, Conflict, StoreUnavailable, UndecodableEvent, Parked)

_OURS = "botkit."


class FailureOfAuthor(Exception):
    """Carries a control error that the author's code raised, past what botkit does for its own."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error: BaseException = error


def as_failure_of_author(error: BaseException) -> BaseException:
    """Return a control error that the author raised as `FailureOfAuthor`, any other as it is."""
    is_control = isinstance(error, CONTROL_ERRORS)
    return FailureOfAuthor(error) if is_control and not _is_raised_here(error) else error


def raise_as_failure_of_author(error: BaseException) -> NoReturn:
    """Raise what `as_failure_of_author` returns."""
    raise as_failure_of_author(error)


def candidates_of_author(candidates: Iterable[Candidate]) -> Iterator[Candidate]:
    """Yield the candidates; a control error of the author's filters is his failure."""
    try:
        yield from candidates
    except CONTROL_ERRORS as error:
        raise_as_failure_of_author(error)


def _is_raised_here(error: BaseException) -> bool:
    """Return True if code of botkit raised the error, wherever it was caught."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
    return name.startswith(_OURS)
