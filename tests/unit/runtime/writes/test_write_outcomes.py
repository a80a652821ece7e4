"""What an answer means for a write: the classes of the paper, one by one."""

from __future__ import annotations

import msgspec
import pytest

from botkit import errors
from botkit.errors import (
    AlreadyReplied,
    BadRequest,
    BotkitError,
    Forbidden,
    InvalidClient,
    InvalidGrant,
    LeaseLost,
    LevelTooLow,
    MalformedAnswer,
    MissingScope,
    NotFound,
    NotSummoned,
    OutcomeUnknown,
    PaymentRequired,
    RateLimited,
    ResponseError,
    ServerError,
    StoreUnavailable,
    TransportError,
    Unauthorized,
    WrongCredential,
)
from botkit.model.messages import Message
from botkit.model.posts import Post
from botkit.protocol.api.responses import Response
from botkit.runtime.writes.write_outcomes import (
    CallResult,
    Meaning,
    duplicate_refusal,
    is_found_by_reading,
    made_by,
    made_up,
    meaning_of,
    rebuild_refusal,
    write_refusal,
)
from tests.unit.runtime.writing import (
    ADA,
    ME,
    delete_step,
    duplicate,
    mention,
    message_step,
    post_step,
    reply_step,
    suspended,
)


def answer(kind: type[ResponseError], status: int, **more: object) -> ResponseError:
    return kind("X said no.", status=status, **more)  # type: ignore[arg-type]


def access(kind: type[errors.AccessDenied]) -> errors.AccessDenied:
    return kind(operation="createPosts", have=("a",), need=("a", "b"), cure="botkit setup")


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (OutcomeUnknown("reset", kind="reset"), Meaning.UNKNOWN),
        (TransportError("moved", kind="redirect"), Meaning.UNKNOWN),
        (answer(ServerError, 500), Meaning.UNKNOWN),
        (answer(ServerError, 503), Meaning.UNKNOWN),
        (answer(MalformedAnswer, 201), Meaning.UNKNOWN),
        (answer(BadRequest, 408), Meaning.UNKNOWN),
        (answer(BadRequest, 425), Meaning.UNKNOWN),
        (StoreUnavailable("locked"), Meaning.UNKNOWN),
        (LeaseLost("gone"), Meaning.UNKNOWN),
        (TransportError("refused", kind="connect"), Meaning.NOT_SENT),
        (answer(RateLimited, 429), Meaning.NOT_SENT),
        (answer(PaymentRequired, 402), Meaning.NOT_SENT),
        (answer(Unauthorized, 401), Meaning.NOT_SENT),
        (InvalidGrant("dead"), Meaning.NOT_SENT),
        (InvalidClient("wrong secret"), Meaning.NOT_SENT),
        (access(MissingScope), Meaning.REFUSED),
        (answer(BadRequest, 400), Meaning.REFUSED),
        (answer(NotFound, 404), Meaning.REFUSED),
        (answer(Forbidden, 403), Meaning.REFUSED),
        (answer(Forbidden, 403, codes=(433,)), Meaning.REFUSED),
        (NotSummoned("no"), Meaning.REFUSED),
        (answer(Forbidden, 403, codes=(187,)), Meaning.DUPLICATE),
        (duplicate(), Meaning.DUPLICATE),
        (suspended(), Meaning.HELD),
        (answer(Forbidden, 403, codes=(326,)), Meaning.HELD),
    ],
)
def test_every_error_means_one_thing_for_a_write(error: BotkitError, meaning: Meaning) -> None:
    assert meaning_of(error) is meaning


@pytest.mark.parametrize(
    "error",
    [
        AlreadyReplied("Post 1 has its reply.", hint="Answer in one post."),
        NotSummoned("Nobody asked."),
        access(MissingScope),
        access(LevelTooLow),
        access(WrongCredential),
        Forbidden(
            "X said no.",
            request="POST /2/tweets",
            status=403,
            title="Forbidden",
            detail="nö",
            problem_type="about:blank",
            codes=(433, 7),
            hint="Ask them.",
        ),
        answer(NotFound, 404),
    ],
)
def test_a_refusal_comes_back_from_the_journal_as_it_was(error: BotkitError) -> None:
    rebuilt = rebuild_refusal(write_refusal(error))
    assert type(rebuilt) is type(error)
    assert vars(rebuilt) == vars(error)
    assert str(rebuilt) == str(error)


@pytest.mark.parametrize(
    "reason",
    [
        "cancelled by the operator",
        "",
        "[]",
        "{}",
        '{"error": "NoSuchError", "message": "x"}',
        '{"error": "Parked", "message": "x"}',
        '{"error": "annotations", "message": "x"}',
        '{"error": "NotFound", "message": "x"}',
        '{"error": "NotFound", "message": "x", "unknown": 1}',
    ],
)
def test_any_other_reason_is_a_plain_refusal(reason: str) -> None:
    rebuilt = rebuild_refusal(reason)
    assert type(rebuilt) is Forbidden
    assert rebuilt.detail == reason


def test_a_duplicate_that_is_not_ours_says_what_to_do() -> None:
    rebuilt = rebuild_refusal(duplicate_refusal())
    assert isinstance(rebuilt, Forbidden)
    assert meaning_of(rebuilt) is Meaning.DUPLICATE
    assert rebuilt.hint


def test_what_x_made_is_a_post_in_its_place() -> None:
    answered = mention()
    made = made_by(
        reply_step(to=answered),
        Response(status=201, data={"id": "77", "text": "Hello https://t.co/x"}),
    )
    assert made == Post(
        id="77",
        text="Hello https://t.co/x",
        author_id=ME,
        conversation_id=answered.post.id,
        in_reply_to_post_id=answered.post.id,
        in_reply_to_user_id=ADA,
    )


def test_a_reply_to_a_bare_post_stands_in_its_conversation() -> None:
    head = Post(id="70", text="Weather", author_id=ME, conversation_id="70")
    made = made_by(reply_step(to=head), Response(status=201, data={"id": "71"}))
    assert isinstance(made, Post)
    assert (made.text, made.conversation_id, made.in_reply_to_user_id) == ("Hello @ada!", "70", ME)


def test_what_x_made_of_a_message_names_its_conversation() -> None:
    data = {"dm_event_id": "5", "dm_conversation_id": "1-2"}
    made = made_by(message_step("hi"), Response(status=201, data=data))
    assert made == Message(id="5", conversation_id="1-2", text="hi", sender_id=ME)
    bare = made_by(message_step("hi"), Response(status=201, data={"dm_event_id": 5}))
    assert (bare.id, bare.conversation_id) == ("5", "")


@pytest.mark.parametrize(
    "operation", ["deletePosts", "hidePostsReply", "repostPost", "unrepostPost"]
)
def test_what_is_the_same_done_twice_gives_its_target_and_needs_no_person(operation: str) -> None:
    step = msgspec.structs.replace(delete_step("70"), operation=operation)
    made = made_by(step, Response(status=200, data={"deleted": True}))
    assert made == Post(id="70", text="")
    assert is_found_by_reading(operation)


@pytest.mark.parametrize("data", [None, {}, [], "yes", {"id": ""}, {"id": None}, {"text": "hi"}])
def test_a_success_without_an_id_is_no_success(data: object) -> None:
    for step in (post_step(), message_step()):
        with pytest.raises(MalformedAnswer) as raised:
            made_by(step, Response(status=201, data=data))
        assert meaning_of(raised.value) is Meaning.UNKNOWN


def test_what_a_dry_run_makes_up_has_the_texts() -> None:
    post, message = made_up(post_step("hi")), made_up(message_step("hi"))
    assert isinstance(post, Post)
    assert isinstance(message, Message)
    assert post.text == message.text == "hi"


def test_a_call_by_its_operation_id_returns_the_data_of_the_answer() -> None:
    step = msgspec.structs.replace(delete_step(), capability="deletePosts")
    made = made_by(step, Response(status=200, data={"id": "7", "deleted": True}))
    assert made == CallResult(id="7", data={"id": "7", "deleted": True})
    assert made_by(step, Response(status=204)) == CallResult()
    assert made_up(step) == CallResult()
