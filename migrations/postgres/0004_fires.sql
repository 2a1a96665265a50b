-- Schedules as the daemon saw them first: fires up to `since` are none of its business.
CREATE TABLE schedules (
    job      text        COLLATE "C" PRIMARY KEY,
    schedule text        NOT NULL,
    since    timestamptz NOT NULL
);

-- Fires that a daemon has dealt with. That a row can be put once only is what makes each of them run once.
CREATE TABLE fires (
    job        text        COLLATE "C" NOT NULL,
    due        timestamptz NOT NULL,
    state      text        NOT NULL,
    holder     text        NOT NULL,
    claimed_at timestamptz NOT NULL,
    ended_at   timestamptz,
    -- It stands for earlier ones too.
    collapsed  bigint      NOT NULL,
    reason     text,
    PRIMARY KEY (job, due)
);
