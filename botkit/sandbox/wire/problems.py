"""X's error bodies, word for word.

Source: X API docs, "Response codes and errors" and "Rate limits"; recorded bodies where X's pages
show none.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botkit.sandbox.wire.exchange import Answer, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

__all__ = [
    "bad_parameter",
    "bad_request",
    "bad_signature",
    "bad_timestamp",
    "blank",
    "credits_depleted",
    "duplicate_content",
    "duplicate_rule",
    "forbidden",
    "invalid_request",
    "invalid_rule",
    "level_too_low",
    "missing",
    "missing_rule",
    "no_rules",
    "no_v1_access",
    "not_enrolled",
    "not_played",
    "not_the_caller",
    "oauth_error",
    "rate_limited",
    "spend_cap_reached",
    "suspended",
    "too_many_connections",
    "too_many_rules",
    "unauthorized",
    "unsummoned",
    "usage_capped",
    "v1_error",
    "webhook_failed",
    "wrong_kind",
]

_TYPES = "https://api.twitter.com/2/problems/"


def blank(status: int, title: str, *, detail: str = "") -> Refused:
    """Return a problem of the generic type."""
    body = {"title": title, "type": "about:blank", "status": status, "detail": detail or title}
    return Refused(Answer.json(status, body))


def not_played(what: str) -> Refused:
    """Return 501: the sandbox does not simulate this route of X. X itself never answers so."""
    detail = f"The sandbox does not play {what}. X does: test this against X itself, or plan its"
    return blank(501, "Not Implemented", detail=f"{detail} answer with `faults.answer`.")


def no_v1_access() -> Refused:
    """Return 403: the app may not use X's older API (code 453).

    Source: body reported by clients in the wild, for instance tweepy discussion of code 453.
    """
    message = (
        "You currently have access to a subset of X API V2 endpoints and limited v1.1 endpoints"
        " (e.g. media post, oauth) only. If you need access to this endpoint, you may need a"
        " different access level. You can learn more here:"
        " https://developer.x.com/en/portal/product"
    )
    return v1_error(403, 453, message)


def unauthorized() -> Refused:
    """Return 401: the token is missing, expired or revoked."""
    return blank(401, "Unauthorized")


def forbidden(detail: str = "Forbidden") -> Refused:
    """Return 403 in X's generic form; a missing OAuth 2.0 scope looks like this too."""
    body = {"detail": detail, "type": "about:blank", "title": "Forbidden", "status": 403}
    return Refused(Answer.json(403, body))


def duplicate_content() -> Refused:
    """Return 403: the same text again."""
    return forbidden("You are not allowed to create a Tweet with duplicate content.")


def unsummoned() -> Refused:
    """Return 403: the author of the post did not summon the account."""
    return forbidden(
        "Reply to this conversation is not allowed because you have not been mentioned or"
        " otherwise engaged by the author of the post you are replying to."
    )


def wrong_kind(used: str, supported: list[str]) -> Refused:
    """Return 403: the route does not take this kind of token."""
    body = {
        "title": "Unsupported Authentication",
        "detail": f"Authenticating with {used} is forbidden for this endpoint."
        f"  Supported authentication types are [{', '.join(supported)}].",
        "type": _TYPES + "unsupported-authentication",
        "status": 403,
    }
    return Refused(Answer.json(403, body))


def not_enrolled(client_id: str) -> Refused:
    """Return 403: the app belongs to no package with API access."""
    body = {
        "client_id": client_id,
        "detail": "When authenticating requests to the Twitter API v2 endpoints, you must use keys"
        " and tokens from a Twitter developer App that is attached to a Project. You can create a"
        " project via the developer portal.",
        "registration_url": "https://developer.twitter.com/en/docs/projects/overview",
        "title": "Client Forbidden",
        "required_enrollment": "Appropriate Level of API Access",
        "reason": "client-not-enrolled",
        "type": _TYPES + "client-forbidden",
    }
    return Refused(Answer.json(403, body))


def suspended() -> Refused:
    """Return 403: the user's account is suspended (code 64)."""
    message = "Your account is suspended and is not permitted to access this feature."
    return Refused(Answer.json(403, {"errors": [{"code": 64, "message": message}]}))


def credits_depleted(account_id: int) -> Refused:
    """Return 402: the app's prepaid credits are used up."""
    body = {
        "account_id": account_id,
        "title": "CreditsDepleted",
        "detail": f"Your enrolled account [{account_id}] does not have any credits to fulfill this"
        " request.",
        "type": _TYPES + "credits",
    }
    return Refused(Answer.json(402, body))


def spend_cap_reached(today: date) -> Refused:
    """Return 403: the spending limit of the cycle is reached. X's exact detail is not known."""
    reset = (today.replace(day=28) + timedelta(days=4)).replace(day=1)
    body = {
        "title": "SpendCapReached",
        "detail": f"The spending limit of this billing cycle is reached. It resets on {reset}.",
    }
    return Refused(Answer.json(403, body))


def usage_capped(account_id: int) -> Refused:
    """Return 429: the app has read all the posts that it may read in a month."""
    body = {
        "account_id": account_id,
        "product_name": "pay-per-use",
        "title": "UsageCapExceeded",
        "period": "Monthly",
        "scope": "Product",
        "detail": "Usage cap exceeded: Monthly product cap",
        "type": _TYPES + "usage-capped",
    }
    return Refused(Answer.json(429, body))


def rate_limited() -> Refused:
    """Return the 429 of a rate window."""
    body = {
        "title": "Too Many Requests",
        "detail": "Too Many Requests",
        "type": "about:blank",
        "status": 429,
    }
    return Refused(Answer.json(429, body))


def too_many_connections() -> Refused:
    """Return 429: the app has opened all the streams that it may open."""
    body = {
        "title": "ConnectionException",
        "detail": "This stream is currently at the maximum allowed connection limit.",
        "connection_issue": "TooManyConnections",
        "type": "https://api.x.com/2/problems/streaming-connection",
    }
    return Refused(Answer.json(429, body))


def no_rules() -> Refused:
    """Return 409: the app has no rules for the filtered stream. Source: tweepy issue 1934."""
    body = {
        "title": "ConnectionException",
        "detail": "You must define rules using the POST /2/tweets/search/stream/rules endpoint"
        " before connecting to filtered stream.",
        "connection_issue": "RuleConfigurationIssue",
        "type": _TYPES + "streaming-connection",
    }
    return Refused(Answer.json(409, body))


def invalid_rule(value: str, details: Sequence[str]) -> dict[str, Any]:
    """Return an entry of `errors` for a rule that is malformed."""
    return {
        "value": value,
        "details": list(details),
        "title": "UnprocessableEntity",
        "type": _TYPES + "invalid-rules",
    }


def duplicate_rule(value: str, rule_id: str) -> dict[str, Any]:
    """Return an entry of `errors` for a rule that the app has."""
    return {
        "value": value,
        "id": rule_id,
        "title": "DuplicateRule",
        "type": _TYPES + "duplicate-rules",
    }


def too_many_rules() -> dict[str, Any]:
    """Return an entry of `errors` for a rule too many; all but its type is assumed."""
    return {
        "title": "RulesCapExceeded",
        "detail": "You have exceeded the maximum number of rules.",
        "type": _TYPES + "rule-cap",
    }


def missing_rule() -> dict[str, Any]:
    """Return an entry of `errors` for a rule that is to be deleted and is not there. Assumed."""
    return {
        "errors": [{"parameters": {}, "message": "Rule does not exist"}],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": _TYPES + "invalid-request",
    }


def bad_parameter(name: str, value: str, message: str) -> Refused:
    """Return 400 with the wrong parameter."""
    return bad_request(message, {name: [value]})


def not_the_caller(user: object, named: str, *, parameter: str = "id") -> Refused:
    """Return 400: the user in the path is not the one who calls. The wording is assumed."""
    caller = getattr(user, "id", "")
    message = (
        f"The `{parameter}` query parameter value [{named}] must be the same as the authenticating"
        f" user [{caller}]"
    )
    return bad_parameter(parameter, named, message)


def bad_request(message: str, parameters: Mapping[str, Sequence[str]] | None = None) -> Refused:
    """Return 400 with the wrong parameters."""
    body = {
        "errors": [{"parameters": dict(parameters or {}), "message": message}],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": _TYPES + "invalid-request",
    }
    return Refused(Answer.json(400, body))


def invalid_request(message: str) -> Refused:
    """Return 400: the body does not fit the schema."""
    return bad_request(message)


def webhook_failed(message: str) -> Refused:
    """Return 400: a webhook was not registered, validated or found.

    Source: X API docs, "Webhooks", quickstart: the message is `REASON: DETAILS`.
    """
    body = {
        "errors": [{"message": message}],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": _TYPES + "invalid-request",
    }
    return Refused(Answer.json(400, body))


def missing(kind: str, value: str, *, parameter: str) -> dict[str, Any]:
    """Return an entry of `errors` for a resource that does not exist.

    The type has the newer host of X's own sample, which X's SDK requires.
    Source: X API docs, "Response codes and errors".
    """
    return {
        "value": value,
        "detail": f"Could not find {kind} with {parameter}: [{value}].",
        "title": "Not Found Error",
        "resource_type": kind,
        "parameter": parameter,
        "resource_id": value,
        "type": "https://api.x.com/2/problems/resource-not-found",
    }


def v1_error(status: int, code: int, message: str) -> Refused:
    """Return an error list with one code, as the OAuth 1.0a routes answer."""
    return Refused(Answer.json(status, {"errors": [{"code": code, "message": message}]}))


def bad_signature() -> Refused:
    """Return 401: the signature, the keys or the nonce are wrong (code 32)."""
    return v1_error(401, 32, "Could not authenticate you.")


def bad_timestamp() -> Refused:
    """Return 401: the signed time is too far from X's (code 135)."""
    return v1_error(401, 135, "Timestamp out of bounds.")


def level_too_low() -> Refused:
    """Return 403: the OAuth 1.0a token's permission level does not allow the call."""
    body = {
        "title": "Forbidden",
        "status": 403,
        "detail": "Your client app is not configured with the appropriate oauth1 app permissions"
        " for this endpoint.",
        "type": _TYPES + "oauth1-permissions",
    }
    return Refused(Answer.json(403, body))


def oauth_error(status: int, error: str, description: str) -> Refused:
    """Return an error of the token endpoint."""
    body = {"error": error, "error_description": description}
    return Refused(Answer.json(status, body, cache_control="no-store"))
