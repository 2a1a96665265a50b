-- The number of an org. What a transaction took that was given up is never given again.
CREATE SEQUENCE org_numbers AS bigint;

CREATE TABLE orgs (
    target_org_id  bigint      PRIMARY KEY,
    product_org_id text        COLLATE "C" NOT NULL UNIQUE,
    name           text,
    plan_id        text,
    plan_name      text,
    user_count     bigint,
    mrr            bigint,
    trial_status   text,
    last_active_at timestamptz,
    feature_flags  json,
    custom         json        NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    -- The key of the last update. Not a foreign key: keys may be purged, orgs stay.
    key_id         text        NOT NULL,
    -- Entries in org_history.
    changes        bigint      NOT NULL,
    -- When the newest of its events happened, by its sender.
    event_at       timestamptz,
    -- The fields that are not of that time; NULL with most orgs (src/store/orgs/times.rs).
    field_times    json
) WITH (fillfactor = 85);

CREATE TABLE org_history (
    target_org_id bigint      NOT NULL,
    -- From 1 in each org, without a gap.
    number        bigint      NOT NULL,
    at            timestamptz NOT NULL,
    key_id        text        NOT NULL,
    request_id    text        NOT NULL,
    event_at      timestamptz,
    -- {"field": [before, after]}
    fields        json        NOT NULL,
    PRIMARY KEY (target_org_id, number)
);

-- What repeats are answered.
CREATE TABLE org_answers (
    target_org_id bigint      NOT NULL,
    hash          bytea       NOT NULL,
    is_new        boolean     NOT NULL,
    stale         boolean     NOT NULL,
    at            timestamptz NOT NULL,
    PRIMARY KEY (target_org_id, hash)
);
CREATE INDEX org_answers_by_time ON org_answers (at);
