"""The table of a write's moves has no way out of an answer and no second way into sending."""

from __future__ import annotations

import pytest

from botkit.model.records import WriteState
from botkit.model.write_moves import ALLOWED_MOVES, MAY_HAVE_HAPPENED, stays


def test_only_a_begin_leads_to_sending() -> None:
    assert set(WriteState) - ALLOWED_MOVES.keys() == {WriteState.SENDING}


def test_nothing_follows_a_confirmed_write() -> None:
    after = {to for to, before in ALLOWED_MOVES.items() if WriteState.CONFIRMED in before}
    assert after == {WriteState.CONFIRMED}


@pytest.mark.parametrize("final", [WriteState.REJECTED, WriteState.EXPIRED])
def test_a_write_that_was_given_up_is_not_sent_again(final: WriteState) -> None:
    assert final not in ALLOWED_MOVES[WriteState.QUEUED]


def test_only_what_was_being_sent_comes_into_doubt() -> None:
    doubted = {WriteState.SENDING, WriteState.UNCERTAIN}
    assert ALLOWED_MOVES[WriteState.UNCERTAIN] == doubted
    assert doubted < set(MAY_HAVE_HAPPENED)


def test_a_move_that_was_made_is_not_made_again_unless_it_is_a_doubt() -> None:
    assert [state for state in WriteState if not stays(state, state)] == [WriteState.UNCERTAIN]
    assert not stays(WriteState.SENDING, WriteState.QUEUED)
