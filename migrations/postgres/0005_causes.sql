-- Since now fires are of whatever begins runs, and not of schedules alone.

ALTER TABLE fires
    -- What began it: schedule, request, file, job; and which, in words.
    ADD COLUMN cause  text NOT NULL DEFAULT 'schedule',
    ADD COLUMN origin text,
    -- What its daemon had seen of files and other jobs by then.
    ADD COLUMN seen   text;
