"""Activity envelopes as a busy account gets them: 500 different ones of 1.7 to 4.6 kB.

Made from the samples in tests/wire/activity, with other ids, texts and users. Posts come with
their author (what a delivery lacks would be looked up), and are somebody else's. Users have their
number of posts in both spellings: xdk drops every event that has only the one of the samples.
"""

from __future__ import annotations

import copy
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["ACCOUNT_ID", "DIFFERENT", "HEARTBEAT_EVERY", "lines"]

ACCOUNT_ID = "1111111111111111111"
DIFFERENT = 500
HEARTBEAT_EVERY = 50
LEAST_BYTES, MOST_BYTES = 1_700, 4_600

_SAMPLES = Path(__file__).parent.parent / "wire" / "activity"
_KINDS = ("post.mention.create", "post.mention.create", "post.reply.create", "post.create")
_WORDS = ("there", "is", "a", "word", "for", "what", "the", "sea", "says", "to", "stones", "at")
_NOW = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}.000Z"
"""What was made long ago would only be recorded as late."""
_FIRST_ID = 2_080_765_813_578_191_303
_PLACE = "__post_id__"


def lines(count: int) -> list[bytes]:
    """So many envelopes, each with a post id of its own, without line ends."""
    templates = [_template(number).split(_PLACE.encode()) for number in range(DIFFERENT)]
    return [
        str(_FIRST_ID + number).encode().join(templates[number % DIFFERENT])
        for number in range(count)
    ]


def _template(number: int) -> bytes:
    """The same bytes for the same number, `_PLACE` wherever the post's id belongs."""
    chance = random.Random(number)
    kind = _KINDS[number % len(_KINDS)]
    data = _sample(kind)["data"]
    payload = data["payload"]
    author_id = str(2_222_222_222_222_000_000 + number)
    payload |= {"author_id": author_id, "created_at": _NOW}
    if "in_reply_to_tweet_id" in payload:  # each in a thread of its own
        root_id = str(2_080_000_000_000_000_000 + number)
        payload |= {"conversation_id": root_id, "in_reply_to_tweet_id": root_id}
        payload["referenced_tweets"][0]["id"] = root_id
    _say(payload, chance)
    user = copy.deepcopy(_sample("post.create")["data"]["includes"]["users"][0])
    user |= {"id": author_id, "username": f"user_{number}", "name": f"User {number}"}
    user["description"] = _text(chance, chance.randrange(20, 160))
    user["public_metrics"]["post_count"] = user["public_metrics"]["tweet_count"]
    data["includes"] = {"users": [user]}
    if number % 3:
        data["includes"]["tweets"] = [payload]
    elif number % 2:
        del user["profile_geo_enrichment"], user["entities"], user["profile_banner_url"]
    return _sized(data, payload["id"])


def _say(payload: dict[str, Any], chance: random.Random) -> None:
    """Another text of 20 to 220 characters behind the names it starts with."""
    entities = payload.get("entities", {}).get("mentions", [])
    end = entities[0]["end"] if entities else 0
    text = payload["text"][:end] + " " + _text(chance, chance.randrange(20, 220))
    payload["text"] = text.strip()
    payload["display_text_range"][1] = len(payload["text"])


def _text(chance: random.Random, length: int) -> str:
    words = " ".join(chance.choice(_WORDS) for _ in range(length // 3 + 2))
    return words[:length].strip()


def _sized(data: dict[str, Any], post_id: str) -> bytes:
    whole = json.dumps({"data": data}, separators=(",", ":"))
    line = whole.replace(post_id, _PLACE).encode()
    size = len(line) + line.count(_PLACE.encode()) * (len(post_id) - len(_PLACE))
    if not LEAST_BYTES <= size <= MOST_BYTES:
        raise AssertionError(f"a payload of {size} bytes")
    return line


def _sample(kind: str) -> dict[str, Any]:
    sample: dict[str, Any] = json.loads((_SAMPLES / f"{kind}.json").read_bytes())
    return sample
