"""Events out of the Activity API's bytes: X's samples, and whatever else may come."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.errors import MalformedAnswer, StreamClosed
from botkit.model.activity_events import (
    BroadcastChat,
    BroadcastStart,
    EncryptedMessage,
    Follow,
    Like,
    News,
    PostDelete,
    ProfileUpdate,
    SpaceStart,
)
from botkit.model.events import (
    DirectMessage,
    GrantRevoked,
    Mention,
    PostSeen,
    Quote,
    Reply,
    Repost,
    UnknownEvent,
    XEvent,
)
from botkit.model.users import User
from botkit.protocol.api.json_values import parse_json
from botkit.protocol.events import activity
from botkit.protocol.events.activity import (
    Hearing,
    decode_event,
    decode_events,
    decode_line,
    encode_event,
)
from botkit.protocol.events.envelopes import POST_KINDS, events_of

SAMPLES = sorted((Path(__file__).parents[3] / "wire" / "activity").glob("*.json"))
ME = "1111111111111111111"
NOW = datetime(2026, 8, 1, tzinfo=UTC)


def sample(name: str) -> dict[str, Any]:
    path = next(path for path in SAMPLES if path.stem == name)
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def line_of(value: object) -> bytes:
    return json.dumps(value).encode()


def decoded(value: object, **hearing: Any) -> XEvent:
    return decode_line(line_of(value), hearing=Hearing(**hearing))


def changed(name: str, **payload: object) -> dict[str, Any]:
    found = sample(name)
    found["data"]["payload"] |= payload
    return found


@pytest.mark.parametrize(
    ("name", "event_type", "key"),
    [
        ("Event-envelope", UnknownEvent, "post.create/sha256-44136fa355b3678a/"),
        ("broadcast.chat", BroadcastChat, f"broadcast.chat/2090000000000000004/{ME}"),
        ("broadcast.start", BroadcastStart, "broadcast.start/1a2b3c4d5e6fG/1234567890123456789"),
        (
            "chat.received",
            EncryptedMessage,
            "chat.received/e4f4d3fc-8bbf-4928-92eb-e5058d6bb6f6/2222222222222222222",
        ),
        ("chat.sent", EncryptedMessage, f"chat.sent/8e75466b-56ec-4e88-bddf-b18f7cc6030e/{ME}"),
        ("dm.received", DirectMessage, "dm/2080765901528535096"),
        ("follow.follow", Follow, f"follow.follow/4444444444444444444/{ME}"),
        ("like.create", Like, f"like.create/2079814480427442556/{ME}"),
        ("news.new", News, "news.new/2080756868147019827/"),
        (
            "oauth.revoke",
            GrantRevoked,
            f"revoke/{ME}/29820954/2026-07-23T21:44:05+00:00",
        ),
        ("post.create", PostSeen, "post/2080761390344937796/0"),
        ("post.delete", PostDelete, f"post.delete/2080761269309813134/{ME}"),
        ("post.mention.create", Mention, "post/2080765813578191303/0"),
        ("post.reply.create", Reply, "post/2090000000000000001/0"),
        ("post.repost.create", Repost, "post/2090000000000000003/0"),
        (
            "profile.update.bio",
            ProfileUpdate,
            f"profile.update.bio/sha256-c3e0179e6f24e19a/{ME}",
        ),
        ("spaces.start", SpaceStart, f"spaces.start/1qxvvvyLLdnxB/{ME}"),
    ],
)
def test_a_sample_of_x_decodes(name: str, event_type: type[XEvent], key: str) -> None:
    event = decoded(sample(name))

    assert type(event) is event_type
    assert event.key == key
    assert event.source == "activity"
    assert event.undecoded == {}


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_decodes_both_ways_to_the_same_and_survives_the_store(path: Path) -> None:
    line = path.read_bytes()

    event = decode_line(line)

    assert events_of(parse_json(line), Hearing()) == [event]
    assert decode_events(line) == [event]
    assert decode_event(*encode_event(event), {}) == event


def test_the_fast_way_is_taken_for_ordinary_posts() -> None:
    fast = {path.stem for path in SAMPLES if activity._fast(path.read_bytes(), Hearing())}

    assert fast == {
        "post.create",
        "post.mention.create",
        "post.reply.create",
        "post.repost.create",
    }


def test_a_mention_has_its_author_and_its_text() -> None:
    event = decoded(sample("post.mention.create"))

    assert isinstance(event, Mention)
    assert event.author == User(
        id="2222222222222222222",
        username="OtherUser",
        name="OtherUser",
        description="",
        protected=False,
        automated=True,
    )
    assert (event.text, event.account_id, event.is_summoned) == ("hey @ExampleUser", ME, True)
    assert event.at == datetime(2026, 7, 24, 21, 23, 23, tzinfo=UTC)
    assert event.missing == ()


def test_a_reply_without_users_names_its_author_as_missing() -> None:
    event = decoded(sample("post.reply.create"))

    assert isinstance(event, Reply)
    assert event.author == User(id="2222222222222222222", username="", name="")
    assert event.missing == ("author",)
    assert event.is_reply_to_me
    assert not event.is_summoned


@pytest.mark.parametrize("kind", sorted(POST_KINDS))
@pytest.mark.parametrize(
    "name", ["post.create", "post.mention.create", "post.reply.create", "post.repost.create"]
)
def test_the_class_is_the_posts_own_whatever_the_envelope_says(name: str, kind: str) -> None:
    envelope = sample(name)
    expected = type(decoded(envelope))
    envelope["data"]["event_type"] = kind

    assert type(decoded(envelope)) is expected


def quote(**payload: object) -> dict[str, Any]:
    return changed(
        "post.create",
        author_id="2222222222222222222",
        referenced_tweets=[{"type": "quoted", "id": "5"}],
        **payload,
    )


def test_a_quote_is_known_by_the_included_post() -> None:
    envelope = quote()
    for author, expected in ((ME, Quote), ("33", PostSeen)):
        for spelling in ("tweets", "posts"):
            envelope["data"]["includes"] = {
                spelling: [{"id": "5", "author_id": author, "text": ""}]
            }
            event = decoded(envelope)
            assert (type(event), event.missing) == (expected, ("author",))
            assert events_of(envelope, Hearing()) == [event]


def test_a_quote_without_the_quoted_post_is_taken_at_xs_word_that_it_quotes_the_account() -> None:
    envelope = quote()
    for includes in ({}, {"tweets": [{"id": "6", "author_id": "33"}]}):
        envelope["data"] |= {"event_type": "post.quote.create", "includes": includes}
        event = decoded(envelope)
        assert (type(event), event.missing) == (Quote, ("author",))
        assert events_of(envelope, Hearing()) == [event]


def test_a_quote_of_nobody_knows_whom_waits_for_the_quoted_post() -> None:
    envelope = quote()
    envelope["data"]["includes"] = {}

    assert decoded(envelope).missing == ("author", "quoted")


def test_a_reply_whose_answered_user_x_left_out_is_completed() -> None:
    envelope = changed("post.reply.create", in_reply_to_user_id=None)
    assert type(decoded(envelope)) is Reply

    envelope["data"]["event_type"] = "post.create"
    assert type(decoded(envelope)) is PostSeen

    envelope["data"]["includes"] = {
        "tweets": [{"id": "2080761390344937796", "author_id": ME, "text": "mine"}]
    }
    assert type(decoded(envelope)) is Reply


def test_the_envelope_of_an_own_post_adds_nothing() -> None:
    envelope = quote()
    envelope["data"]["payload"]["author_id"] = ME
    envelope["data"]["event_type"] = "post.quote.create"

    event = decoded(envelope)

    assert isinstance(event, PostSeen)
    assert event.post.quoted_user_id is None


def test_mentions_without_ids_are_completed_from_the_included_users() -> None:
    mentions = [{"start": 4, "end": 16, "username": "exampleuser"}]
    event = decoded(changed("post.mention.create", entities={"mentions": mentions}))

    assert isinstance(event, Mention)
    assert event.post.mentions[0].id == ME


def test_without_entities_the_text_is_searched_for_the_accounts_name() -> None:
    envelope = changed("post.mention.create", entities=None)
    assert type(decoded(envelope)) is Mention

    envelope["data"]["includes"] = None
    assert type(decoded(envelope)) is PostSeen
    assert type(decoded(envelope, usernames={ME: "ExampleUser"})) is Mention


def test_a_long_post_has_its_whole_text_on_both_ways() -> None:
    long = "word " * 100 + "@ExampleUser"
    note = {
        "text": long,
        "entities": {
            "mentions": [{"start": 500, "end": 512, "username": "ExampleUser", "id": ME}]
        },
    }
    envelope = changed("post.create", author_id="2222222222222222222", note_tweet=note)

    event = decoded(envelope)

    assert isinstance(event, Mention)
    assert event.text == long
    assert events_of(envelope, Hearing()) == [event]


def test_links_are_their_expanded_form_on_both_ways() -> None:
    urls = [{"url": "https://t.co/1", "expanded_url": "https://a.com"}, {"url": "b"}, {"start": 1}]
    envelope = changed("post.create", entities={"urls": urls})

    event = decoded(envelope)

    assert isinstance(event, PostSeen)
    assert event.post.links == ("https://a.com", "b")
    assert events_of(envelope, Hearing()) == [event]


def test_a_quote_without_any_includes_is_the_same_on_both_ways() -> None:
    envelope = quote()
    del envelope["data"]["includes"]

    assert events_of(envelope, Hearing()) == [decoded(envelope)]


def wrapped(name: str) -> dict[str, Any]:
    envelope = sample(name)
    data = envelope["data"]
    data["payload"] = {"data": data["payload"]}
    includes = data.get("includes") or {}
    data["includes"] = {
        part: [{"data": item} for item in items] for part, items in includes.items()
    }
    return {"data": {"data": data}}


def numbered(value: Any, name: str = "") -> Any:
    """The same JSON with numbers for ids."""
    if isinstance(value, dict):
        return {key: numbered(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [numbered(item, name) for item in value]
    if isinstance(value, str) and value.isdigit() and name.endswith(("id", "ids")):
        return int(value)
    return value


def renamed(value: Any) -> Any:
    """The same JSON with `post` where X said `tweet`."""
    text = json.dumps(value)
    for old, new in (("tweet", "post"), ('"retweeted"', '"reposted"')):
        text = text.replace(old, new)
    return json.loads(text)


@pytest.mark.parametrize(
    "name", ["post.create", "post.mention.create", "post.reply.create", "post.repost.create"]
)
def test_wrapped_renamed_and_numbered_payloads_give_the_same_event(name: str) -> None:
    expected = decoded(sample(name))

    assert decoded(wrapped(name)) == expected
    assert decoded(renamed(sample(name))) == expected
    assert decoded(numbered(sample(name))) == expected
    assert decoded(sample(name)["data"]) == expected
    assert decoded([sample(name)]) == expected
    assert decoded({"data": [sample(name)["data"]]}) == expected


@pytest.mark.parametrize(
    ("payload", "at"),
    [
        ({"created_at": None, "id": "2080765813578191303"}, datetime(2026, 7, 24, tzinfo=UTC)),
        ({"created_at": None, "id": "5"}, NOW),
        ({"created_at": "soon", "id": "5"}, NOW),
    ],
)
def test_a_post_without_a_time_happened_when_its_id_was_made_or_now(
    payload: dict[str, object], at: datetime
) -> None:
    assert decoded(changed("post.create", **payload), now=NOW).at.date() == at.date()


def test_a_time_of_another_zone_is_told_in_utc() -> None:
    event = decoded(changed("post.create", created_at="2026-07-24T23:05:48+02:00"))

    assert isinstance(event, PostSeen)
    assert event.post.created_at is not None
    assert event.post.created_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("payload", "undecoded"),
    [
        ({"created_at": "soon"}, {"created_at": "soon"}),
        ({"entities": {"mentions": [5]}}, {"entities.mentions[0]": 5}),
        ({"display_text_range": [5, 1]}, {"display_text_range": [5, 1]}),
        ({"lang": 5}, {"lang": 5}),
        ({"referenced_tweets": "x"}, {"referenced_tweets": "x"}),
        ({"note_tweet": [1]}, {"note_tweet": [1]}),
    ],
)
def test_a_part_that_does_not_decode_leaves_the_event_alive_and_its_value_kept(
    payload: dict[str, object], undecoded: dict[str, object]
) -> None:
    event = decoded(changed("post.create", **payload))

    assert isinstance(event, PostSeen)
    assert event.undecoded == undecoded
    assert event.text == "Hello from the Activity API"
    assert decode_event(*encode_event(event), {}) == event


@pytest.mark.parametrize("line", [b"", b"not json", b'{"data":', b"[" * 5000, b'{"data":' * 5000])
def test_what_is_no_json_is_a_malformed_answer(line: bytes) -> None:
    with pytest.raises(MalformedAnswer, match="no JSON"):
        decode_line(line)


@pytest.mark.parametrize(
    "errors",
    [
        [{"title": "operational-disconnect", "disconnect_type": "SlowReader"}],
        {"title": "SlowReader"},
    ],
)
def test_errors_in_the_stream_end_it(errors: object) -> None:
    for value in ({"errors": errors}, [{"errors": errors}], {"data": None, "errors": errors}):
        with pytest.raises(StreamClosed, match="SlowReader"):
            decoded(value)


def test_errors_beside_an_event_do_not_hide_it() -> None:
    errors = [{"title": "Not Found Error"}]

    assert type(decoded(sample("post.mention.create") | {"errors": errors})) is Mention
    assert len(decode_events(line_of([{"errors": errors}, sample("post.create")]))) == 1


def test_bytes_that_are_no_utf8_do_not_lose_the_event() -> None:
    line = line_of(sample("post.mention.create")).replace(b"hey ", b"h\xff\xfe ")

    event = decode_line(line)

    assert isinstance(event, Mention)
    assert event.text == "h\ufffd\ufffd @ExampleUser"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["data", "id", "text", "payload", "event_type", "includes", "users", "filter"]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


def heard(value: object) -> list[XEvent]:
    try:
        return decode_events(line_of(value))
    except StreamClosed:
        return []


@given(JSON)
def test_any_json_is_an_event_and_can_be_stored(value: object) -> None:
    for event in heard(value):
        stored = decode_event(*encode_event(event), {})
        assert type(stored) is type(event)
        assert stored == event
        assert event.key
        assert event.lane


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for name, item in items:
        found += paths(item, (*path, name))
    return found


TARGETS = [
    (path.stem, where)
    for path in SAMPLES
    for where in paths(json.loads(path.read_bytes()))
    if where
]


@given(st.sampled_from(TARGETS), JSON)
def test_a_sample_with_any_part_replaced_is_still_events(
    target: tuple[str, tuple[Any, ...]], value: object
) -> None:
    name, where = target
    envelope: Any = sample(name)
    holder = envelope
    for step in where[:-1]:
        holder = holder[step]
    holder[where[-1]] = value

    for event in heard(envelope):
        assert event.key
        kind, body = encode_event(event)
        assert encode_event(decode_event(kind, body, {})) == (kind, body)


@given(
    st.sampled_from([t for t in TARGETS if t[0].startswith("post.")]),
    st.none() | st.just("") | st.integers(0, 9),
)
def test_both_ways_agree_on_what_an_event_is(
    target: tuple[str, tuple[Any, ...]], value: object
) -> None:
    name, where = target
    envelope: Any = sample(name)
    holder = envelope
    for step in where[:-1]:
        holder = holder[step]
    holder[where[-1]] = value
    line = line_of(envelope)

    fast = activity._fast(line, Hearing())

    if fast is not None:
        (thorough,) = events_of(parse_json(line), Hearing())
        assert isinstance(thorough, Mention | Reply | Quote | Repost | PostSeen)
        assert (type(fast), fast.post, fast.author, fast.missing, fast.at) == (
            type(thorough),
            thorough.post,
            thorough.author,
            thorough.missing,
            thorough.at,
        )


def test_the_usernames_of_a_hearing_may_be_any_mapping() -> None:
    usernames: Mapping[str, str] = {ME: "ExampleUser"}

    assert type(decoded(sample("post.mention.create"), usernames=usernames)) is Mention
