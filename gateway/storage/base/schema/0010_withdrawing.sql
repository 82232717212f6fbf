-- Set before we ask the partner to reject an instruction: its word that it is rejected then blames nobody, whichever way it comes.
ALTER TABLE payouts ADD COLUMN withdrawing boolean NOT NULL DEFAULT false;
