-- 1: what was known of the run's single rows is forgotten, so that any of them may have been applied.
ALTER TABLE runs ADD COLUMN rows_forgotten INTEGER NOT NULL DEFAULT 0;
