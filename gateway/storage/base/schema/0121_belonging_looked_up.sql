-- OFFSET 0: each new row's participant stays a look-up of its key. As a join all who are stored were read for every piece of a merge, which
-- took the longer the more there were.
CREATE OR REPLACE FUNCTION check_belonging() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM after_rows r WHERE NOT EXISTS (SELECT FROM participants p WHERE p.id = r.participant OFFSET 0))
       OR EXISTS (SELECT FROM (SELECT DISTINCT batch_id FROM after_rows) r
                  WHERE NOT EXISTS (SELECT FROM batches b WHERE b.id = r.batch_id OFFSET 0)) THEN
        RAISE foreign_key_violation USING MESSAGE = 'an incentive belongs to a participant and a batch';
    END IF;
    RETURN NULL;
END $$;
