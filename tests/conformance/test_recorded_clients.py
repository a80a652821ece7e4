"""Programs of others as they were recorded log in, read and post, without npm.

What each sent is sent again, byte for byte, in a world of the same seed and the same clock, so
that its tokens and its signatures fit. Source: `tests/wire/clients/README.md`.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from botkit.sandbox.wire.exchange import Call
from tests.clients.stage import staged

PATHS = sorted((Path(__file__).parents[1] / "wire" / "clients").glob("*.json"))
RECORDS: list[dict[str, Any]] = [json.loads(path.read_text()) for path in PATHS]
REFUSED = {
    # It sends a post as a form, which X's newer API does not take, and the older API is closed.
    ("twitter-lite", "/2/tweets"): 400,
    ("twitter-lite", "/1.1/statuses/update.json"): 403,
}
WRITTEN = {
    "TwitterAPI": 1,
    "twitter-api-sdk": 2,
    "twitter-api-v2": 2,
    "twitter-lite": 0,
    "xdk": 2,
}


def call_of(sent: dict[str, Any]) -> Call:
    return Call.of(
        sent["method"], sent["path"], headers=sent["headers"], body=sent["body"].encode()
    )


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["program"])
async def test_a_recorded_program_logs_in_reads_and_posts(record: dict[str, Any]) -> None:
    server, told = staged(datetime.fromisoformat(record["at"]))
    for sent in record["calls"]:
        answer = await server.handle(call_of(sent))
        assert answer.status == sent["status"], (sent, answer.body)
        refused = REFUSED.get((record["program"], sent["path"]))
        assert answer.status == refused or answer.status < 400, sent
    written = [post for post in server.world.posts.values() if post.author_id == told["user_id"]]
    assert len(written) == WRITTEN[record["program"]]
    assert {post.reply_to_id for post in written} <= {told["post_id"]}


def test_the_versions_of_the_records_are_those_that_make_clients_installs() -> None:
    package = Path(__file__).parents[1] / "clients" / "package.json"
    asked = json.loads(package.read_text())
    recorded = {record["program"]: record["version"] for record in RECORDS}
    wanted = {
        name.removeprefix("@xdevplatform/"): version
        for name, version in (asked["dependencies"] | asked["python"]).items()
        if name != "twitter-text"
    }
    assert recorded == wanted
