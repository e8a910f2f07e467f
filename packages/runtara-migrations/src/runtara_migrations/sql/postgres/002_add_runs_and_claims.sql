-- What this server keeps and the Rust server did not: runs, activity, claims, deadlines of sleeps.
--
-- Each column is nullable or has a constant default: no row is rewritten, and other programs insert
-- without naming it.

ALTER TABLE instances
    ADD COLUMN run_epoch BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN last_activity_at TIMESTAMPTZ,
    ADD COLUMN wake_claim_until TIMESTAMPTZ,
    ADD COLUMN wake_claim_by TEXT;

ALTER TABLE checkpoints
    ADD COLUMN wake_at TIMESTAMPTZ;

-- Saving a checkpoint moves the instance's pointer, in columns without an index: with room on its
-- page, the new version of the row needs no entry in any index.
ALTER TABLE instances SET (fillfactor = 80);

-- Compressing large states costs more than storing them. Those already there stay as they are.
ALTER TABLE checkpoints ALTER COLUMN state SET STORAGE EXTERNAL;
