"""Each row of the table of refusals, from bodies as X sends them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import pytest

from botkit.errors import ResponseError
from botkit.ports.io import HttpResponse
from botkit.protocol.api.responses import read_error
from botkit.protocol.oauth import oauth1_flow
from botkit.protocol.refusals.table import (
    TABLE,
    Diagnosis,
    ErrorName,
    Topic,
    Verdict,
    codes_of,
    diagnose,
    diagnose_error,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 11, 25, tzinfo=UTC)
OLD = "https://api.twitter.com/2/problems/"
NEW = "https://api.x.com/2/problems/"
ROWS = {row.id: row for row in TABLE}

# Bodies as they were seen on the wire, or stand in X's pages.
SEEN: list[tuple[str, int, bytes]] = [
    ("unauthorized-client", 401, b'{"error":"unauthorized_client","error_description":"Missing valid authorization header"}'),
    ("invalid-client", 400, b'{"error":"invalid_client","error_description":"x"}'),
    ("invalid-client", 401, b'{"error":"invalid_client","error_description":"x"}'),
    ("field-missing", 400, b'{"error":"invalid_request","error_description":"Missing required parameter [client_id]."}'),
    ("field-missing", 400, '{"error":"invalid_request","error_description":"Falta el parámetro [code_verifier]."}'.encode()),
    ("code-dead", 400, b'{"error":"invalid_request","error_description":"Value passed for the authorization code was invalid."}'),
    ("redirect-mismatch", 400, b'{"error":"invalid_request","error_description":"Value passed for the redirect uri did not match the uri of the authorization code."}'),
    ("redirect-mismatch", 400, b'{"error":"invalid_request","error_description":"The redirect uri you sent does not match a registered one."}'),
    ("token-dead", 400, b'{"error":"invalid_request","error_description":"Value passed for the token was invalid."}'),
    ("invalid-grant", 400, b'{"error":"invalid_grant","error_description":"x"}'),
    ("request-unclear", 400, '{"error":"invalid_request","error_description":"El valor no es válido."}'.encode()),
    ("request-unclear", 400, b'{"error":"invalid_request"}'),
    ("bad-signature", 401, b'{"errors":[{"code":32,"message":"Could not authenticate you."}]}'),
    ("token-revoked", 401, b'{"errors":[{"message":"Invalid or expired token","code":89}]}'),
    ("token-revoked", 401, b'{"errors":[{"code":89,"message":"Invalid or expired token."}]}'),
    ("bad-app-keys", 403, b'{"errors":[{"code":99,"label":"authenticity_token_error","message":"Unable to verify your credentials"}]}'),
    ("clock-off", 401, b'{"errors":[{"code":135,"message":"Timestamp out of bounds."}]}'),
    ("bad-authentication-data", 400, b'{"errors":[{"code":215,"message":"Bad Authentication data."}]}'),
    ("wrong-route", 403, b'{"errors":[{"code":220,"message":"Your credentials do not allow access to this resource"}]}'),
    ("callback-refused", 403, b'{"errors":[{"code":415,"message":"Callback URL not approved for this client application. Approved callback URLs can be adjusted in your application settings"}]}'),
    ("callback-refused", 403, '{"errors":[{"code":415,"message":"URL de devolución no aprobada."}]}'.encode()),
    ("callback-refused-xml", 403, '<?xml version="1.0" encoding="UTF-8"?>\n<hash>\n  <error>URL de devolución no aprobada</error>\n  <request>/oauth/request_token</request>\n</hash>'.encode()),
    ("pin-or-callback", 403, b'{"errors":[{"code":417,"message":"Desktop applications only support the oauth_callback value \'oob\'"}]}'),
    ("no-credits", 402, b'{"account_id":7,"title":"CreditsDepleted","detail":"Your enrolled account [7] does not have any credits to fulfill this request.","type":"https://api.twitter.com/2/problems/credits"}'),
    ("spend-cap", 403, b'{"title":"SpendCapReached","detail":"until 2026-12-01"}'),
    ("usage-cap", 429, b'{"account_id":7,"product_name":"x","title":"UsageCapExceeded","period":"Monthly","scope":"Product","detail":"Usage cap exceeded: Monthly product cap","type":"https://api.twitter.com/2/problems/usage-capped"}'),
    ("payment-required", 402, b""),
    ("not-enrolled", 403, b'{"client_id":"1","detail":"When authenticating requests to the Twitter API v2 endpoints, you must use keys and tokens from a Twitter developer App that is attached to a Project. You can create a project via the developer portal.","registration_url":"https://developer.twitter.com/en/docs/projects/overview","title":"Client Forbidden","required_enrollment":"Appropriate Level of API Access","reason":"client-not-enrolled","type":"https://api.twitter.com/2/problems/client-forbidden"}'),
    ("official-clients-only", 403, b'{"title":"Client Forbidden","reason":"official-client-forbidden","type":"https://api.twitter.com/2/problems/client-forbidden"}'),
    ("app-forbidden", 403, b'{"title":"Client Forbidden","type":"https://api.x.com/2/problems/client-forbidden"}'),
    ("account-suspended", 403, b'{"errors":[{"code":64,"message":"Your account is suspended and is not permitted to access this feature."}]}'),
    ("account-locked", 403, b'{"errors":[{"code":326,"message":"To protect our users from spam and other malicious activity, this account is temporarily locked."}]}'),
    ("app-suspended", 403, b'{"errors":[{"code":416,"message":"x"}]}'),
    ("level-too-low", 403, b'{"title":"Forbidden","status":403,"detail":"Your client app is not configured with the appropriate oauth1 app permissions for this endpoint.","type":"https://api.twitter.com/2/problems/oauth1-permissions"}'),
    ("level-too-low", 403, b'{"errors":[{"code":261,"message":"Application cannot perform write actions."}]}'),
    ("level-without-messages", 403, b'{"errors":[{"code":93,"message":"x"}]}'),
    ("wrong-kind", 403, b'{"title":"Unsupported Authentication","detail":"Authenticating with OAuth 2.0 Application-Only is forbidden for this endpoint.  Supported authentication types are [OAuth 1.0a User Context, OAuth 2.0 User Context].","type":"https://api.twitter.com/2/problems/unsupported-authentication","status":403}'),
    ("rate-limited", 429, b'{"errors":[{"code":88,"message":"Rate limit exceeded"}]}'),
    ("rate-limited", 429, b'{"type":"https://api.x.com/2/problems/rate-limit-exceeded","title":"Rate Limit Exceeded"}'),
    ("daily-posts", 403, b'{"errors":[{"code":185,"message":"User is over daily status update limit."}]}'),
    ("stream-refused", 429, b'{"title":"ConnectionException","detail":"This stream is currently at the maximum allowed connection limit.","connection_issue":"TooManyConnections","type":"https://api.x.com/2/problems/streaming-connection"}'),
    ("stream-ended", 200, b'{"title":"operational-disconnect","disconnect_type":"OperationalDisconnect","type":"https://api.twitter.com/2/problems/operational-disconnect"}'),
    ("stream-ended", 200, b'{"type":"https://api.twitter.com/2/problems/client-disconnected"}'),
    *(("rules-refused", 400, f'{{"type":"{OLD}{name}"}}'.encode()) for name in ("rule-cap", "invalid-rules", "duplicate-rules", "noncompliant-rules")),
    ("conflict", 409, b'{"type":"https://api.twitter.com/2/problems/conflict"}'),
    *(("fields-missing", 200, f'{{"type":"{NEW}{name}"}}'.encode()) for name in ("field-hydration-failure", "internal-error")),
    ("looks-automated", 403, b'{"errors":[{"code":226,"message":"This request looks like it might be automated."}]}'),
    ("duplicate", 403, b'{"errors":[{"code":187,"message":"Status is a duplicate."}]}'),
    ("duplicate-worded", 403, b'{"detail":"You are not allowed to create a Tweet with duplicate content.","type":"about:blank","title":"Forbidden","status":403}'),
    ("too-long", 403, b'{"errors":[{"code":186,"message":"Tweet needs to be a bit shorter."}]}'),
    ("not-summoned", 403, b'{"title":"Authorization Error","detail":"You can only reply to or quote posts where you are mentioned or are the author."}'),
    ("not-summoned", 403, b'{"detail":"Reply to this conversation is not allowed because you have not been mentioned or otherwise engaged by the author of the post you are replying to.","type":"about:blank","title":"Forbidden","status":403}'),
    ("replies-restricted", 403, b'{"errors":[{"code":433,"message":"x"}]}'),
    ("reply-to-nothing", 403, b'{"errors":[{"code":385,"message":"x"}]}'),
    ("no-messages-wanted", 403, b'{"errors":[{"code":349,"message":"You cannot send messages to this user."}]}'),
    ("no-messages-wanted", 403, b'{"errors":[{"code":150,"message":"x"}]}'),
    ("not-for-this-account", 200, b'{"title":"Authorization Error","detail":"Sorry, you are not authorized to see the user with id: [1].","type":"https://api.twitter.com/2/problems/not-authorized-for-resource"}'),
    *(("not-for-this-account", 403, f'{{"type":"{NEW}{name}"}}'.encode()) for name in ("not-authorized-for-field", "field-unauthorized", "resource-unavailable", "disallowed-resource")),
    ("not-found", 200, b'{"resource_id":"456","resource_type":"tweet","title":"Not Found Error","detail":"Could not find tweet with id: [456].","type":"https://api.x.com/2/problems/resource-not-found"}'),
    ("unknown-parameter", 400, b'{"errors":[{"parameters":{"previous_token":["b2"]},"message":"The query parameter [previous_token] is not one of [query,start_time]"}],"title":"Invalid Request","detail":"One or more parameters to your request was invalid.","type":"https://api.twitter.com/2/problems/invalid-request"}'),
    ("unknown-parameter", 400, b'{"errors":[{"parameters":{"tweet.fields":["x"]},"message":"The `tweet.fields` query parameter value [x] is not one of [attachments,author_id]"}],"title":"Invalid Request","type":"https://api.twitter.com/2/problems/invalid-request"}'),
    ("unknown-parameter", 400, b'{"errors":[{"message":"$.x: is not defined in the schema and the schema does not allow additional properties"}],"title":"Invalid Request","type":"https://api.twitter.com/2/problems/invalid-request"}'),
    ("invalid-request", 400, b'{"errors":[{"message":"$.text: is missing but it is required"}],"title":"Invalid Request","type":"https://api.twitter.com/2/problems/invalid-request"}'),
    ("invalid-request", 400, b'{"errors":[{"parameters":{"media.media_ids":["1"]},"message":"Your media IDs are invalid."}],"title":"Invalid Request","type":"https://api.twitter.com/2/problems/invalid-request"}'),
    ("invalid-request", 400, b'{"errors":[{"message":"x","parameters":{"ids":["1"]}}],"title":"Invalid Request","type":"https://api.twitter.com/2/problems/invalid-request"}'),
    ("unauthorized", 401, b'{"title":"Unauthorized","type":"about:blank","status":401,"detail":"Unauthorized"}'),
    ("forbidden", 403, b'{"detail":"Forbidden","type":"about:blank","title":"Forbidden","status":403}'),
    ("forbidden", 403, b"<html>no</html>"),
    ("gone", 404, b'{"title":"Not Found","type":"about:blank","status":404}'),
    ("conflict-unnamed", 409, b"{}"),
    ("too-many", 429, b'{"title":"Too Many Requests","detail":"Too Many Requests","type":"about:blank","status":429}'),
    *(("server-error", status, b"<html>Over capacity</html>") for status in (500, 502, 503, 504)),
    ("server-error", 503, b""),
    ("unknown", 400, b'{"something":"new"}'),
    ("unknown", 418, b"\xff\xfe"),
    ("forbidden", 403, b'{"errors":[{"code":9999,"message":"x"}]}'),
]  # fmt: skip


def refusal(status: int, body: bytes) -> ResponseError:
    if body.startswith(b"<?xml"):
        answer = HttpResponse(status=status, headers={}, body=body)
        read = oauth1_flow.read_refusal(answer, oauth1_flow.REQUEST_TOKEN, callback="http://a/b")
        assert isinstance(read.__cause__, ResponseError)
        return read.__cause__
    return read_error("GET /2/users/me", status, {}, body, now=NOW)


@pytest.mark.parametrize(("row", "status", "body"), SEEN)
def test_a_body_of_x_is_told_by_its_row(row: str, status: int, body: bytes) -> None:
    assert diagnose_error(refusal(status, body)).id == row


def test_every_row_has_a_body_that_leads_to_it() -> None:
    assert {row for row, _, _ in SEEN} == set(ROWS)
    assert len(ROWS) == len(TABLE)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_every_row_says_why_and_what_is_wrong_has_a_cure(row: Diagnosis) -> None:
    assert row.cause.endswith(".")
    assert row.verdict in {Verdict.WRONG, Verdict.UNTOLD}
    assert not row.cure or row.cure.endswith(".")
    assert row.cure or row.verdict is Verdict.UNTOLD
    assert bool(row.words) == bool(row.text)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_no_sign_of_a_row_is_taken_by_an_earlier_row(row: Diagnosis) -> None:
    assert [other.id for other in answers_of(row) if other is not row] == []


def answers_of(row: Diagnosis) -> Iterator[Diagnosis]:
    """Yield what the look-up takes each of the row's signs for; 418 is a status of no row."""
    names: list[dict[str, Any]] = [
        *({"segment": name} for name in row.types),
        *({"title": name} for name in row.titles),
        *({"codes": (code,)} for code in row.codes),
    ]
    for status, name, reason in product(row.statuses or [418], names or [{}], row.reasons or [""]):
        signs: dict[str, Any] = {**name, "reason": reason, "detail": row.text}
        yield diagnose(status, **signs)


def test_no_sign_stands_twice_in_a_row() -> None:
    for row in TABLE:
        for signs in (row.statuses, row.types, row.titles, row.codes, row.reasons):
            assert len(set(signs)) == len(signs), row.id


@pytest.mark.parametrize("key", ["status", "name", "code", "hint"])
def test_a_key_that_the_table_does_not_know_is_an_error(key: str) -> None:
    row = {"id": "x", "verdict": "wrong", "topic": "X", "cause": "x.", key: "x"}
    with pytest.raises(msgspec.ValidationError, match=f"unknown field `{key}`"):
        msgspec.convert(row, Diagnosis)


def test_every_fact_that_a_row_rests_on_stands_on_the_page_of_facts() -> None:
    page = Path(__file__).parents[4] / "docs" / "explanation" / "x-facts.md"
    known = re.findall(r"^\| (\d+\.\d+) \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert {fact for row in TABLE for fact in row.facts} <= set(known)
    assert [row.id for row in TABLE if not row.facts] == ["gone", "conflict-unnamed", "unknown"]


@pytest.mark.parametrize("name", [name for name in get_args(ErrorName) if name])
def test_a_class_that_a_row_names_is_the_error_of_a_success_that_carries_it(name: str) -> None:
    carried = [row.types[0] for row in TABLE if row.error == name and row.types]
    assert carried
    for segment in carried:
        error = read_error("GET /2/x", 200, {}, json.dumps({"type": segment}).encode(), now=NOW)
        assert type(error).__name__ == name


@pytest.mark.parametrize("host", [OLD, NEW, "https://elsewhere.example/"])
def test_the_host_of_a_problem_type_does_not_count(host: str) -> None:
    body = json.dumps({"type": f"{host}credits"}).encode()
    assert diagnose_error(refusal(402, body)).topic is Topic.CREDITS


def test_the_words_of_x_are_kept_when_the_case_is_not_known() -> None:
    error = refusal(400, b'{"error":"invalid_request","error_description":"Ganz anders."}')
    assert diagnose_error(error).verdict is Verdict.UNTOLD
    assert "Ganz anders." in str(error)


def test_the_title_of_a_refusal_for_money_suffices_without_a_type() -> None:
    assert diagnose(403, title="CreditsDepleted").id == "no-credits"
    assert diagnose(429, title="UsageCapExceeded").id == "usage-cap"


def test_a_reader_that_decides_by_codes_has_them_from_the_table() -> None:
    assert codes_of("bad-signature", "no-messages-wanted") == {32, 349, 150}
    with pytest.raises(KeyError):
        codes_of("no-such-row")
