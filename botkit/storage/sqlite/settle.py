"""How runs of events end, in as few statements as it takes.

Source: rows A2 and D1 of `make bench`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from botkit.errors import Conflict
from botkit.model.records import EventState, RunDead, RunDone, RunRetried
from botkit.storage.sql.event_rows import event_rows
from botkit.storage.sql.values import to_us, to_us_or_none
from botkit.storage.sql.work.ends import tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from botkit.model.records import DeadLetter, RunEnd, StateChange
    from botkit.storage.sql.event_rows import EventRow
    from botkit.storage.sql.transaction import Transaction

__all__ = ["Settlement", "listed", "prepare_settlement", "settle"]

_END_RUN = """
INSERT INTO ended SELECT seq, ?2, ?3, attempts FROM inbox
WHERE queue = ?1 AND seq BETWEEN ?4 AND ?5
"""
_LEAVE_RUN = "DELETE FROM inbox WHERE queue = ?1 AND seq BETWEEN ?2 AND ?3"
# ?1 is a JSON list of numbers: one statement for a whole batch, half the cost of one for each.
_END = """
INSERT INTO ended SELECT i.seq, ?3, ?4, i.attempts
FROM json_each(?1) CROSS JOIN inbox i ON i.queue = ?2 AND i.seq = value
"""
_LEAVE = """
DELETE FROM inbox WHERE queue = ?2 AND seq IN (SELECT value FROM json_each(?1))
"""
_SET_ASIDE = """
UPDATE inbox SET queue = 1, running = 0, not_before = ?2, waiting_for = ?3, reason = ?4,
  attempts = attempts + ?5
WHERE queue IN (0, 1) AND seq = ?1
"""
_BURY = "INSERT INTO dead VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
_WAITS = "SELECT 1 FROM inbox WHERE queue IN (0, 1) AND seq = ?1"
_REVISION = "SELECT rev FROM state WHERE scope = ?1 AND key = ?2"
_FORGET_STATE = "DELETE FROM state WHERE scope = ?1 AND key = ?2"
_SET_STATE = """
INSERT INTO state VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (scope, key) DO UPDATE SET rev = excluded.rev, value = excluded.value
"""


class Settlement(NamedTuple):
    """Ends of runs, sorted by what has to be done."""

    plain: Mapping[tuple[str, str], Sequence[int]]
    """Events whose end changes nothing else, by their state and note."""
    full: Sequence[tuple[RunDone, Sequence[EventRow]]]
    aside: Sequence[tuple[Any, ...]]
    dead: Sequence[tuple[int, DeadLetter]]


def prepare_settlement(ends: Iterable[RunEnd], now_us: int) -> Settlement:
    """Return what `settle` takes; call it outside the writer's thread."""
    plain: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    full: list[tuple[RunDone, Sequence[EventRow]]] = []
    aside: list[tuple[Any, ...]] = []
    dead: list[tuple[int, DeadLetter]] = []
    for end in ends:
        if isinstance(end, RunDone):
            if end.changes or end.emitted:
                full.append((end, event_rows(end.emitted, now_us)))
            else:
                plain[end.state.value, end.note].append(end.seq)
        elif isinstance(end, RunDead):
            dead.append((end.seq, end.letter))
        elif isinstance(end, RunRetried):
            aside.append((end.seq, to_us(end.not_before), "", end.reason, 1))
        else:
            aside.append((end.seq, to_us_or_none(end.until), end.waiting_for, "", 0))
    return Settlement(plain, full, aside, dead)


def settle(transaction: Transaction, settlement: Settlement) -> None:
    """Record the ends. All revisions of state are compared before the first row changes."""
    full = [each for each in settlement.full if _waits(transaction, each[0].seq)]
    _compare(transaction, [change for done, _ in full for change in done.changes])
    ended: Counter[str] = Counter()
    for (state, note), seqs in settlement.plain.items():
        ended[state] += _end(transaction, seqs, state, note)
    for done, emitted in full:
        _apply(transaction, done.changes)
        ended[done.state.value] += _end(transaction, [done.seq], done.state.value, done.note)
        if emitted:
            transaction.record_events(emitted)
    if settlement.aside:
        transaction.executemany(_SET_ASIDE, settlement.aside)
    for seq, letter in settlement.dead:
        if _end(transaction, [seq], EventState.DEAD.value, letter.reason):
            ended[EventState.DEAD.value] += 1
            transaction.execute(_BURY, _letter_row(seq, letter))
    for state, count in ended.items():
        tally(transaction, state, count)


def listed(seqs: Sequence[int]) -> str:
    """Return the numbers as a JSON list."""
    return f"[{','.join(map(str, seqs))}]"


def _end(transaction: Transaction, given: Iterable[int], state: str, note: str) -> int:
    """Move those that wait from the inbox to the ended; return how many did.

    What ends is nearly always in the first queue, and often without a gap.
    """
    seqs = sorted({*given})
    if seqs[-1] - seqs[0] < len(seqs):
        return _end_range(transaction, seqs[0], seqs[-1], state, note)
    numbers, ended = listed(seqs), 0
    for queue in (0, 1):
        ended += transaction.execute(_END, (numbers, queue, state, note)).rowcount
        transaction.execute(_LEAVE, (numbers, queue))
        if ended == len(seqs):
            break
    return ended


def _end_range(transaction: Transaction, first: int, last: int, state: str, note: str) -> int:
    """Do as `_end` does, for all numbers from the first to the last."""
    ended = 0
    for queue in (0, 1):
        ended += transaction.execute(_END_RUN, (queue, state, note, first, last)).rowcount
        transaction.execute(_LEAVE_RUN, (queue, first, last))
        if ended > last - first:
            break
    return ended


def _waits(transaction: Transaction, seq: int) -> bool:
    return transaction.execute(_WAITS, (seq,)).fetchone() is not None


def _compare(transaction: Transaction, changes: Sequence[StateChange]) -> None:
    """Raise `Conflict` unless each change follows the revision that is there by then."""
    revisions: dict[tuple[str, str], int] = {}
    for change in changes:
        place = (change.scope, change.key)
        if place not in revisions:
            row = transaction.execute(_REVISION, place).fetchone()
            revisions[place] = row[0] if row else 0
        if revisions[place] != change.expected_rev:
            raise Conflict(
                f"The state {change.scope}/{change.key} has moved on (revision "
                f"{revisions[place]}, read was {change.expected_rev}); nothing was written."
            )
        revisions[place] = 0 if change.value is None else change.expected_rev + 1


def _apply(transaction: Transaction, changes: Sequence[StateChange]) -> None:
    for change in changes:
        place = (change.scope, change.key)
        if change.value is None:
            transaction.execute(_FORGET_STATE, place)
        else:
            transaction.execute(_SET_STATE, (*place, change.expected_rev + 1, change.value))


def _letter_row(seq: int, letter: DeadLetter) -> tuple[Any, ...]:
    return (
        seq,
        letter.account_id,
        letter.key,
        letter.kind,
        letter.reason,
        letter.error,
        letter.trace,
        letter.handler,
        letter.attempts,
        to_us(letter.at),
    )
