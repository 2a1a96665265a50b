-- `run` or `backfill`. A backfill's rows and receipts are kept as a run's are; it publishes nothing, and no run supersedes it.
ALTER TABLE runs ADD COLUMN kind TEXT NOT NULL DEFAULT 'run';
