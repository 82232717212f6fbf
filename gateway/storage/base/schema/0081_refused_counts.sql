-- What a batch's refused rows were refused for, counted: the funnel shows it beside the stages, and would read every refused row for it.
CREATE TABLE refused_counts (
    batch_id   text NOT NULL REFERENCES batches,
    programme  text NOT NULL,                      -- '': it could not be read
    code       text NOT NULL,
    rows       bigint NOT NULL,
    PRIMARY KEY (batch_id, programme, code)
);

CREATE FUNCTION count_refused() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO refused_counts AS r (batch_id, programme, code, rows)
    SELECT batch_id, coalesce(programme, ''), code, count(*) FROM after_rows GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (batch_id, programme, code) DO UPDATE SET rows = r.rows + excluded.rows;
    RETURN NULL;
END $$;
LOCK TABLE batch_errors IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO refused_counts SELECT batch_id, coalesce(programme, ''), code, count(*) FROM batch_errors GROUP BY 1, 2, 3;
CREATE TRIGGER batch_errors_counted AFTER INSERT ON batch_errors
    REFERENCING NEW TABLE AS after_rows FOR EACH STATEMENT EXECUTE FUNCTION count_refused();
DROP INDEX batch_errors_code;
