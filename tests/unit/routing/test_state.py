from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest
from msgspec import Struct

from botkit.errors import Corrupt, WiringError
from botkit.model.events import DirectMessage, Event, GrantRevoked, Mention, Signal, Tick
from botkit.model.records import StateChange, StateRow
from botkit.routing.state import (
    BotState,
    Conversation,
    StateHandle,
    StateParam,
    UserState,
    state_param,
)
from tests.unit.routing.samples import Remind, dm, mention, revoked, unknown


class Case(Struct, frozen=True):
    answers: int = 0


class Renamed(Struct, frozen=True):
    state_name: ClassVar[str] = "Case"

    answers: int = 0
    closed: bool = False


class Thawed(Struct):
    answers: int = 0


class Needy(Struct, frozen=True):
    who: str
    why: str
    answers: int = 0


class Unstorable(Struct, frozen=True):
    what: complex | set[complex] = 0j


class Unnamed(Struct, frozen=True):
    what: Nowhere | None = None  # type: ignore[name-defined]  # noqa: F821


def param(wanted: Any) -> StateParam:
    found = state_param(wanted)
    assert found is not None
    return found


def test_what_was_never_set_is_made_from_the_defaults() -> None:
    case = param(Conversation[Case]).open(mention(), account_id="1")
    assert case.value == Case()
    assert (case.rev, case.changed, case.change()) == (0, False, None)


def test_a_value_that_was_set_is_a_change_of_the_row_that_was_read() -> None:
    case = param(Conversation[Case]).open(
        dm(), StateRow(value=b'{"answers":2}', rev=7), account_id="1"
    )
    assert case.value == Case(answers=2)
    case.value = Case(answers=case.value.answers + 1)
    assert case.changed
    assert case.change() == StateChange(
        scope="conversation/Case", key="1/dm/1-9", value=b'{"answers":3}', expected_rev=7
    )


def test_a_value_that_was_set_back_is_no_change() -> None:
    case = param(BotState[Case]).open(mention(), account_id="1")
    case.value = Case(answers=1)
    case.value = Case()
    assert case.change() is None


def test_loading_again_forgets_what_was_set() -> None:
    case = param(BotState[Case]).open(mention(), account_id="1")
    case.value = Case(answers=1)
    case.load(StateRow(value=b'{"answers":5}', rev=2))
    assert (case.value, case.rev, case.changed) == (Case(answers=5), 2, False)


def test_fields_may_be_added_and_dropped_between_versions() -> None:
    state = param(BotState[Renamed]).open(
        mention(), StateRow(value=b'{"answers":5,"gone":1}', rev=2), account_id="1"
    )
    assert state.value == Renamed(answers=5, closed=False)


@pytest.mark.parametrize("stored", [b'{"answers":"many"}', b"[]", b"{"])
def test_a_row_of_another_shape_is_left_as_it_is(stored: bytes) -> None:
    with pytest.raises(Corrupt, match=r"stored bot/Case of 1 is no Case"):
        param(BotState[Case]).open(mention(), StateRow(value=stored, rev=2), account_id="1")


def test_only_a_value_of_the_class_can_be_set() -> None:
    case = param(BotState[Case]).open(mention(), account_id="1")
    with pytest.raises(TypeError, match="is a Case, not a dict"):
        case.value = {"answers": 1}
    assert repr(case) == "BotState(Case(answers=0))"


def test_rows_are_found_by_account_and_conversation_or_user() -> None:
    conversation, user, bot = (param(kind[Case]) for kind in (Conversation, UserState, BotState))
    assert conversation.row_key(mention(conversation_id="44"), account_id="1") == "1/post/44"
    assert conversation.row_key(mention(), account_id="1") == "1/post/50"
    assert conversation.row_key(dm(), account_id="1") == "1/dm/1-9"
    assert user.row_key(mention(), account_id="1") == "1/9"
    assert user.row_key(dm(), account_id="1") == "1/9"
    assert user.row_key(revoked(), account_id="1") == "1/9"
    assert bot.row_key(unknown(), account_id="1") == "1"


def test_an_event_without_conversation_or_user_has_no_row() -> None:
    with pytest.raises(LookupError, match="UnknownEvent has no conversation"):
        param(Conversation[Case]).row_key(unknown(), account_id="1")
    with pytest.raises(LookupError, match="UnknownEvent has no user"):
        param(UserState[Case]).row_key(unknown(), account_id="1")


def test_a_conversation_of_messages_can_be_written_to() -> None:
    conversation = param(Conversation[Case])
    in_messages = conversation.open(dm(), account_id="1")
    in_posts = conversation.open(mention(), account_id="1")
    assert isinstance(in_messages, Conversation)
    assert isinstance(in_posts, Conversation)
    assert in_messages.dm_conversation_id == "1-9"
    assert in_posts.dm_conversation_id is None


@pytest.mark.parametrize(
    ("wanted", "kinds", "fits"),
    [
        (Conversation[Case], (Mention, DirectMessage, Remind, Signal), True),
        (Conversation[Case], (Tick, GrantRevoked, Event), False),
        (UserState[Case], (Mention, DirectMessage, GrantRevoked, Remind), True),
        (UserState[Case], (Tick, Event), False),
        (BotState[Case], (Tick, Mention, Event), True),
    ],
)
def test_wiring_knows_which_events_have_a_conversation_or_a_user(
    wanted: Any, kinds: tuple[type[Event], ...], *, fits: bool
) -> None:
    assert [param(wanted).fits(kind) for kind in kinds] == [fits] * len(kinds)


def test_rows_are_stored_under_the_class_own_name_or_the_one_it_keeps() -> None:
    class Local(Struct, frozen=True):
        n: int = 0

    assert param(UserState[Case]).scope == "user/Case"
    assert param(UserState[Renamed]).scope == "user/Case"
    assert param(Conversation[Local]).scope == "conversation/Local"
    assert param(Conversation[Local]).wanted == Conversation[Local]


@pytest.mark.parametrize("other", [int, Case, None, dict[str, int], "Conversation", Any])
def test_other_annotations_ask_for_no_state(other: Any) -> None:
    assert state_param(other) is None


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (Conversation, r"Conversation needs the class of its value"),
        (StateHandle[Case], r"StateHandle needs the class"),
        (UserState[int], "int is kept as state, so it must be a msgspec.Struct"),
        (UserState[dict[str, int]], "must be a msgspec.Struct"),
        (UserState[Any], "must be a msgspec.Struct"),
        (UserState[Thawed], "Thawed is kept as state, so it must be frozen"),
        (UserState[Needy], "Needy is kept as state, so every field needs a default: who, why"),
        (UserState[Unstorable], "Unstorable cannot be kept as state"),
        (UserState[Unnamed], "Unnamed cannot be kept as state"),
    ],
)
def test_state_that_cannot_be_kept_is_refused_with_why(wanted: Any, why: str) -> None:
    with pytest.raises(WiringError, match=why):
        state_param(wanted)


def test_what_is_stored_is_plain_json() -> None:
    state = param(BotState[Renamed]).open(mention(), account_id="1")
    state.value = Renamed(answers=1, closed=True)
    change = state.change()
    assert change is not None
    assert change.value is not None
    assert msgspec.json.decode(change.value) == {"answers": 1, "closed": True}


class Loose(Struct, frozen=True):
    call: Any = None
    count: int = 0


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (Loose(call=lambda: 1), "This Loose cannot be stored: Encoding objects of type function"),
        (Loose(count="3"), "This Loose cannot be stored: Expected `int`, got `str`"),  # type: ignore[arg-type]  # the fault
        (Loose(call={1, 2}), "This Loose would not come back from the store as it is"),
    ],
)
def test_a_value_that_cannot_be_stored_is_refused_where_it_is_set(value: Loose, why: str) -> None:
    state = param(BotState[Loose]).open(mention(), account_id="1")
    with pytest.raises(TypeError, match=why):
        state.value = value  # type: ignore[misc]  # the handle of a state can be set
    assert state.value == Loose()
