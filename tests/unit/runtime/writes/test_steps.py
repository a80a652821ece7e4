"""A step's key says what it is, never what it says."""

from __future__ import annotations

from botkit.protocol.rules.policy import text_hash
from botkit.runtime.writes.steps import Step
from tests.unit.runtime.writing import ME, delete_step, message_step, post_step, reply_step, usd


def test_the_key_does_not_hold_the_text() -> None:
    assert reply_step("Hello").id == reply_step("Goodbye").id


def test_every_other_part_makes_another_key() -> None:
    changes = [
        {"account_id": "42"},
        {"event_key": "post/2/0"},
        {"run": 1},
        {"handler": "other"},
        {"operation": "deletePosts"},
        {"target": "7"},
        {"n": 1},
    ]
    steps = [reply_step(), *(reply_step(**change) for change in changes)]
    assert len({step.id for step in steps}) == len(steps)


def test_the_journals_row_holds_what_is_needed_to_find_the_write_again() -> None:
    step = reply_step("Hello @ada!")
    row = step.to_write(usd("0.010"))
    assert row.id == step.id
    assert (row.account_id, row.operation, row.target) == (ME, "createPosts", step.target)
    assert (row.event_key, row.run, row.handler) == (step.event_key, 0, "greet")
    assert (row.text, row.text_hash) == ("Hello @ada!", text_hash("Hello @ada!"))
    assert row.interaction == step.target
    assert row.cost_usd == usd("0.010")
    assert b"in_reply_to_tweet_id" in row.body


def test_a_step_without_body_or_text_has_an_empty_one() -> None:
    row = delete_step().to_write()
    assert (row.body, row.text_hash) == (b"", "")


def test_a_dry_runs_row_has_a_key_of_its_own() -> None:
    assert post_step().to_write(prefix="dry-run/").id == f"dry-run/{post_step().id}"


def test_steps_of_different_operations_on_one_target_are_two() -> None:
    ids: set[str] = {step.id for step in (message_step(), message_step(n=1), post_step())}
    assert len(ids) == 3
    assert isinstance(post_step(), Step)
