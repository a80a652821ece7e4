"""The label's nine steps: verified where X shows it, else confirmed by a person."""

from __future__ import annotations

from botkit.model.users import User
from botkit.protocol.rules.label import STEPS, StepState, judge

IDS = [
    "settings",
    "your-account",
    "automation",
    "account-management",
    "choose-account",
    "password",
    "confirmed",
    "bio",
    "contact",
]


def profile(*, automated: bool | None = None, description: str | None = None) -> User:
    return User(
        id="1", username="greeter", name="Greeter", automated=automated, description=description
    )


def test_the_steps_are_nine_and_in_order() -> None:
    assert [step.id for step in STEPS] == IDS


def test_the_steps_whose_reason_is_not_plain_say_it() -> None:
    assert [step.id for step in STEPS if step.why] == [
        "choose-account",
        "confirmed",
        "bio",
        "contact",
    ]


def test_nothing_known_leaves_all_open() -> None:
    label = judge(None, ())
    assert not label.complete
    assert label.done == 0
    assert label.next_step is not None
    assert label.next_step.id == "settings"


def test_a_state_is_shown_by_these_words() -> None:
    assert [str(one) for one in StepState] == ["verified", "confirmed", "open"]


def test_a_label_that_x_shows_verifies_the_first_seven() -> None:
    label = judge(profile(automated=True), ())
    assert [label.states[step] for step in IDS[:7]] == [StepState.VERIFIED] * 7
    assert label.next_step is not None
    assert label.next_step.id == "bio"


def test_absence_of_the_label_proves_nothing_and_confirmations_count() -> None:
    label = judge(profile(automated=False), IDS)
    assert label.complete
    assert label.next_step is None
    assert set(label.states.values()) == {StepState.CONFIRMED}


def test_a_bio_that_names_bot_and_owner_verifies_the_last_two() -> None:
    label = judge(profile(automated=True, description="A bot by @ada"), ())
    assert label.complete


def test_a_bio_that_names_only_itself_names_nobody() -> None:
    label = judge(profile(automated=True, description="A bot: @Greeter"), ())
    assert label.states["bio"] is StepState.OPEN
    assert label.states["contact"] is StepState.OPEN


def test_a_bio_that_names_a_person_without_saying_bot_is_half_done() -> None:
    label = judge(profile(description="Ask @ada"), ())
    assert label.states["bio"] is StepState.OPEN
    assert label.states["contact"] is StepState.VERIFIED
