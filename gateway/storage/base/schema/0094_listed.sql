-- A partner that says "not found" of a day gave no list: its reading is noted, so that nobody asks in a circle, and proves nothing absent.
ALTER TABLE statement_reads ADD COLUMN proves boolean NOT NULL DEFAULT true;

-- Partners regenerate their lists: a booking comes back at another second, or under the next day. What a complete reading of its day no longer
-- lists counts no more, until it is listed again; else one payment would be two credits.
ALTER TABLE statement_lines ADD COLUMN gone_at timestamptz;
