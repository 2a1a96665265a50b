-- Who may do what alone: `job/NAME`, to run a job; `schedules`, to begin runs. A lease that has run out may be taken by anybody; each taking has the next epoch, and whatever is
-- written under an earlier one is refused. Times are the database's, so that the clocks of machines do not matter. Rows stay, for their epochs.
CREATE TABLE leases (
    name     text        COLLATE "C" PRIMARY KEY,
    -- The daemon's place, for people.
    holder   text        NOT NULL,
    -- What it does, for people.
    what     text        NOT NULL,
    epoch    bigint      NOT NULL,
    taken_at timestamptz NOT NULL,
    until    timestamptz NOT NULL
);
