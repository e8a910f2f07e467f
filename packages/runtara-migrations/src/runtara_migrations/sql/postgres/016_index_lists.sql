-- Find instances by a text in their errors, and those that are so far of their image's workflow by
-- its name alone, however many others there are.

CREATE INDEX idx_instances_error ON instances (created_at DESC, instance_id COLLATE "C")
WHERE error IS NOT NULL;

CREATE INDEX idx_instances_unnamed ON instances (created_at) WHERE workflow IS NULL;
