"""What X really sent: every recorded answer is read whole."""

from __future__ import annotations

import json
import urllib.parse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from botkit.protocol.api.operations import match
from botkit.protocol.api.responses import read_response

RECORDED = Path(__file__).parents[3] / "wire" / "recorded"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LEVELS = {"read", "read-write", "read-write-directmessages"}


def exchanges() -> list[Any]:
    found = []
    for file in sorted(RECORDED.glob("*.json")):
        for number, exchange in enumerate(json.loads(file.read_text("utf-8"))):
            found.append(pytest.param(exchange, id=f"{file.stem}-{number}"))
    return found


def test_there_are_recorded_answers() -> None:
    assert len(exchanges()) == 65


@pytest.mark.parametrize("exchange", exchanges())
def test_a_recorded_answer_is_read_into_data_window_and_access_level(
    exchange: dict[str, Any],
) -> None:
    request, answer = exchange["request"], exchange["response"]
    path = urllib.parse.urlsplit(request["url"]).path
    assert match(request["method"], path) is not None
    response = read_response(
        f"{request['method']} {path}",
        answer["status"],
        answer["headers"],
        json.dumps(answer["body"], ensure_ascii=False).encode(),
        now=NOW,
    )
    body = answer["body"]
    assert response.data == body.get("data")
    assert response.includes == body.get("includes", {})
    assert response.meta == body.get("meta", {})
    assert response.errors == tuple(body.get("errors", ()))
    assert response.level in LEVELS
    assert response.window is not None
    assert response.window.limit == int(answer["headers"]["x-rate-limit-limit"])
    assert response.window.remaining == int(answer["headers"]["x-rate-limit-remaining"])
    assert response.window.reset.timestamp() == int(answer["headers"]["x-rate-limit-reset"])
