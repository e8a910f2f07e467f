-- What is due in the order it is claimed, so that a claim reads no more than it takes.
--
-- The end of a claim counts like the end of a sleep: what was claimed in vain goes to the back, and
-- what is claimed now comes after all that is due.

CREATE INDEX idx_instances_due
ON instances (greatest(sleep_until, wake_claim_until), instance_id COLLATE "C")
WHERE status = 'suspended' AND sleep_until IS NOT NULL;

DROP INDEX idx_instances_sleep_until;
