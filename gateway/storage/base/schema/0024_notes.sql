-- Accepted rows that say something newer about a participant than what is known and kept: named, as it is not taken from a row.
CREATE TABLE batch_notes (
    batch_id           text NOT NULL REFERENCES batches,
    line               integer NOT NULL,
    fields             text NOT NULL,              -- names, with ', ' between them
    PRIMARY KEY (batch_id, line)
);
