-- Times are microseconds since 1970-01-01 UTC.

-- Schedules as the daemon saw them first: fires up to `since` are none of its business.
CREATE TABLE schedules (
    job      TEXT    PRIMARY KEY,
    schedule TEXT    NOT NULL,
    since    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Fires that a daemon has dealt with. That a row can be put once only is what makes each of them run once.
CREATE TABLE fires (
    job        TEXT    NOT NULL,
    due        INTEGER NOT NULL,
    state      TEXT    NOT NULL,
    holder     TEXT    NOT NULL,
    claimed_at INTEGER NOT NULL,
    ended_at   INTEGER,
    -- It stands for earlier ones too.
    collapsed  INTEGER NOT NULL,
    reason     TEXT,
    PRIMARY KEY (job, due)
) STRICT, WITHOUT ROWID;
