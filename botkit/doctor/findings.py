"""What a check found: fine, wrong, or could not be told; with the cause and the cure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from botkit.errors import (
    AccessDenied,
    AuthError,
    BotkitError,
    ConfigError,
    Parked,
    ResponseError,
    StateError,
    TransportError,
)
from botkit.protocol.refusals.table import Topic, Verdict, diagnose_error

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Finding",
    "exit_code",
    "fine",
    "not_asked",
    "of_error",
    "response_of",
    "untold",
    "wrong",
]

_UNCERTAIN, _PERSON, _UNREACHABLE, _STORE = 1, 2, 4, 5
_WORST_FIRST = (_STORE, _PERSON, _UNREACHABLE, _UNCERTAIN)

_LINES = {
    Topic.ENROLMENT: "enrolment",
    Topic.APP: "app",
    Topic.STANDING: "account",
    Topic.CREDITS: "credits",
    Topic.SPEND_CAP: "spend-cap",
    Topic.USAGE_CAP: "usage-cap",
}
"""What `standing` has a line for; all else is said in the line of the question that met it."""

_ROADS = {
    "dns": "Check x.api_url, and that this machine can resolve names.",
    "tls": "Check the time of this machine, and x.ca_file behind a proxy that opens TLS.",
    "redirect": "Check x.api_url and any proxy in between; redirects are not followed.",
}
_ROAD = "Check the network, and x.use_proxy behind a proxy; then run it again."


class Finding(Struct, frozen=True, kw_only=True):
    """The answer of one check.

    `id` names the check and stays the same between versions; `about` is the app or account that
    it is about, "" for neither. `have` and `need` are scopes, levels or kinds of credentials.
    `exit_code` is what this finding alone would end the command with.
    """

    id: str
    about: str = ""
    verdict: Verdict
    cause: str = ""
    cure: str = ""
    exit_code: int = 0
    have: tuple[str, ...] = ()
    need: tuple[str, ...] = ()


def fine(check: str, cause: str = "", *, about: str = "") -> Finding:
    """It is as it must be; `cause` says what was seen."""
    return Finding(id=check, about=about, verdict=Verdict.FINE, cause=cause)


def wrong(check: str, cause: str, cure: str, *, about: str = "", code: int = _PERSON) -> Finding:
    """It makes writes fail, and a person has to change something."""
    return Finding(
        id=check, about=about, verdict=Verdict.WRONG, cause=cause, cure=cure, exit_code=code
    )


def untold(
    check: str, cause: str, cure: str = "", *, about: str = "", code: int = _UNCERTAIN
) -> Finding:
    """Nobody can tell from what is known."""
    return Finding(
        id=check, about=about, verdict=Verdict.UNTOLD, cause=cause, cure=cure, exit_code=code
    )


def not_asked(check: str, cause: str, *, about: str = "") -> Finding:
    """It was left out on purpose, so it does not count."""
    return untold(check, cause, about=about, code=0)


def of_error(
    check: str, error: BaseException, *, about: str = "", topic: Topic | None = None
) -> Finding:
    """What an error means for a check.

    With `topic` an answer of X about something that has a line of its own tells nothing of this
    check, and leads to that line.
    """
    response = response_of(error)
    if response is not None:
        return _of_response(check, response, about=about, topic=topic)
    match error:
        case TransportError():
            cure = _ROADS.get(error.kind, _ROAD)
            return untold(check, error.message, cure, about=about, code=_UNREACHABLE)
        case AccessDenied():
            return Finding(
                id=check,
                about=about,
                verdict=Verdict.WRONG,
                cause=error.message,
                cure=error.cure,
                exit_code=_PERSON,
                have=error.have,
                need=error.need,
            )
        case StateError():
            return wrong(check, error.message, error.hint, about=about, code=_STORE)
        case AuthError() | ConfigError():
            return wrong(check, error.message, error.hint, about=about)
        case Parked():
            return untold(check, f"It waits for: {error.waiting_for}.", about=about)
        case BotkitError():
            return untold(check, error.message, error.hint, about=about)
        case TimeoutError():
            cause = "X did not answer in time."
            return untold(check, cause, _ROAD, about=about, code=_UNREACHABLE)
        case _:
            cause = f"The check itself failed ({type(error).__name__})."
            return untold(check, cause, "Report it, with the version of botkit.", about=about)


def response_of(error: BaseException | None) -> ResponseError | None:
    """X's own answer behind an error, None when there was none."""
    while error is not None and not isinstance(error, ResponseError):
        error = error.__cause__
    return error


def exit_code(findings: Iterable[Finding]) -> int:
    """Of all: 5 store or key, 2 a person must act, 4 X is not reachable, 1 uncertain, 0 fine."""
    codes = {finding.exit_code for finding in findings}
    return next((code for code in _WORST_FIRST if code in codes), max(codes, default=0))


def _of_response(check: str, error: ResponseError, *, about: str, topic: Topic | None) -> Finding:
    found = diagnose_error(error)
    is_sure = found.verdict is Verdict.WRONG
    has_line = found.topic in _LINES and (found.topic is not Topic.STANDING or about[:1] == "@")
    if topic is not None and is_sure and has_line and found.topic is not topic:
        cause = f"X speaks of something else: {found.cause}"
        return untold(check, cause, f"See the line {_LINES[found.topic]}.", about=about)
    cause = f"{found.cause} X said: {said(error)}."
    if is_sure:
        return wrong(check, cause, found.cure, about=about)
    code = _UNREACHABLE if found.id == "server-error" else _UNCERTAIN
    return untold(check, cause, found.cure, about=about, code=code)


def said(error: ResponseError) -> str:
    """X's own words, with status and codes."""
    codes = " ".join(str(code) for code in error.codes)
    head = f"{error.status}{', code ' + codes if codes else ''}"
    return ": ".join(part for part in (head, error.title, error.detail.rstrip(".")) if part)
