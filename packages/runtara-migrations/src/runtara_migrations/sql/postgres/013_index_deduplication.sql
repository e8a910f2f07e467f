-- Find the open instance that has a deduplication key: a start with the same key answers that one.

CREATE INDEX idx_instances_dedupe ON instances (tenant_id, dedupe_key)
WHERE dedupe_key IS NOT NULL AND status IN ('pending', 'running', 'suspended');
