-- SPDX-License-Identifier: Apache-2.0
-- The database of breakerd, version 3 (PRAGMA user_version). Instants are
-- wall-clock milliseconds since 1970; words are those of the protocol.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

-- A generation leaps for all services at once: meta's number 'leaps' says how often
-- that was, the column how often its row has it. Column stats: a JSON object, what is
-- counted for metrics, zeros left out.
CREATE TABLE services (
    name              TEXT PRIMARY KEY,
    state             TEXT NOT NULL,
    reason            TEXT NOT NULL,
    generation        INTEGER NOT NULL,
    failed_rounds     INTEGER NOT NULL,
    open_until_ms     INTEGER NOT NULL, -- 0: not open
    hold_until_ms     INTEGER NOT NULL, -- 0: not held
    override_mode     TEXT,             -- NULL: none
    override_until_ms INTEGER,          -- NULL: no end
    override_reason   TEXT,
    override_actor    TEXT,
    counters          TEXT NOT NULL,    -- JSON object, name to count
    saved_ms          INTEGER NOT NULL,
    stats             TEXT NOT NULL DEFAULT '{}',
    leaps             INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE settings (
    service TEXT NOT NULL,
    key     TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (service, key)
) WITHOUT ROWID;

CREATE TABLE forgotten (
    seq        INTEGER PRIMARY KEY, -- in the order they were forgotten
    name       TEXT NOT NULL UNIQUE,
    generation INTEGER NOT NULL
);

CREATE TABLE history (
    seq        INTEGER PRIMARY KEY,
    at_ms      INTEGER NOT NULL,
    service    TEXT NOT NULL,
    from_state TEXT NOT NULL,
    to_state   TEXT NOT NULL,
    mode       TEXT NOT NULL,
    reason     TEXT NOT NULL,
    generation INTEGER NOT NULL,
    actor      TEXT NOT NULL,
    text       TEXT NOT NULL
);
CREATE INDEX history_by_service ON history (service, seq);
