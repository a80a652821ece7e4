"""Make findings: all is fine, something is wrong, or X did not tell; with cause and cure."""

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
from botkit.protocol.refusals.table import Diagnosis, Topic, Verdict, diagnose_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from botkit.model.users import Account

__all__ = ["Check", "Finding", "about_account", "about_app", "diagnosis_of", "exit_code"]

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
"""The topics that have a finding of their own in `account_standing`.

A refusal about any other topic stays in the finding of the check that met it.
"""

_ROADS = {
    "dns": "Check x.api_url, and that this machine can resolve names.",
    "tls": "Check the time of this machine, and x.ca_file behind a proxy that opens TLS.",
    "redirect": "Check x.api_url and any proxy in between; redirects are not followed.",
}
_ROAD = "Check the network, and x.use_proxy behind a proxy; then run it again."


class Finding(Struct, frozen=True, kw_only=True):
    """Hold the result of one check.

    Attributes:
        id: The check's name, the same in every version.
        about: The app or account that was checked; "" for neither.
        have: The scopes, levels or kinds of credentials that the account has.
        need: The scopes, levels or kinds of credentials that are needed.
        exit_code: The exit code of the command if this were the only finding.
    """

    id: str
    about: str = ""
    verdict: Verdict
    cause: str = ""
    cure: str = ""
    exit_code: int = 0
    have: tuple[str, ...] = ()
    need: tuple[str, ...] = ()


class Check(Struct, frozen=True):
    """Name a check of an app, an account, or neither; its methods make all findings."""

    id: str
    about: str = ""

    def fine(self, cause: str = "") -> Finding:
        """Return the finding that all is fine; `cause` names the evidence."""
        return Finding(id=self.id, about=self.about, verdict=Verdict.FINE, cause=cause)

    def wrong(self, cause: str, cure: str, *, code: int = _PERSON) -> Finding:
        """Return the finding that writes will fail until a person changes something."""
        return self._finding(Verdict.WRONG, cause, cure, code)

    def untold(self, cause: str, cure: str = "", *, code: int = _UNCERTAIN) -> Finding:
        """Return the finding that the known facts do not tell whether writes will fail."""
        return self._finding(Verdict.UNTOLD, cause, cure, code)

    def not_asked(self, cause: str) -> Finding:
        """Return the finding that the check was left out on purpose; it does not count."""
        return self.untold(cause, code=0)

    def of_error(self, error: BaseException, *, topic: Topic | None = None) -> Finding:
        """Return this check's finding on an error.

        `topic` is the check's own. If X's refusal is about another topic, and that topic has a
        finding of its own, this check could not be told, and its cure names the other finding.
        """
        response = _response_of(error)
        if response is not None:
            return self._of_response(response, topic)
        match error:
            case TransportError():
                return self.untold(error.message, _ROADS.get(error.kind, _ROAD), code=_UNREACHABLE)
            case AccessDenied():
                return self._finding(
                    Verdict.WRONG, error.message, error.cure, _PERSON, error.have, error.need
                )
            case StateError():
                return self.wrong(error.message, error.hint, code=_STORE)
            case AuthError() | ConfigError():
                return self.wrong(error.message, error.hint)
            case Parked():
                return self.untold(f"It waits for: {error.waiting_for}.")
            case BotkitError():
                return self.untold(error.message, error.hint)
            case TimeoutError():
                return self.untold("X did not answer in time.", _ROAD, code=_UNREACHABLE)
            case _:
                cause = f"The check itself failed ({type(error).__name__})."
                return self.untold(cause, "Report it, with the version of botkit.")

    def _of_response(self, error: ResponseError, topic: Topic | None) -> Finding:
        found = diagnose_error(error)
        is_sure = found.verdict is Verdict.WRONG
        is_account = self.about.startswith("@")
        has_line = found.topic in _LINES and (found.topic is not Topic.STANDING or is_account)
        if topic is not None and is_sure and has_line and found.topic is not topic:
            cause = f"X speaks of something else: {found.cause}"
            return self.untold(cause, f"See the line {_LINES[found.topic]}.")
        cause = f"{found.cause} X said: {_said(error)}."
        if is_sure:
            return self.wrong(cause, found.cure)
        code = _UNREACHABLE if found.id == "server-error" else _UNCERTAIN
        return self.untold(cause, found.cure, code=code)

    def _finding(
        self,
        verdict: Verdict,
        cause: str,
        cure: str,
        code: int,
        have: tuple[str, ...] = (),
        need: tuple[str, ...] = (),
    ) -> Finding:
        return Finding(
            id=self.id,
            about=self.about,
            verdict=verdict,
            cause=cause,
            cure=cure,
            exit_code=code,
            have=have,
            need=need,
        )


def about_app(name: str) -> str:
    """Return the text by which findings name an app."""
    return f"app {name}"


def about_account(account: Account) -> str:
    """Return the text by which findings name an account."""
    return f"@{account.username}"


def diagnosis_of(error: BaseException | None) -> Diagnosis | None:
    """Return the diagnosis of X's answer that caused an error; None if no answer did."""
    response = _response_of(error)
    return None if response is None else diagnose_error(response)


def exit_code(findings: Iterable[Finding]) -> int:
    """Return the exit code for all findings: the first that applies of 5, 2, 4, 1 and 0.

    5: the store or its key fails. 2: a person must act. 4: X cannot be reached. 1: something
    could not be told. 0: all is fine.
    """
    codes = {finding.exit_code for finding in findings}
    return next((code for code in _WORST_FIRST if code in codes), max(codes, default=0))


def _response_of(error: BaseException | None) -> ResponseError | None:
    while error is not None and not isinstance(error, ResponseError):
        error = error.__cause__
    return error


def _said(error: ResponseError) -> str:
    """Return X's own text for an error, with status and codes."""
    codes = " ".join(str(code) for code in error.codes)
    head = f"{error.status}{', code ' + codes if codes else ''}"
    return ": ".join(part for part in (head, error.title, error.detail.rstrip(".")) if part)
