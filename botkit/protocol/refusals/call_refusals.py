"""Refusals of calls, as rows of the table in `refusals.py`.

Source: docs/explanation/x-facts.md, 5.9, 5.10, 7.9, 8.11, 10.1 to 10.9.
"""

from __future__ import annotations

from botkit.protocol.refusals.diagnosis import Diagnosis, Topic, Verdict

__all__ = ["BY_STATUS", "CALL", "MONEY", "PASSING", "SERVER", "STANDING"]

_W, _U = Verdict.WRONG, Verdict.UNTOLD
_ENROL = (
    "Attach the app to the Pay-per-use package and the Production environment in X's console"
    " (console.x.com)."
)
_TOP_UP = "Top up the app's credits in X's console; nothing is sent until then."
_RAISE_LEVEL = (
    "Raise the app's permission level in X's console, then authorize again:"
    " tokens keep the level they were made with."
)
_WAIT = "Try again in some minutes; what is stored stays as it is."

SERVER = (
    Diagnosis(
        id="server-error",
        verdict=_U,
        topic=Topic.X,
        cause="X has a fault of its own; its body may be HTML or empty.",
        cure=_WAIT,
        statuses=(500, 502, 503, 504),
    ),
)
MONEY = (
    Diagnosis(
        id="no-credits",
        verdict=_W,
        topic=Topic.CREDITS,
        cause="The app's prepaid credits are used up.",
        cure=_TOP_UP,
        names=("credits", "CreditsDepleted"),
    ),
    Diagnosis(
        id="spend-cap",
        verdict=_W,
        topic=Topic.SPEND_CAP,
        cause="The spending limit of the billing cycle is reached.",
        cure="Raise it in X's console, or wait for the next cycle.",
        names=("SpendCapReached",),
    ),
    Diagnosis(
        id="usage-cap",
        verdict=_W,
        topic=Topic.USAGE_CAP,
        cause="The cap on posts that the app may read is reached.",
        cure="It ends with the billing cycle.",
        names=("usage-capped", "UsageCapExceeded"),
    ),
    Diagnosis(
        id="payment-required",
        verdict=_W,
        topic=Topic.CREDITS,
        cause="X wants to be paid first and does not say more.",
        cure=_TOP_UP,
        statuses=(402,),
    ),
)
STANDING = (
    Diagnosis(
        id="not-enrolled",
        verdict=_W,
        topic=Topic.ENROLMENT,
        cause="The app stands in no package with API access: logins work, and no call does.",
        cure=_ENROL,
        names=("client-forbidden",),
        reasons=("client-not-enrolled",),
    ),
    Diagnosis(
        id="official-clients-only",
        verdict=_W,
        topic=Topic.ENROLMENT,
        cause="X lets only its own apps make this call.",
        cure="No setting helps: use an app of your own with keys from X's console.",
        names=("client-forbidden",),
        reasons=("official-client-forbidden",),
    ),
    Diagnosis(
        id="app-forbidden",
        verdict=_W,
        topic=Topic.ENROLMENT,
        cause="X does not let this app in, for a reason that is not known.",
        cure=_ENROL,
        names=("client-forbidden",),
    ),
    Diagnosis(
        id="account-suspended",
        verdict=_W,
        topic=Topic.STANDING,
        cause="X suspended the account.",
        cure="A person has to appeal to X.",
        codes=(64,),
    ),
    Diagnosis(
        id="account-locked",
        verdict=_W,
        topic=Topic.STANDING,
        cause="X locked the account.",
        cure="Log in at x.com and unlock it.",
        codes=(326,),
    ),
    Diagnosis(
        id="app-suspended",
        verdict=_W,
        topic=Topic.APP,
        cause="X suspended the app.",
        cure="A person has to appeal to X.",
        codes=(416,),
    ),
    Diagnosis(
        id="level-too-low",
        verdict=_W,
        topic=Topic.ACCESS,
        cause="The OAuth 1.0a token's permission level is too low for the call.",
        cure=_RAISE_LEVEL,
        names=("oauth1-permissions",),
        codes=(261,),
    ),
    Diagnosis(
        id="level-without-messages",
        verdict=_W,
        topic=Topic.ACCESS,
        cause="The OAuth 1.0a token's permission level leaves out direct messages.",
        cure="Raise the app's permission level to direct messages in X's console, then authorize"
        " again.",
        codes=(93,),
    ),
    Diagnosis(
        id="wrong-kind",
        verdict=_W,
        topic=Topic.ACCESS,
        cause="The call takes another kind of credential, for instance a user's, not the app's.",
        cure="Authorize the account (botkit setup), or set the app's bearer token.",
        names=("unsupported-authentication",),
    ),
)
PASSING = (
    Diagnosis(
        id="rate-limited",
        verdict=_U,
        topic=Topic.RATE,
        cause="The rate window is used up; it opens again by itself.",
        cure=_WAIT,
        names=("rate-limit-exceeded",),
        codes=(88,),
    ),
    Diagnosis(
        id="daily-posts",
        verdict=_U,
        topic=Topic.RATE,
        cause="The account reached its daily number of posts.",
        cure="Wait until X lets it post again.",
        codes=(185,),
    ),
    Diagnosis(
        id="stream-refused",
        verdict=_U,
        topic=Topic.STREAM,
        cause="The stream cannot be opened now: too many connections, or rules that are not ready"
        " or not valid.",
        cure="End other programs that read this app's stream.",
        names=("streaming-connection",),
    ),
    Diagnosis(
        id="stream-ended",
        verdict=_U,
        topic=Topic.STREAM,
        cause="X ended the stream; botkit connects again by itself.",
        names=("operational-disconnect", "client-disconnected"),
    ),
    Diagnosis(
        id="rules-refused",
        verdict=_W,
        topic=Topic.STREAM,
        cause="X does not take the rules of the filtered stream.",
        cure="Correct the rules that X names.",
        names=("rule-cap", "invalid-rules", "duplicate-rules", "noncompliant-rules"),
    ),
    Diagnosis(
        id="conflict",
        verdict=_U,
        topic=Topic.STREAM,
        cause="What was asked for collides with what is there; a stream without rules answers so.",
        names=("conflict",),
    ),
    Diagnosis(
        id="fields-missing",
        verdict=_U,
        topic=Topic.X,
        cause="X could not fill in a part of the answer.",
        cure=_WAIT,
        names=("field-hydration-failure", "internal-error"),
    ),
)
CALL = (
    Diagnosis(
        id="looks-automated",
        verdict=_U,
        topic=Topic.CALL,
        cause="X took the request for spam.",
        codes=(226,),
    ),
    Diagnosis(
        id="duplicate",
        verdict=_U,
        topic=Topic.CALL,
        cause="X has the same text from this account already.",
        codes=(187,),
    ),
    Diagnosis(
        id="duplicate-worded",
        verdict=_U,
        topic=Topic.CALL,
        cause="X has the same text from this account already.",
        statuses=(403,),
        words="duplicate content",
        text="You are not allowed to create a Tweet with duplicate content.",
    ),
    Diagnosis(
        id="too-long",
        verdict=_U,
        topic=Topic.CALL,
        cause="The text is too long.",
        codes=(186,),
    ),
    Diagnosis(
        id="not-summoned",
        verdict=_U,
        topic=Topic.CALL,
        cause="The author of the post did not mention or quote the account: X takes no reply.",
        statuses=(403,),
        words="otherwise engaged by the author|where you are mentioned or are the author",
        text="You can only reply to or quote posts where you are mentioned or are the author.",
    ),
    Diagnosis(
        id="replies-restricted",
        verdict=_U,
        topic=Topic.CALL,
        cause="The author restricted who may reply.",
        codes=(433,),
    ),
    Diagnosis(
        id="reply-to-nothing",
        verdict=_U,
        topic=Topic.CALL,
        cause="The post to reply to is gone.",
        codes=(385,),
    ),
    Diagnosis(
        id="no-messages-wanted",
        verdict=_U,
        topic=Topic.CALL,
        cause="This user does not take direct messages from the account.",
        codes=(349, 150),
    ),
    Diagnosis(
        id="not-for-this-account",
        verdict=_U,
        topic=Topic.CALL,
        cause="What was asked for is protected, blocked, suspended or not for this account.",
        names=(
            "not-authorized-for-resource",
            "not-authorized-for-field",
            "field-unauthorized",
            "resource-unavailable",
            "disallowed-resource",
        ),
    ),
    Diagnosis(
        id="not-found",
        verdict=_U,
        topic=Topic.CALL,
        cause="What was asked for is not there.",
        names=("resource-not-found",),
    ),
    Diagnosis(
        id="invalid-request",
        verdict=_U,
        topic=Topic.CALL,
        cause="X does not take a parameter; X may have changed its API.",
        cure="Look for a newer version of botkit.",
        names=("invalid-request",),
    ),
)
BY_STATUS = (
    Diagnosis(
        id="unauthorized",
        verdict=_W,
        topic=Topic.LOGIN,
        cause="X does not take the credential and does not say why: expired, revoked, regenerated"
        " in the console, another app's, or signed with a clock that is off.",
        cure="Compare it with the app's Keys and tokens page in X's console, or authorize again."
        " X has had hours in which good tokens were refused: try twice.",
        statuses=(401,),
    ),
    Diagnosis(
        id="forbidden",
        verdict=_U,
        topic=Topic.ACCESS,
        cause="X refuses and does not say why; a missing scope looks like this.",
        cure="Compare with the lines on access.",
        statuses=(403,),
    ),
    Diagnosis(
        id="gone",
        verdict=_U,
        topic=Topic.X,
        cause="There is nothing at this address.",
        cure="Check x.api_url and the other addresses in [x].",
        statuses=(404,),
    ),
    Diagnosis(
        id="conflict-unnamed",
        verdict=_U,
        topic=Topic.STREAM,
        cause="What was asked for collides with what is there.",
        statuses=(409,),
    ),
    Diagnosis(
        id="too-many",
        verdict=_U,
        topic=Topic.RATE,
        cause="X was asked too often; the window opens again by itself.",
        cure=_WAIT,
        statuses=(429,),
    ),
    Diagnosis(
        id="unknown",
        verdict=_U,
        topic=Topic.X,
        cause="X refused in a way that is not known.",
        cure="Its own words are all there is.",
    ),
)
