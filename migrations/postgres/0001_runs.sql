-- Names and ids compare byte by byte (COLLATE "C"), as everywhere in Nightmark. Columns of type json keep their text as it was written.

CREATE TABLE runs (
    id             text        COLLATE "C" PRIMARY KEY,
    job            text        COLLATE "C" NOT NULL,
    state          text        NOT NULL,
    started_at     timestamptz NOT NULL,
    finished_at    timestamptz,
    counts         json        NOT NULL,
    reason         text,
    -- What delivery had to say.
    report         json,
    -- What was known of the run's single rows is forgotten, so that any of them may have been applied.
    rows_forgotten boolean     NOT NULL DEFAULT false
);
CREATE INDEX runs_by_time ON runs (started_at, id);
CREATE INDEX runs_by_job ON runs (job, started_at, id);

CREATE TABLE run_events (
    run_id text        COLLATE "C" NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    number bigint      NOT NULL,
    at     timestamptz NOT NULL,
    state  text        NOT NULL,
    reason text,
    PRIMARY KEY (run_id, number)
);

-- What is known of the rows of a change set, 65,536 to a chunk, as serialized Roaring bitmaps of their positions; NULL: none.
CREATE TABLE progress (
    run_id       text   COLLATE "C" NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    chunk        bigint NOT NULL,
    acknowledged bytea,
    refused      bytea,
    unknown      bytea,
    -- May be in flight.
    attempting   bytea,
    PRIMARY KEY (run_id, chunk)
);

-- The rows that did not get through.
CREATE TABLE receipts (
    run_id   text        COLLATE "C" NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq      bigint      NOT NULL,
    outcome  text        NOT NULL,
    status   bigint,
    attempts bigint      NOT NULL,
    detail   text,
    at       timestamptz NOT NULL,
    key      text        NOT NULL,
    kind     text        NOT NULL,
    PRIMARY KEY (run_id, seq)
);

CREATE TABLE refusals (
    job        text        COLLATE "C" NOT NULL,
    webhook_id text        COLLATE "C" NOT NULL,
    key        text        COLLATE "C" NOT NULL,
    count      bigint      NOT NULL,
    status     bigint,
    detail     text,
    first_at   timestamptz NOT NULL,
    last_at    timestamptz NOT NULL,
    run_id     text        NOT NULL,
    dropped    boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (job, webhook_id)
);

CREATE TABLE destinations (
    job          text        COLLATE "C" PRIMARY KEY,
    address      text        NOT NULL,
    state        text        NOT NULL,
    reason       text        NOT NULL,
    remedy       text        NOT NULL,
    since        timestamptz NOT NULL,
    run_id       text        NOT NULL,
    -- Until when the destination has asked to be left alone; NULL: it has not, and the next run tries again.
    paused_until timestamptz
);
