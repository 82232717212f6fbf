-- A document that refuses a payout is about the attempts made before it was brought: one that left since is not what it speaks of.
ALTER TABLE settlements ADD COLUMN attempt integer;  -- the payout's last one then; null: brought before this was noted
