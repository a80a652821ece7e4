"""Take a deleted post out of the store, in one transaction, and leave what proves the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from botkit.model.records import PostForgotten
from botkit.protocol.events.deleted_posts import event_without_content, post_without_content
from botkit.storage.sql.work.ends import drop

if TYPE_CHECKING:
    from botkit.storage.sql.transaction import Transaction

__all__ = ["forget_post"]

_NOTE: Final = "its post was deleted"
_REASON: Final = "the post that it answers was deleted"
# The character after "/" is "0": a range of keys, because it uses the index, which LIKE does not.
_EVENTS = """
SELECT e.seq, e.key, e.kind, e.body, d.state, coalesce(i.running, 0)
FROM event e LEFT JOIN ended d ON d.seq = e.seq
LEFT JOIN inbox i ON i.queue IN (0, 1) AND i.seq = e.seq
WHERE e.account_id = ?1 AND (e.key >= ?2 || '/' AND e.key < ?2 || '0')
"""
_REQUESTS = """
SELECT e.seq, e.kind, e.body FROM event e JOIN write w
  ON w.event_key = e.key AND w.account_id = e.account_id
WHERE w.account_id = ?1 AND w.result_id = ?2 AND w.result_id != '' AND w.operation = 'createPosts'
  AND e.kind = 'post_request'
"""
_QUEUED = """
SELECT id FROM write WHERE account_id = ?1 AND target = ?2 AND operation = 'createPosts'
  AND state IN ('QUEUED', 'ABSENT') ORDER BY no
"""
_MADE = """
SELECT id, result FROM write
WHERE account_id = ?1 AND result_id = ?2 AND result_id != '' AND operation = 'createPosts'
"""
_OWN = "SELECT target, body FROM own_post WHERE account_id = ?1 AND post_id = ?2"
_SET_BODY = "UPDATE event SET body = ?2 WHERE seq = ?1"
_FORGET_RESULTS = "DELETE FROM memo WHERE account_id = ?1 AND event_key = ?2"
_EXPIRE = "UPDATE write SET state = 'EXPIRED', reason = ?2, next_read_at = NULL WHERE id = ?1"
_EMPTY = "UPDATE write SET text = '', body = ?2, result = ?3 WHERE id = ?1"
_SET_OWN = """
UPDATE own_post SET body = ?4 WHERE account_id = ?1 AND post_id = ?2 AND target = ?3
"""


def forget_post(transaction: Transaction, account_id: str, post_id: str) -> PostForgotten:
    """Do as `botkit.ports.journal.Events.forget_post` says."""
    transaction.scrub = True
    ended = [
        key
        for prefix in ("post", "match")
        for key in _forget_events(transaction, account_id, f"{prefix}/{post_id}")
    ]
    for seq, kind, body in transaction.execute(_REQUESTS, (account_id, post_id)).fetchall():
        transaction.execute(_SET_BODY, (seq, event_without_content(kind, body)))
    for write_id, result in transaction.execute(_MADE, (account_id, post_id)).fetchall():
        bare = post_without_content(result or b"")
        transaction.execute(_EMPTY, (write_id, b"{}", bare))
    for target, body in transaction.execute(_OWN, (account_id, post_id)).fetchall():
        transaction.execute(_SET_OWN, (account_id, post_id, target, post_without_content(body)))
    queued = [row[0] for row in transaction.execute(_QUEUED, (account_id, post_id)).fetchall()]
    transaction.executemany(_EXPIRE, [(write_id, _REASON) for write_id in queued])
    return PostForgotten(ended=tuple(ended), dropped_writes=tuple(queued))


def _forget_events(transaction: Transaction, account_id: str, key: str) -> list[str]:
    """Empty the post's events; return the keys of those that this has ended."""
    ended: list[str] = []
    found = transaction.execute(_EVENTS, (account_id, key)).fetchall()
    for seq, name, kind, body, state, is_running in found:
        transaction.execute(_SET_BODY, (seq, event_without_content(kind, body)))
        transaction.execute(_FORGET_RESULTS, (account_id, name))
        if state in (None, "dead", "late") and not is_running:
            drop(transaction, seq, state, _NOTE)
            ended.append(name)
    return ended
