from __future__ import annotations

import json
import re
import runpy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from botkit.model.tokens import CredentialKind
from botkit.protocol.api import _generate_operations
from botkit.protocol.api.operations import (
    Operation,
    RateLimit,
    all_operations,
    match,
    operation,
    read_on,
)

BEARER, USER2, USER1 = CredentialKind.APP_ONLY, CredentialKind.OAUTH2, CredentialKind.OAUTH1
QUARTER_S, DAY_S = 900, 86400


def per(seconds: int, *limits: int) -> tuple[RateLimit, ...]:
    return tuple(RateLimit(limit=limit, seconds=seconds) for limit in limits)


CHECKED_BY_HAND = [
    Operation(
        id="createPosts",
        method="POST",
        path="/2/tweets",
        kinds=(USER2, USER1),
        scopes=("tweet.read", "tweet.write", "users.read"),
        user_windows=per(QUARTER_S, 100),
        app_windows=per(DAY_S, 10000),
        price_class="Post: Create",
        price_usd=Decimal("0.015"),
        price_per="request",
        price_basis="page",
        tag="Posts",
    ),
    Operation(
        id="deletePosts",
        method="DELETE",
        path="/2/tweets/{id}",
        kinds=(USER2, USER1),
        scopes=("tweet.read", "tweet.write", "users.read"),
        user_windows=per(QUARTER_S, 50),
        price_class="Content: Manage",
        price_usd=Decimal("0.005"),
        price_per="request",
        price_basis="sim",
        tag="Posts",
    ),
    Operation(
        id="getUsersMe",
        method="GET",
        path="/2/users/me",
        kinds=(USER2, USER1),
        scopes=("tweet.read", "users.read"),
        user_windows=per(QUARTER_S, 75),
        price_class="User: Read",
        price_usd=Decimal("0.010"),
        price_per="resource",
        price_basis="sim",
        tag="Users",
    ),
    Operation(
        id="getUsersMentions",
        method="GET",
        path="/2/users/{id}/mentions",
        kinds=(BEARER, USER2, USER1),
        scopes=("tweet.read", "users.read"),
        user_windows=per(QUARTER_S, 300),
        app_windows=per(QUARTER_S, 450),
        price_class="Posts: Read",
        price_usd=Decimal("0.005"),
        price_per="resource",
        price_basis="sim",
        owned_read_usd=Decimal("0.001"),
        tag="Users",
    ),
    Operation(
        id="createDirectMessagesByParticipantId",
        method="POST",
        path="/2/dm_conversations/with/{participant_id}/messages",
        kinds=(USER2, USER1),
        scopes=("dm.write", "tweet.read", "users.read"),
        user_windows=(*per(QUARTER_S, 15), *per(DAY_S, 1440)),
        app_windows=per(DAY_S, 1440),
        price_class="DM Interaction: Create",
        price_usd=Decimal("0.015"),
        price_per="request",
        price_basis="sim",
        tag="Direct Messages",
    ),
    Operation(
        id="activityStream",
        method="GET",
        path="/2/activity/stream",
        kinds=(BEARER,),
        streaming=True,
        app_windows=per(QUARTER_S, 450),
        price_class="per event",
        price_per="event",
        price_basis="page",
        tag="Stream",
    ),
    Operation(
        id="createActivitySubscription",
        method="POST",
        path="/2/activity/subscriptions",
        kinds=(BEARER, USER2, USER1),
        app_windows=per(QUARTER_S, 500),
        tag="Activity",
        note="2.166 scopes: dm.read like.read tweet.read",
    ),
    Operation(
        id="searchPostsAll",
        method="GET",
        path="/2/tweets/search/all",
        kinds=(BEARER,),
        user_windows=per(1, 1),
        app_windows=(*per(1, 1), *per(QUARTER_S, 300)),
        price_class="Posts: Read",
        price_usd=Decimal("0.005"),
        price_per="resource",
        price_basis="sim",
        tag="Posts",
    ),
    Operation(
        id="mediaUpload",
        method="POST",
        path="/2/media/upload",
        kinds=(USER2, USER1),
        scopes=("media.write",),
        user_windows=per(QUARTER_S, 500),
        app_windows=per(DAY_S, 50000),
        price_basis="sim",
        tag="Media",
    ),
    Operation(id="getOpenApiSpec", method="GET", path="/2/openapi.json", tag="General"),
    Operation(
        id="hidePostsReply",
        method="PUT",
        path="/2/tweets/{tweet_id}/hidden",
        kinds=(USER2, USER1),
        scopes=("tweet.moderate.write", "tweet.read", "users.read"),
        user_windows=per(QUARTER_S, 50),
        price_class="Content: Manage",
        price_usd=Decimal("0.005"),
        price_per="request",
        price_basis="sim",
        tag="Posts",
    ),
    Operation(
        id="GET /2/users/by/username/{username}/mentions",
        method="GET",
        path="/2/users/by/username/{username}/mentions",
        user_windows=per(QUARTER_S, 180),
        app_windows=per(QUARTER_S, 450),
        note="only in the rate-limit table",
    ),
]


def test_the_table_has_184_operations_with_ids_of_their_own_and_a_date() -> None:
    assert len(all_operations()) == 184
    assert len({found.id for found in all_operations()}) == 184
    assert read_on() == "2026-08-22"


@pytest.mark.parametrize("expected", CHECKED_BY_HAND, ids=lambda expected: expected.id)
def test_the_row_is_what_xs_documents_say(expected: Operation) -> None:
    assert operation(expected.id) == expected


def test_an_operation_knows_its_name_and_whether_it_writes() -> None:
    assert operation("createPosts").name == "POST /2/tweets"
    assert operation("createPosts").writes
    assert not operation("getUsersMe").writes


def test_an_operation_that_x_does_not_have_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        operation("createTweets")


@pytest.mark.parametrize("found", all_operations(), ids=lambda found: found.id)
def test_every_operation_is_found_by_its_method_and_a_path_of_its_shape(found: Operation) -> None:
    path = re.sub(r"\{[a-z_]+\}", "1234", found.path)
    assert match(found.method, path) is found
    assert match(found.method.lower(), path) is found


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/2/tweets/"),
        ("GET", "/2/users//mentions"),
        ("PATCH", "/2/tweets"),
        ("GET", "/2/nothing/at/all/here"),
        ("GET", ""),
    ],
)
def test_what_is_no_call_of_x_matches_nothing(method: str, path: str) -> None:
    assert match(method, path) is None


# --- the generator ---------------------------------------------------------------------------

COLUMNS = [
    "operationId",
    "method",
    "path",
    "auth",
    "oauth2_scopes",
    "streaming",
    "rate_per_user",
    "rate_per_app",
    "rate_notes",
    "price_class",
    "price_usd",
    "price_per",
    "price_basis",
    "owned_read_usd",
    "tag",
    "operationId_2166",
    "notes",
]
OPENAPI: dict[str, Any] = {
    "info": {"version": "9.9"},
    "paths": {
        "/2/things": {
            "parameters": [],
            "post": {
                "operationId": "createThings",
                "security": [{"OAuth2UserToken": ["b.write", "a.read"]}, {"UserToken": []}],
            },
            "get": {"operationId": "getThings", "security": [{"BearerToken": []}]},
        },
        "/2/things/stream": {
            "get": {"operationId": "streamThings", "x-twitter-streaming": True},
        },
    },
}


def table_row(**cells: str) -> str:
    return "\t".join(cells.get(column, "-") for column in COLUMNS)


TABLE = [
    table_row(
        operationId="createThings",
        method="POST",
        path="/2/things",
        auth="OAuth2UserToken",
        oauth2_scopes="a.read b.write",
        rate_per_user="10/15min; 400/24h",
        rate_per_app="1/sec",
        price_class="Thing: Create",
        price_usd="0.015 (0.200 with URL)",
        price_per="request",
        price_basis="page",
        tag="Things",
    ),
    table_row(operationId="getThings", method="GET", path="/2/things", auth="BearerToken"),
    table_row(
        method="GET", path="/2/old", operationId_2166="getOld", auth="BearerToken|UserToken"
    ),
    table_row(
        method="GET", path="/2/older", operationId_2166="getThings", streaming="yes", price_usd="x"
    ),
    table_row(method="GET", path="/2/oldest", auth="none", price_class="(no class at all)"),
]


@pytest.fixture
def generated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Any, str]:
    openapi, table, out = tmp_path / "openapi.json", tmp_path / "table.tsv", tmp_path / "out.json"
    openapi.write_text(json.dumps(OPENAPI), "utf-8")
    table.write_text("\n".join(["\t".join(COLUMNS), *TABLE]), "utf-8")
    arguments = [str(openapi), str(table), str(out), "--read-on", "2026-01-02"]
    assert _generate_operations.main(arguments) == 0
    return json.loads(out.read_text("utf-8")), capsys.readouterr().err


def test_the_generator_joins_both_sources_and_keeps_what_only_one_has(
    generated: tuple[Any, str],
) -> None:
    assert generated[0] == {
        "read_on": "2026-01-02",
        "openapi_version": "9.9",
        "operations": [
            {"id": "getThings", "method": "GET", "path": "/2/things", "kinds": ["BearerToken"]},
            {
                "id": "createThings",
                "method": "POST",
                "path": "/2/things",
                "kinds": ["OAuth2UserToken", "UserToken"],
                "scopes": ["a.read", "b.write"],
                "user_windows": [
                    {"limit": 10, "seconds": 900},
                    {"limit": 400, "seconds": 86400},
                ],
                "app_windows": [{"limit": 1, "seconds": 1}],
                "price_class": "Thing: Create",
                "price_per": "request",
                "price_basis": "page",
                "tag": "Things",
                "price_usd": "0.015",
            },
            {"id": "streamThings", "method": "GET", "path": "/2/things/stream", "streaming": True},
            {
                "id": "getOld",
                "method": "GET",
                "path": "/2/old",
                "kinds": ["BearerToken", "UserToken"],
            },
            {"id": "GET /2/older", "method": "GET", "path": "/2/older", "streaming": True},
            {"id": "GET /2/oldest", "method": "GET", "path": "/2/oldest"},
        ],
    }


def test_the_generator_says_where_the_sources_disagree(generated: tuple[Any, str]) -> None:
    assert generated[1].splitlines() == [
        (
            "POST /2/things: kinds ['OAuth2UserToken', 'UserToken'] in the document,"
            " ['OAuth2UserToken'] in the table"
        ),
        "GET /2/things/stream: not in the table, so without limits and prices",
    ]


def test_without_a_date_the_documents_own_file_tells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openapi, table, out = tmp_path / "openapi.json", tmp_path / "table.tsv", tmp_path / "out.json"
    openapi.write_text(json.dumps(OPENAPI), "utf-8")
    table.write_text("\t".join(COLUMNS), "utf-8")
    monkeypatch.setattr("sys.argv", ["generate", str(openapi), str(table), str(out)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(_generate_operations.__file__, run_name="__main__")
    assert ended.value.code == 0
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", json.loads(out.read_text("utf-8"))["read_on"])
