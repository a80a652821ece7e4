"""The tables, as numbered migrations.

A migration is never edited after a release; the next one is appended. All that are missing run
in one transaction, after a copy of the file. Source: docs/explanation/requirements.md, S6.
"""

from __future__ import annotations

import sqlite3  # noqa: TC003 - kept beside its use, the room is about it
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["APPLICATION_ID", "MIGRATIONS", "PAGE_BYTES", "migrate", "version_of"]

APPLICATION_ID = 0x626F744B
"""`botK` in the file's header: says that a file is a store of botkit."""
PAGE_BYTES = 4096
"""The file's length is a multiple of it."""

_FIRST = """
CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE event (
  seq INTEGER PRIMARY KEY,
  account_id TEXT NOT NULL,
  key TEXT NOT NULL,
  kind TEXT NOT NULL,
  lane TEXT NOT NULL,
  source TEXT NOT NULL,
  cause TEXT NOT NULL,
  at INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'dead', 'dropped')),
  note TEXT NOT NULL DEFAULT '',
  attempts INTEGER NOT NULL DEFAULT 0,
  run INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX event_key ON event (key, account_id);
CREATE INDEX event_finished ON event (recorded_at) WHERE state IN ('done', 'dropped');

CREATE TABLE body (
  seq INTEGER PRIMARY KEY,
  body BLOB NOT NULL
);

-- queue 0: due now or once its time has come; queue 1: set aside until a time or a cause
CREATE TABLE inbox (
  queue INTEGER NOT NULL CHECK (queue IN (0, 1)),
  seq INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  unclean INTEGER NOT NULL DEFAULT 0,
  running INTEGER NOT NULL DEFAULT 0 CHECK (running IN (0, 1)),
  not_before INTEGER,
  waiting_for TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (queue, seq)
) WITHOUT ROWID;
CREATE INDEX inbox_time ON inbox (queue, not_before) WHERE not_before IS NOT NULL;
CREATE INDEX inbox_parked ON inbox (waiting_for) WHERE waiting_for != '';
CREATE INDEX inbox_running ON inbox (seq) WHERE running = 1;

CREATE TABLE dead (
  seq INTEGER PRIMARY KEY,
  account_id TEXT NOT NULL,
  key TEXT NOT NULL,
  kind TEXT NOT NULL,
  reason TEXT NOT NULL,
  error TEXT NOT NULL,
  trace TEXT NOT NULL,
  handler TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  at INTEGER NOT NULL
);
CREATE INDEX dead_at ON dead (at);

CREATE TABLE state (
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  rev INTEGER NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (scope, key)
) WITHOUT ROWID;

CREATE TABLE memo (
  event_key TEXT NOT NULL,
  account_id TEXT NOT NULL,
  run INTEGER NOT NULL,
  handler TEXT NOT NULL,
  name TEXT NOT NULL,
  n INTEGER NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (event_key, account_id, run, handler, name, n)
) WITHOUT ROWID;

CREATE TABLE write (
  no INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  account_id TEXT NOT NULL,
  operation TEXT NOT NULL,
  target TEXT NOT NULL,
  body BLOB NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('QUEUED', 'SENDING', 'CONFIRMED', 'REJECTED', 'UNCERTAIN',
    'ABSENT', 'UNRESOLVED', 'EXPIRED')),
  event_key TEXT NOT NULL,
  run INTEGER NOT NULL,
  handler TEXT NOT NULL,
  text TEXT NOT NULL,
  text_hash TEXT NOT NULL,
  interaction TEXT NOT NULL,
  policy TEXT NOT NULL CHECK (policy IN ('reconcile', 'hold', 'resend')),
  cost_usd TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  first_sent_at INTEGER,
  last_sent_at INTEGER,
  next_read_at INTEGER,
  reads INTEGER NOT NULL DEFAULT 0,
  clean_reads INTEGER NOT NULL DEFAULT 0,
  first_clean_at INTEGER,
  last_clean_at INTEGER,
  result_id TEXT NOT NULL DEFAULT '',
  result BLOB,
  reason TEXT NOT NULL DEFAULT '',
  expires_at INTEGER
);
CREATE INDEX write_state ON write (state, created_at);
CREATE INDEX write_result ON write (account_id, result_id) WHERE result_id != '';
CREATE INDEX write_interaction ON write (account_id, interaction) WHERE interaction != '';
CREATE INDEX write_text ON write (account_id, text_hash, target) WHERE text_hash != '';

CREATE TABLE attempt (
  write_id TEXT NOT NULL,
  n INTEGER NOT NULL,
  started INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  outcome TEXT NOT NULL DEFAULT '',
  ended INTEGER,
  PRIMARY KEY (write_id, n)
) WITHOUT ROWID;

CREATE TABLE account (
  no INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  username TEXT NOT NULL COLLATE NOCASE,
  name TEXT NOT NULL,
  app TEXT NOT NULL
);

CREATE TABLE credential (
  account_id TEXT NOT NULL,
  app TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('OAuth2UserToken', 'UserToken', 'BearerToken')),
  gen INTEGER NOT NULL,
  sealed BLOB NOT NULL,
  user_id TEXT NOT NULL,
  username TEXT NOT NULL,
  scopes TEXT NOT NULL,
  level TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('OK', 'UNCERTAIN', 'DEAD', 'CONFIG')),
  reason TEXT NOT NULL,
  since INTEGER NOT NULL,
  granted_at INTEGER NOT NULL,
  access_until INTEGER,
  last_success INTEGER,
  config_fingerprint TEXT NOT NULL,
  intent_id TEXT NOT NULL DEFAULT '',
  intent_gen INTEGER,
  intent_refresh_hash TEXT,
  intent_owner TEXT,
  intent_boot_id TEXT,
  intent_started INTEGER,
  intent_sent INTEGER NOT NULL DEFAULT 0 CHECK (intent_sent IN (0, 1)),
  spent_hash TEXT NOT NULL DEFAULT '',
  reserve BLOB,
  PRIMARY KEY (account_id, app, kind)
);

CREATE TABLE user (
  id TEXT PRIMARY KEY,
  username TEXT NOT NULL,
  body BLOB NOT NULL,
  fetched_at INTEGER NOT NULL
);

CREATE TABLE opt_out (
  account_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (account_id, user_id)
) WITHOUT ROWID;

CREATE TABLE mark (
  account_id TEXT NOT NULL,
  step TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (account_id, step)
) WITHOUT ROWID;

CREATE TABLE lease (
  name TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  until INTEGER NOT NULL,
  ttl INTEGER NOT NULL,
  lock INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE checkpoint (
  source TEXT NOT NULL,
  account_id TEXT NOT NULL,
  cursor TEXT NOT NULL,
  PRIMARY KEY (source, account_id)
) WITHOUT ROWID;

CREATE TABLE gap (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  source TEXT NOT NULL,
  account_id TEXT NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER,
  state TEXT NOT NULL,
  reason TEXT NOT NULL
);

CREATE TABLE schedule (
  id TEXT NOT NULL,
  account_id TEXT NOT NULL,
  spec TEXT NOT NULL,
  next_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, id)
) WITHOUT ROWID;

CREATE TABLE report (
  part TEXT PRIMARY KEY,
  state TEXT NOT NULL,
  detail TEXT NOT NULL,
  at INTEGER NOT NULL,
  data TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE budget (
  account_id TEXT NOT NULL,
  hour INTEGER NOT NULL,
  reads_usd TEXT NOT NULL,
  writes_usd TEXT NOT NULL,
  calls INTEGER NOT NULL,
  PRIMARY KEY (account_id, hour)
) WITHOUT ROWID
"""

_ALIASES = """
ALTER TABLE account ADD COLUMN alias TEXT NOT NULL DEFAULT '' COLLATE NOCASE
"""

_INVITATIONS = """
CREATE TABLE invitation (
  no INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  secret_hash BLOB NOT NULL,
  app TEXT NOT NULL,
  account TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  held_by TEXT NOT NULL DEFAULT '',
  held_until INTEGER,
  used_at INTEGER,
  used_by TEXT NOT NULL DEFAULT '',
  revoked_at INTEGER
)
"""

_ENDED = """
CREATE TABLE ended (
  seq INTEGER PRIMARY KEY,
  state TEXT NOT NULL CHECK (state IN ('done', 'dead', 'dropped')),
  note TEXT NOT NULL,
  attempts INTEGER NOT NULL
);
INSERT INTO ended
SELECT seq, state, note, attempts FROM event WHERE state != 'waiting' ORDER BY seq;

CREATE TABLE recorded (
  seq INTEGER PRIMARY KEY,
  account_id TEXT NOT NULL,
  key TEXT NOT NULL,
  kind TEXT NOT NULL,
  lane TEXT NOT NULL,
  source TEXT NOT NULL,
  cause TEXT NOT NULL,
  at INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL,
  run INTEGER NOT NULL DEFAULT 0,
  body BLOB NOT NULL
);
INSERT INTO recorded
SELECT e.seq, e.account_id, e.key, e.kind, e.lane, e.source, e.cause, e.at, e.recorded_at, e.run,
  b.body
FROM event e JOIN body b ON b.seq = e.seq ORDER BY e.seq;
DROP TABLE event;
DROP TABLE body;
ALTER TABLE recorded RENAME TO event;
CREATE UNIQUE INDEX event_key ON event (key, account_id);
CREATE INDEX event_recorded ON event (recorded_at);
DROP INDEX inbox_running
"""
"""An event's row is written once; how it ended is a row of its own, which costs a quarter.

What ran is looked for at a start only, in an inbox that is bounded: no index is kept for that.
"""

_TALLY = """
CREATE TABLE tally (
  state TEXT PRIMARY KEY,
  events INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO tally VALUES
  ('done', (SELECT count(*) FROM ended WHERE state = 'done')),
  ('dead', (SELECT count(*) FROM ended WHERE state = 'dead')),
  ('dropped', (SELECT count(*) FROM ended WHERE state = 'dropped'))
"""
"""How many rows `ended` has in each state: a week of them is too many to count every moment."""

_READ_TO = """
ALTER TABLE checkpoint ADD COLUMN read_to INTEGER;
CREATE INDEX checkpoint_account ON checkpoint (account_id, read_to)
"""
"""`read_to`: the time, by X's clock, before which a source has read everything."""

_OPT_OUTS = """
ALTER TABLE opt_out ADD COLUMN username TEXT NOT NULL DEFAULT '';
ALTER TABLE opt_out ADD COLUMN cause TEXT NOT NULL DEFAULT ''
"""

_ORIGINS = """
ALTER TABLE credential ADD COLUMN origin TEXT NOT NULL DEFAULT '';
ALTER TABLE credential ADD COLUMN client_id TEXT NOT NULL DEFAULT ''
"""
"""The origin of a login. Older rows have neither column set: they came from X itself."""

_GAPS = """
ALTER TABLE gap ADD COLUMN cause TEXT NOT NULL DEFAULT 'disconnected';
ALTER TABLE gap ADD COLUMN tried TEXT NOT NULL DEFAULT '';
UPDATE gap SET state = 'closed', until = coalesce(until, since)
"""
"""The cause of a gap, and the means that failed to read it."""

_BILLED = """
CREATE TABLE billed (
  day INTEGER NOT NULL,
  app TEXT NOT NULL,
  resource TEXT NOT NULL,
  PRIMARY KEY (day, app, resource)
) WITHOUT ROWID
"""
"""The resources charged to an app by UTC day (from 1970): X charges each once a day."""

_LATE = """
CREATE TABLE finished (
  seq INTEGER PRIMARY KEY,
  state TEXT NOT NULL CHECK (state IN ('done', 'dead', 'dropped', 'late')),
  note TEXT NOT NULL,
  attempts INTEGER NOT NULL
);
INSERT INTO finished SELECT seq, state, note, attempts FROM ended ORDER BY seq;
DROP TABLE ended;
ALTER TABLE finished RENAME TO ended;
INSERT INTO tally VALUES ('late', 0);
ALTER TABLE inbox ADD COLUMN asked INTEGER NOT NULL DEFAULT 0
"""
"""The state of an event that arrived too late; a person can put it back into the inbox."""

_OWN_POSTS = """
CREATE TABLE own_post (
  account_id TEXT NOT NULL,
  post_id TEXT NOT NULL,
  target TEXT NOT NULL,
  body BLOB NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (account_id, target, post_id)
) WITHOUT ROWID
"""
"""An account's posts that no write of this store made, so that no post is answered twice."""

_WRITES_OF_EVENT = """
CREATE INDEX IF NOT EXISTS write_event ON write (event_key, account_id) WHERE event_key != ''
"""
"""For `events show` and `events retry`, which find the writes of one event."""

_OPEN_READS = """
CREATE TABLE open_read (
  day INTEGER NOT NULL,
  app TEXT NOT NULL,
  account_id TEXT NOT NULL,
  request TEXT NOT NULL,
  at INTEGER NOT NULL,
  most_usd TEXT NOT NULL,
  given_up INTEGER NOT NULL,
  PRIMARY KEY (day, app, account_id, request)
) WITHOUT ROWID
"""
"""The reads that were sent and whose answer, which tells X's charge, is not there."""

_ANSWERS = """
CREATE TABLE answer (
  no INTEGER PRIMARY KEY,
  account_id TEXT NOT NULL,
  thread TEXT NOT NULL,
  at INTEGER NOT NULL
)
"""
"""The replies of the last days by conversation and author, for the limit that ends loops."""

MIGRATIONS: tuple[str, ...] = (
    _FIRST,
    _ALIASES,
    _INVITATIONS,
    _ENDED,
    _TALLY,
    _READ_TO,
    _OPT_OUTS,
    _ORIGINS,
    _GAPS,
    _BILLED,
    _LATE,
    _OWN_POSTS,
    _WRITES_OF_EVENT,
    _OPEN_READS,
    _ANSWERS,
)
"""Migration n (from 1) makes version n of the schema out of version n - 1."""


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of the schema that the file has; 0 for none."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Run what is missing; the caller has begun the transaction and commits it."""
    for number in range(version_of(connection) + 1, len(migrations) + 1):
        for statement in migrations[number - 1].split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
