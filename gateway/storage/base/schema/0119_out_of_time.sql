-- Statements that did not end within their time, by the function that asked and the day (of the server's clock, for metrics).
CREATE TABLE statements_out_of_time (
    statement text NOT NULL,
    day       date NOT NULL,
    times     bigint NOT NULL,
    PRIMARY KEY (statement, day)
);
