-- A finding of one answer is told once another answer bears it out; what moves money is told at once. Both survive whoever read it first.
ALTER TABLE statement_findings
    ADD COLUMN day date,                           -- of the statement; it is read again while more was seen than told
    ADD COLUMN seen integer NOT NULL DEFAULT 1,    -- how often the last reading found it
    ADD COLUMN told integer NOT NULL DEFAULT 1;    -- how often it was told to be there
CREATE INDEX statement_findings_wanted ON statement_findings (partner, day) WHERE seen > told;

-- How many credits of a day are not ours was part of the finding's name.
INSERT INTO statement_findings (partner, finding, found_at, day, seen, told)
SELECT partner, 'foreign:' || split_part(finding, ':', 2), max(found_at), split_part(finding, ':', 2)::date, max(split_part(finding, ':', 3)::integer),
       max(split_part(finding, ':', 3)::integer)
FROM statement_findings WHERE finding LIKE 'foreign:%:%' GROUP BY partner, split_part(finding, ':', 2) ON CONFLICT DO NOTHING;
DELETE FROM statement_findings WHERE finding LIKE 'foreign:%:%';
