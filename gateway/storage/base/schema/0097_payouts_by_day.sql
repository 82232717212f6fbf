-- What ended on a day (Asia/Jakarta), as who closes a month asks: a page of it is read along the key.
CREATE INDEX payouts_ended ON payouts (((ended_at AT TIME ZONE 'Asia/Jakarta')::date), id) WHERE ended_at IS NOT NULL;
