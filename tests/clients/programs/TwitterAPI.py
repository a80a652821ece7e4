"""TwitterAPI signs by OAuth 1.0a; a person has agreed before, as it has no login of its own."""

from __future__ import annotations

import json
import os
from typing import Any

import urllib3.util.connection
from TwitterAPI import TwitterAPI

stage = json.loads(os.environ["STAGE"])  # noqa: TID251 - a program of its own
plain = urllib3.util.connection.create_connection


def to_recorder(address: tuple[str, int], *args: Any, **kwargs: Any) -> Any:
    return plain(("127.0.0.1", int(os.environ["RECORDER_PORT"])), *args, **kwargs)  # noqa: TID251


def used() -> None:
    api = TwitterAPI(
        stage["api_key"],
        stage["api_secret"],
        stage["oauth_token"],
        stage["oauth_token_secret"],
        api_version="2",
    )
    me = api.request("users/:me").json()
    assert me["data"]["id"] == stage["user_id"]
    mentions = api.request(f"users/:{stage['user_id']}/mentions", {"max_results": 5}).json()
    assert mentions["data"][0]["id"] == stage["post_id"]
    body = {"text": "Hello!", "reply": {"in_reply_to_tweet_id": stage["post_id"]}}
    made = api.request("tweets", body, method_override="POST")
    assert made.status_code == 201, made.text
    ended = api.request(f"tweets/:{made.json()['data']['id']}", method_override="DELETE")
    assert ended.status_code == 200, ended.text
    app = TwitterAPI(stage["api_key"], stage["api_secret"], auth_type="oAuth2", api_version="2")
    assert app.request("tweets", {"ids": stage["post_id"]}).status_code == 200


if __name__ == "__main__":
    urllib3.util.connection.create_connection = to_recorder
    used()
