-- Rows that say again what was handed over before, in an earlier batch or an earlier line: which incentive is theirs.
CREATE TABLE batch_repeats (
    batch_id           text COLLATE "C" NOT NULL REFERENCES batches,
    line               integer NOT NULL,
    incentive          bigint NOT NULL,
    PRIMARY KEY (batch_id, line)
);
