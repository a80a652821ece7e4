from __future__ import annotations

from datetime import UTC, datetime

import pytest

from botkit.errors import AccessDenied, LevelTooLow, MissingScope, WrongCredential
from botkit.model.tokens import CredentialKind
from botkit.protocol.api.operations import all_operations, operation
from botkit.protocol.rules.access import (
    ALWAYS,
    CAPABILITIES,
    DEFAULT_MAY,
    WITHOUT_ACTION,
    call_fault,
    choose_credential,
    dated,
    is_known_level,
    is_level_refusal,
    kind_of,
    level_hint,
    level_needed,
    named,
    operations_for,
    scopes_for,
)

OAUTH2, OAUTH1, BEARER = CredentialKind.OAUTH2, CredentialKind.OAUTH1, CredentialKind.APP_ONLY
GRANTED = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
WRITER = ("tweet.read", "tweet.write", "users.read", "offline.access")


def test_a_bot_that_says_nothing_asks_for_four_scopes_in_this_order() -> None:
    assert scopes_for(DEFAULT_MAY) == (
        "tweet.read",
        "tweet.write",
        "users.read",
        "offline.access",
    )


@pytest.mark.parametrize(
    ("may", "scopes"),
    [
        ((), "tweet.read users.read offline.access"),
        (("reply",), "tweet.read tweet.write users.read offline.access"),
        (("message",), "tweet.read users.read offline.access dm.read dm.write"),
        (
            ("message", "post"),
            "tweet.read tweet.write users.read offline.access dm.read dm.write",
        ),
        (
            ("hide", "media"),
            "tweet.read tweet.moderate.write users.read offline.access media.write",
        ),
        (("bookmark",), "tweet.read users.read offline.access bookmark.write"),
    ],
)
def test_scopes_are_the_fewest_that_do_and_in_xs_order(may: tuple[str, ...], scopes: str) -> None:
    assert " ".join(scopes_for(may)) == scopes


def test_what_the_bot_listens_to_adds_its_scopes() -> None:
    assert scopes_for((), source_operations=["getDirectMessagesEvents"]) == (
        "tweet.read",
        "users.read",
        "offline.access",
        "dm.read",
    )


def test_a_word_that_is_no_capability_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="like"):
        scopes_for(["like"])


def test_every_capability_calls_operations_that_x_has() -> None:
    for operation_id in operations_for(CAPABILITIES):
        assert operation(operation_id).id == operation_id
    assert operations_for(["post", "reply"]) == ("createPosts",)


@pytest.mark.parametrize(
    ("word", "operations"),
    [
        ("post", "createPosts"),
        ("reply", "createPosts"),
        (
            "message",
            """
            createDirectMessagesByParticipantId createDirectMessagesByConversationId
            getDirectMessagesEvents getDirectMessagesEventsByParticipantId
            getDirectMessagesEventsByConversationId
            """,
        ),
        (
            "media",
            """
            mediaUpload initializeMediaUpload appendMediaUpload finalizeMediaUpload
            getMediaUploadStatus createMediaMetadata
            """,
        ),
        ("repost", "repostPost unrepostPost"),
        ("delete", "deletePosts"),
        ("hide", "hidePostsReply"),
        ("bookmark", "createUsersBookmark deleteUsersBookmark"),
        ("list", "createLists updateLists deleteLists addListsMember removeListsMemberByUserId"),
        ("mute", "muteUser unmuteUser"),
    ],
)
def test_each_word_calls_these_operations_and_no_others(word: str, operations: str) -> None:
    assert operations_for([word]) == tuple(operations.split())


def test_every_bot_reads_itself_and_posts_and_its_own_timeline() -> None:
    assert ALWAYS == ("getUsersMe", "getPostsById", "getUsersPosts")


def test_the_words_that_no_bot_can_do_yet_are_all_but_three() -> None:
    assert set(CAPABILITIES) - WITHOUT_ACTION == {"post", "reply", "message"}


def test_the_scopes_of_all_operations_stand_in_xs_order() -> None:
    every = [one.id for one in all_operations()]
    assert scopes_for((), source_operations=every) == (
        "tweet.read",
        "tweet.write",
        "tweet.moderate.write",
        "users.read",
        "follows.read",
        "follows.write",
        "offline.access",
        "space.read",
        "mute.read",
        "mute.write",
        "like.read",
        "like.write",
        "list.read",
        "list.write",
        "block.read",
        "bookmark.read",
        "bookmark.write",
        "dm.read",
        "dm.write",
        "media.write",
        "timeline.read",
        "broadcast.read",
        "broadcast.write",
    )


@pytest.mark.parametrize(
    ("operation_id", "level"),
    [
        ("getUsersMe", "read"),
        ("createPosts", "read-write"),
        ("getDirectMessagesEvents", "read-write-directmessages"),
        ("createDirectMessagesByParticipantId", "read-write-directmessages"),
        ("createActivitySubscription", "read"),
    ],
)
def test_the_level_needed_is_that_of_xs_console(operation_id: str, level: str) -> None:
    assert level_needed(operation(operation_id)) == level


@pytest.mark.parametrize(
    ("operation_id", "holdings", "chosen"),
    [
        ("createPosts", {OAUTH2: WRITER}, OAUTH2),
        ("createPosts", {OAUTH1: ("read-write",), OAUTH2: WRITER, BEARER: ()}, OAUTH2),
        ("createPosts", {OAUTH1: ("read-write",)}, OAUTH1),
        ("createPosts", {OAUTH1: ("READ-WRITE ",)}, OAUTH1),
        ("createPosts", {OAUTH1: ()}, OAUTH1),
        ("createPosts", {OAUTH1: ("",)}, OAUTH1),
        ("createPosts", {OAUTH1: ("something-new",)}, OAUTH1),
        ("createPosts", {OAUTH2: ("tweet.read",), OAUTH1: ("read-write",)}, OAUTH1),
        ("getDirectMessagesEvents", {OAUTH1: ("read-write-privatemessages",)}, OAUTH1),
        ("getUsersMentions", {BEARER: ()}, BEARER),
        ("getUsersMentions", {BEARER: (), OAUTH2: ("tweet.read",)}, BEARER),
        ("activityStream", {BEARER: (), OAUTH2: WRITER}, BEARER),
        ("getOpenApiSpec", {BEARER: ()}, BEARER),
    ],
)
def test_the_first_credential_that_reaches_is_chosen(
    operation_id: str,
    holdings: dict[CredentialKind, tuple[str, ...]],
    chosen: CredentialKind,
) -> None:
    assert choose_credential(operation_id, holdings) is chosen


@pytest.mark.parametrize(
    ("holdings", "resting", "chosen"),
    [
        ({OAUTH2: WRITER, OAUTH1: ("read-write",)}, {OAUTH2}, OAUTH1),
        ({OAUTH2: WRITER, OAUTH1: ("read-write",)}, {OAUTH1}, OAUTH2),
        ({OAUTH2: WRITER, OAUTH1: ("read-write",)}, {OAUTH1, OAUTH2}, OAUTH2),
        ({OAUTH2: WRITER, OAUTH1: ("read",)}, {OAUTH2}, OAUTH2),
        ({OAUTH1: ()}, {OAUTH1}, OAUTH1),
    ],
)
def test_one_that_cannot_be_used_now_is_passed_over_while_another_one_reaches(
    holdings: dict[CredentialKind, tuple[str, ...]],
    resting: set[CredentialKind],
    chosen: CredentialKind,
) -> None:
    assert choose_credential("createPosts", holdings, resting=resting) is chosen


def test_the_app_does_not_read_for_an_account_whose_login_rests() -> None:
    held = {OAUTH1: ("read-write",), BEARER: ()}
    assert choose_credential("getUsersMentions", held) is OAUTH1
    assert choose_credential("getUsersMentions", held, resting={OAUTH1}) is OAUTH1


@pytest.mark.parametrize(
    ("holdings", "kind"),
    [({OAUTH2: ()}, OAUTH2), ({OAUTH1: ("read",)}, OAUTH1), ({BEARER: ()}, None)],
)
def test_a_refusal_tells_which_kind_it_is_about(
    holdings: dict[CredentialKind, tuple[str, ...]], kind: CredentialKind | None
) -> None:
    with pytest.raises(AccessDenied) as error:
        choose_credential("createPosts", holdings)
    assert kind_of(error.value) is kind


def test_a_dated_refusal_names_the_time_of_the_grant_and_the_command() -> None:
    with pytest.raises(MissingScope) as error:
        choose_credential("createPosts", {OAUTH2: ("tweet.read",)})
    told = dated(error.value, granted_at=GRANTED, command="botkit setup --account greeter")
    assert isinstance(told, MissingScope)
    assert told.message.endswith("It was authorized on 2026-11-20T08:30:00Z.")
    assert "`botkit setup --account greeter`" in told.cure
    assert (told.operation, told.have, told.need) == (
        error.value.operation,
        error.value.have,
        error.value.need,
    )


def test_a_refusal_that_is_about_no_login_names_the_command_for_the_account() -> None:
    with pytest.raises(WrongCredential) as error:
        choose_credential("createPosts", {BEARER: ()})
    told = named(error.value, "greeter")
    assert isinstance(told, WrongCredential)
    assert told.cure == "Run `botkit setup --account greeter` and authorize the account."
    assert told.message == error.value.message


@pytest.mark.parametrize(
    ("problem_type", "codes", "is_so"),
    [
        ("oauth1-permissions", (), True),
        ("about:blank", (261,), True),
        ("", (187, 93), True),
        ("about:blank", (187,), False),
    ],
)
def test_xs_refusal_for_the_level_is_told_by_its_type_or_its_code(
    problem_type: str, codes: tuple[int, ...], *, is_so: bool
) -> None:
    assert is_level_refusal(problem_type, codes) is is_so


def test_the_hint_for_a_level_says_that_the_console_does_not_reach_old_tokens() -> None:
    hint = level_hint(GRANTED, "botkit setup --oauth1 --account greeter")
    assert "authorized on 2026-11-20T08:30:00Z" in hint
    assert "whatever X's console says now" in hint
    assert hint.endswith("`botkit setup --oauth1 --account greeter`.")


def test_a_missing_scope_names_operation_have_need_and_cure() -> None:
    with pytest.raises(
        MissingScope, match=r"createPosts .* needs the scope tweet\.write"
    ) as error:
        choose_credential("createPosts", {OAUTH2: ("tweet.read", "users.read"), BEARER: ()})
    assert error.value.operation == "createPosts"
    assert error.value.have == ("tweet.read", "users.read")
    assert error.value.need == ("tweet.read", "tweet.write", "users.read")
    assert "botkit setup" in error.value.cure


def test_a_login_without_any_scope_is_said_to_have_none() -> None:
    with pytest.raises(MissingScope, match="the login has none"):
        choose_credential("createPosts", {OAUTH2: ()})


@pytest.mark.parametrize(
    ("operation_id", "level", "need", "console"),
    [
        ("createPosts", "read", "read-write", '"Read and write"'),
        (
            "getDirectMessagesEvents",
            "read-write",
            "read-write-directmessages",
            '"Read, write, and Direct Messages"',
        ),
    ],
)
def test_a_level_too_low_names_the_level_and_xs_name_for_it(
    operation_id: str, level: str, need: str, console: str
) -> None:
    with pytest.raises(LevelTooLow) as error:
        choose_credential(operation_id, {OAUTH1: (level,)})
    assert error.value.operation == operation_id
    assert error.value.have == (level,)
    assert error.value.need == (need,)
    assert console in error.value.cure


def test_the_first_credential_that_does_not_reach_is_the_one_complained_of() -> None:
    with pytest.raises(MissingScope):
        choose_credential("createPosts", {OAUTH1: ("read",), OAUTH2: ("tweet.read",)})


@pytest.mark.parametrize(
    ("operation_id", "holdings", "cure"),
    [
        ("createPosts", {BEARER: ()}, "botkit setup"),
        ("createPosts", {}, "botkit setup"),
        ("activityStream", {OAUTH2: WRITER}, "bearer_token"),
    ],
)
def test_a_kind_that_is_not_held_is_a_wrong_credential_with_its_cure(
    operation_id: str, holdings: dict[CredentialKind, tuple[str, ...]], cure: str
) -> None:
    with pytest.raises(WrongCredential) as error:
        choose_credential(operation_id, holdings)
    assert cure in error.value.cure
    assert error.value.have == tuple(str(kind) for kind in holdings)
    assert error.value.need == tuple(str(kind) for kind in operation(operation_id).kinds)


@pytest.mark.parametrize("word", ["createUsersBookmark", "muteUser", "getUsersFollowers"])
def test_an_operation_of_x_is_a_word_for_call(word: str) -> None:
    assert call_fault(word) == ""
    assert operations_for([word]) == (word,)


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("fly", "no such word"),
        ("createPosts", "act.reply"),
        ("createDirectMessagesByParticipantId", "act.message"),
        ("createDirectMessagesConversation", "unsolicited"),
        ("createDirectMessagesByConversationId", "act.message"),
        ("likePost", "forbids automated likes"),
        ("unlikePost", "forbids automated likes"),
        ("followUser", "forbids automated likes and follows"),
        ("unfollowUser", "forbids automated likes and follows"),
        ("activityStream", "no account can call"),
        ("createComplianceJobs", "no account can call"),
    ],
)
def test_what_may_not_be_called_is_refused_with_why(word: str, why: str) -> None:
    assert why in call_fault(word)


@pytest.mark.parametrize("level", ["read", "read-write", "read-write-privatemessages"])
def test_each_level_that_x_documents_is_known(level: str) -> None:
    assert is_known_level(level)
    assert not is_known_level(f"{level}-x")
