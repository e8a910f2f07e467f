-- Images with their bytes, and which instance was started with which.
--
-- Bytes are put in before their image is there, so they belong to an upload, which the image names;
-- those of an image that another program deletes are swept later.

CREATE TABLE images (
    image_id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    binary_path TEXT,
    bundle_path TEXT,
    runner_type TEXT NOT NULL DEFAULT 'oci',
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    version INTEGER NOT NULL DEFAULT 1,
    sha256 TEXT,
    size_bytes INTEGER,
    is_current INTEGER NOT NULL DEFAULT TRUE,
    deleted_at TEXT,
    upload_id TEXT,
    problem TEXT,
    metadata TEXT
);

CREATE TABLE instance_images (
    instance_id TEXT NOT NULL PRIMARY KEY,
    image_id TEXT NOT NULL REFERENCES images (image_id) ON DELETE CASCADE,
    tenant_id TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    env TEXT
);

CREATE TABLE image_chunks (
    upload_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (upload_id, position)
);

CREATE UNIQUE INDEX idx_images_current ON images (tenant_id, name) WHERE is_current;
CREATE INDEX idx_images_newest ON images (created_at DESC, image_id);
CREATE INDEX idx_images_upload ON images (upload_id) WHERE upload_id IS NOT NULL;
CREATE INDEX idx_instance_images_used ON instance_images (image_id);
