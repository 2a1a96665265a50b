-- Since now fires are of whatever begins runs, and not of schedules alone.

-- What began it: schedule, request, file, job; and which, in words.
ALTER TABLE fires ADD COLUMN cause TEXT NOT NULL DEFAULT 'schedule';
ALTER TABLE fires ADD COLUMN origin TEXT;
-- What its daemon had seen of files and other jobs by then.
ALTER TABLE fires ADD COLUMN seen TEXT;
