"""All errors that botkit raises. Each class answers one question: what should the caller do?

    BotkitError                      .hint (what to do now)  .docs (page)
      ConfigError                    a setting is missing or wrong
        WiringError                  a handler asks for a value that has no provider
      AuthError                      a person must act
        AuthorizationDenied          the person declined on X's consent page
        StateMismatch                the redirect does not belong to this login attempt
        LoginExpired                 the person took too long: start again
        InvalidGrant                 the refresh token or code is dead: authorize again
        InvalidClient                X does not accept this client id and secret
        WrongAccount                 the login is of another account than the one wanted
        InvitationRefused            .why: the invitation link is not valid, or not any more
        AccessDenied                 .operation .have .need .cure
          MissingScope, LevelTooLow, WrongCredential
      XError                         .request (method, path; never tokens)
        TransportError               no usable answer; safe to send again
          OutcomeUnknown             a write may have happened: settle by reading
        ResponseError                .status .title .detail .problem_type
          BadRequest, Unauthorized, PaymentRequired, Forbidden, NotFound,
          RateLimited (.retry_at), ServerError, MalformedAnswer
        StreamClosed                 .reason .reconnect_after
      StateError                     StoreUnavailable, Conflict, LeaseLost, VaultKeyError,
                                     UndecodableEvent
        Corrupt                      StoreGone
      PolicyError                    refused before sending: NotDeclared, NotSummoned,
                                     AlreadyReplied, OptedOut, DuplicateText, EmptyText,
                                     TextTooLong, TooManyAnswers, TooManyCashtags,
                                     UnsolicitedMention, LinkNotAllowed

`Skip`, `Retry` and `Drop` are how a handler steers, and `Parked` is how the runtime unwinds a
handler that has to wait; they are not errors and do not descend from the root.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = [
    "AccessDenied",
    "AlreadyReplied",
    "AuthError",
    "AuthorizationDenied",
    "BadRequest",
    "BotkitError",
    "ConfigError",
    "Conflict",
    "Corrupt",
    "Drop",
    "DuplicateText",
    "EmptyText",
    "Forbidden",
    "InvalidClient",
    "InvalidGrant",
    "InvitationRefused",
    "LeaseLost",
    "LevelTooLow",
    "LinkNotAllowed",
    "LoginExpired",
    "MalformedAnswer",
    "MissingScope",
    "NotDeclared",
    "NotFound",
    "NotSummoned",
    "OptedOut",
    "OutcomeUnknown",
    "Parked",
    "PaymentRequired",
    "PolicyError",
    "RateLimited",
    "ResponseError",
    "Retry",
    "ServerError",
    "Skip",
    "StateError",
    "StateMismatch",
    "StoreGone",
    "StoreUnavailable",
    "StreamClosed",
    "TextTooLong",
    "TooManyAnswers",
    "TooManyCashtags",
    "TransportError",
    "Unauthorized",
    "UndecodableEvent",
    "UnsolicitedMention",
    "VaultKeyError",
    "WiringError",
    "WrongAccount",
    "WrongCredential",
    "XError",
]


class BotkitError(Exception):
    """The base class of every error that botkit raises.

    Attributes:
        hint: The next step in one sentence; empty when the message says it already.
        docs: The documentation page that explains the error, relative to the root of the docs.
        exit_code: A command's exit code after this error. Source: docs/reference/cli.md.
    """

    docs = "reference/errors.html"
    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ConfigError(BotkitError):
    """One or more settings are missing or wrong. The message names them and shows no secret.

    Attributes:
        problems: One sentence for each fault, all faults at once.
    """

    docs = "reference/settings.html"
    exit_code = 2

    def __init__(self, message: str, *, problems: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems: tuple[str, ...] | tuple[str] = tuple(problems) or (message,)


class WiringError(ConfigError):
    """A handler, filter or middleware cannot be wired: a value it asks for has no provider."""

    docs = "howto/handlers.html"


class AuthError(BotkitError):
    """A login does not work; a person must act."""

    docs = "howto/authorize.html"
    exit_code = 2


class AuthorizationDenied(AuthError):
    """The person declined on X's consent page."""


class StateMismatch(AuthError):
    """The redirect does not belong to this login attempt. Nothing was exchanged."""


class LoginExpired(AuthError):
    """The person took too long. Nothing was exchanged."""


class InvalidGrant(AuthError):
    """X refused the code or the refresh token for good: authorize again."""


class InvalidClient(AuthError):
    """X does not accept this client id and secret. The stored tokens are untouched."""


class WrongAccount(AuthError):
    """The login belongs to another account than the one that was wanted.

    Nothing was stored, unless the account is known here: X has ended its old login then, and its
    new one is kept for it.

    Attributes:
        kept: The username of the known account whose new login was kept; "" if none was.
    """

    def __init__(self, message: str, *, hint: str = "", kept: str = "") -> None:
        super().__init__(message, hint=hint)
        self.kept = kept


class InvitationRefused(AuthError):
    """An invitation link is not valid, or not any more: the person needs another one.

    Attributes:
        why: `forged`, `unknown`, `used`, `expired`, `revoked` or `in use`.
    """

    def __init__(self, message: str, *, why: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.why = why


class AccessDenied(AuthError):
    """The account's credentials do not allow this operation.

    Attributes:
        operation: X's operation id, for instance `createPosts`.
        have: What the credential has: scopes, a level or a kind.
        need: What the operation needs, in the same terms.
        cure: The command, or the step in X's console, that solves it.
        granted_at: When the credential was authorized; None if it is not about one credential.
        others: Further refusals of the same check: the check at the start reports all at once.
    """

    docs = "explanation/access.html"
    granted_at: datetime | None = None
    others: tuple[AccessDenied, ...] = ()

    def __init__(
        self,
        message: str = "",
        *,
        operation: str,
        have: Sequence[str],
        need: Sequence[str],
        cure: str,
    ) -> None:
        self.operation = operation
        self.have: tuple[str, ...] = tuple(have)
        self.need: tuple[str, ...] = tuple(need)
        self.cure = cure
        has = " ".join(self.have) or "nothing"
        text = message or f"{operation} needs {' '.join(self.need)}, the account has {has}."
        super().__init__(text, hint=cure)


class MissingScope(AccessDenied):
    """The OAuth 2.0 grant lacks a scope that the operation needs."""


class LevelTooLow(AccessDenied):
    """The OAuth 1.0a access level does not allow the operation."""


class WrongCredential(AccessDenied):
    """The account holds no credential of a kind that the operation accepts."""


class XError(BotkitError):
    """Something went wrong on the way to X or back.

    Attributes:
        request: Method and path of the call, for instance `POST /2/tweets`; never a token.
    """

    def __init__(self, message: str, *, request: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.request = request


class TransportError(XError):
    """No usable answer, and nothing was carried out: safe to send again.

    Attributes:
        kind: `dns`, `connect`, `tls`, `timeout`, `reset`, `redirect`, `size` or `closed`.
    """

    exit_code = 4

    def __init__(
        self, message: str, *, request: str = "", kind: str = "connect", hint: str = ""
    ) -> None:
        super().__init__(message, request=request, hint=hint)
        self.kind = kind


class OutcomeUnknown(TransportError):
    """A write may have happened: settle it by reading, never by sending again."""

    exit_code = 1


class ResponseError(XError):
    """X answered with an error.

    Attributes:
        status: The HTTP status.
        title: The problem's title, or the OAuth error code.
        detail: The problem's detail in X's own words.
        problem_type: Last path segment of the problem type, `about:blank` included; "" if none.
        codes: The v1 error codes of the body, for instance `(187,)`.
        reason: X's own word for why, for instance `client-not-enrolled`; "" if none.
    """

    def __init__(
        self,
        message: str,
        *,
        request: str = "",
        status: int,
        title: str = "",
        detail: str = "",
        problem_type: str = "",
        codes: Sequence[int] = (),
        reason: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, request=request, hint=hint)
        self.status = status
        self.title = title
        self.detail = detail
        self.problem_type = problem_type
        self.codes: tuple[int, ...] = tuple(codes)
        self.reason = reason


class BadRequest(ResponseError):
    """400: the request is malformed; sending it again changes nothing."""


class Unauthorized(ResponseError):
    """401: the token is expired or dead, or X has an incident. Deletes nothing."""


class PaymentRequired(ResponseError):
    """402, or a spend cap: no credits left. Stop until a person tops up or the cycle ends."""

    exit_code = 3


class Forbidden(ResponseError):
    """403: refused; the body says why. Final unless it names a duplicate."""


class NotFound(ResponseError):
    """X answered 404, or named the resource under `errors`: it is not there, or not to be seen."""


class RateLimited(ResponseError):
    """429: wait.

    Attributes:
        retry_at: When the window resets according to X, translated from X's clock into ours.
            None if X sent no time or an impossible one: wait 60 s, then twice as long each time.
    """

    retry_at: datetime | None = None


class ServerError(ResponseError):
    """5xx: X has a problem. For a write the outcome is unknown.

    Attributes:
        retry_at: The end of the answer's `Retry-After`, capped; None if it has none.
    """

    exit_code = 4
    retry_at: datetime | None = None


class MalformedAnswer(ResponseError):
    """A success status with a body that cannot be read. For a write the outcome is unknown."""


class StreamClosed(XError):
    """The stream ended.

    Attributes:
        reason: The cause in X's words or botkit's, for instance `keep-alive missed`.
        reconnect_after: The minimum wait before the next connection.
    """

    def __init__(
        self, message: str, *, request: str = "", reason: str, reconnect_after: timedelta
    ) -> None:
        super().__init__(message, request=request)
        self.reason = reason
        self.reconnect_after = reconnect_after


class StateError(BotkitError):
    """The store cannot do what was asked."""

    docs = "howto/store.html"
    exit_code = 5


class StoreUnavailable(StateError):
    """The store cannot be reached or written now; nothing was changed."""


class Conflict(StateError):
    """The row has changed since it was read: read it again and decide again."""


class LeaseLost(StateError):
    """Another process holds the lease; this process's write was not carried out."""


class Corrupt(StateError):
    """The store is not botkit's, has a newer version, or is damaged. It was not changed."""


class StoreGone(Corrupt):
    """The store's file was removed or replaced while it was in use. A running bot ends."""


class VaultKeyError(StateError):
    """The vault key is missing or wrong. Nothing was changed."""


class UndecodableEvent(StateError):
    """A stored event cannot be read: its class is gone or has changed. It stays stored."""


class PolicyError(BotkitError):
    """Refused before sending, because sending would break a rule. Final for this write."""

    docs = "explanation/policy.html"
    exit_code = 3


class NotDeclared(PolicyError):
    """The bot's `may` does not list this action."""


class NotSummoned(PolicyError):
    """The post's author did not mention or quote the account in that post: X takes no reply."""


class AlreadyReplied(PolicyError):
    """The account has replied to this post already; botkit sends one reply per post."""


class OptedOut(PolicyError):
    """The user asked the account to stop."""


class DuplicateText(PolicyError):
    """The same text to the same target was posted within the duplicate window."""


class EmptyText(PolicyError):
    """The text to send has no character that can be seen."""


class TextTooLong(PolicyError):
    """The text weighs more than X takes."""


class TooManyAnswers(PolicyError):
    """The author has got enough answers in this conversation for a day."""


class TooManyCashtags(PolicyError):
    """X takes one cashtag a post."""


class UnsolicitedMention(PolicyError):
    """The text mentions a user who did not write to the account first."""


class LinkNotAllowed(PolicyError):
    """The text holds a link and the bot does not allow links (a post with a link costs more)."""


class Skip(Exception):
    """Raised by a handler to pass the event on to the next matching handler."""


def _check(call: str, given: object, kind: type) -> None:
    if not isinstance(given, kind):
        raise TypeError(f"{call} takes a {kind.__name__}, not {type(given).__name__} {given!r}.")


class Retry(Exception):
    """Raised by a handler to run again later; counts as one of the tries."""

    def __init__(self, *, after: timedelta | None = None) -> None:
        _check("Retry(after=...)", timedelta() if after is None else after, timedelta)
        super().__init__("retry" if after is None else f"retry after {after}")
        self.after = after


class Drop(Exception):
    """Raised by a handler to finish the event, with a reason for the record."""

    def __init__(self, reason: str) -> None:
        _check("Drop(reason)", reason, str)
        super().__init__(reason)
        self.reason = reason


class Parked(BaseException):
    """Unwinds a handler that has to wait; the event runs again when the cause is gone.

    It is a `BaseException`, so that a handler's `except Exception` does not catch it.

    Attributes:
        waiting_for: The cause: `login`, `credits`, `budget`, `rate`, `write/ID` or `author`.
        until: The latest time of the next try; None if only the end of the cause helps.
    """

    def __init__(self, waiting_for: str, *, until: datetime | None = None) -> None:
        super().__init__(waiting_for)
        self.waiting_for = waiting_for
        self.until = until
