-- One index for each path this server takes, on fresh and adopted databases alike; no others.
--
-- Saving a checkpoint touches two besides the primary key; moving an instance's pointer or its
-- activity none. Ids are ordered as bytes: lists are in the same order on every database.

DROP INDEX IF EXISTS
    idx_instances_tenant,
    idx_instances_status,
    idx_instances_created,
    idx_instances_sleep_until,
    idx_checkpoints_instance,
    idx_checkpoints_instance_latest,
    idx_checkpoints_retry_attempts,
    idx_instance_events_instance,
    idx_instance_events_created,
    idx_instance_events_subtype;

-- Lists of instances, newest first, ties by id: all, of a tenant, in a status (and with it the
-- running ones that fell silent), of a tenant in a status.
CREATE INDEX idx_instances_created ON instances (created_at DESC, instance_id COLLATE "C");
CREATE INDEX idx_instances_tenant
ON instances (tenant_id, created_at DESC, instance_id COLLATE "C");
CREATE INDEX idx_instances_status
ON instances (status, created_at DESC, instance_id COLLATE "C");
CREATE INDEX idx_instances_tenant_status
ON instances (tenant_id, status, created_at DESC, instance_id COLLATE "C");

-- What is due: asleep and over, or told something and not yet settled.
CREATE INDEX idx_instances_sleep_until ON instances (sleep_until)
WHERE sleep_until IS NOT NULL AND status = 'suspended';
CREATE INDEX idx_pending_signals_unacknowledged ON pending_signals (instance_id)
WHERE acknowledged_at IS NULL;

-- Renewing and releasing the claims of one owner.
CREATE INDEX idx_instances_wake_claim ON instances (wake_claim_by)
WHERE wake_claim_by IS NOT NULL;

-- Deleting what finished long ago.
CREATE INDEX idx_instances_finished ON instances (finished_at) WHERE finished_at IS NOT NULL;

-- An instance's checkpoints and events in the order they were stored, and the audit rows of the
-- retry attempts for one of its checkpoints, whose ids begin alike.
CREATE INDEX idx_checkpoints_instance ON checkpoints (instance_id, id);
CREATE INDEX idx_checkpoints_retry_attempts
ON checkpoints (instance_id, checkpoint_id COLLATE "C") WHERE is_retry_attempt;
CREATE INDEX idx_instance_events_instance ON instance_events (instance_id, id);
