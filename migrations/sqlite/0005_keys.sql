-- Counts up with every change of a key, but not with its uses: what was read can be told from what is.
ALTER TABLE api_keys ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;

-- The text before the last rotation, valid until previous_until. All four or none, but for a key without a secret.
ALTER TABLE api_keys ADD COLUMN previous_prefix TEXT;
ALTER TABLE api_keys ADD COLUMN previous_key_hash BLOB;
ALTER TABLE api_keys ADD COLUMN previous_secret_hash BLOB;
ALTER TABLE api_keys ADD COLUMN previous_until INTEGER;
CREATE UNIQUE INDEX api_keys_by_previous ON api_keys (previous_key_hash);

-- signature_secret says where the secret is, ${ENV} or ${file:PATH}; never the secret.
ALTER TABLE api_keys ADD COLUMN signature_scheme TEXT;
ALTER TABLE api_keys ADD COLUMN signature_secret TEXT;

-- Requests a second.
ALTER TABLE api_keys ADD COLUMN rate INTEGER;

ALTER TABLE api_keys ADD COLUMN stored INTEGER NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN ignored INTEGER NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN rejected INTEGER NOT NULL DEFAULT 0;
