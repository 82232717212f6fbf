-- What a worker cannot take up, and the error: gone once it can again. What stands still is explained by it.
CREATE TABLE work_fails (
    worker  text NOT NULL,
    work    text NOT NULL,                      -- a loop: `dispatch:ovo`, `verification:bni`, `inbox` ...
    error   text NOT NULL,                      -- its class; the text may quote what was asked
    since   timestamptz NOT NULL,
    told_at timestamptz NOT NULL,               -- told again every few seconds: an old one is of a worker that is gone
    PRIMARY KEY (worker, work)
);
