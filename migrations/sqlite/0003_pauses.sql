-- Until when the destination has asked to be left alone; NULL: it has not, and the next run tries again.
ALTER TABLE destinations ADD COLUMN paused_until INTEGER;
