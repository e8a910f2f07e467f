-- Images with their bytes, and which instance was started with which.
--
-- The tables of a Rust environment are taken as they are; a fresh database gets the same. Bytes are
-- put in before their image is there, so they belong to an upload, which the image names; those of
-- an image that another program deletes are swept later.

CREATE TABLE IF NOT EXISTS images (
    image_id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    binary_path TEXT,
    bundle_path TEXT,
    runner_type TEXT NOT NULL DEFAULT 'oci',
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    metadata JSONB
);

CREATE TABLE IF NOT EXISTS instance_images (
    instance_id TEXT PRIMARY KEY,
    image_id TEXT NOT NULL REFERENCES images (image_id) ON DELETE CASCADE,
    tenant_id TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    env JSONB
);

-- A Rust environment's name had one image; with versions only the current one is unique.
DO $$
DECLARE
    its RECORD;
BEGIN
    FOR its IN
        SELECT i.indexrelid::regclass AS index_name, c.conname
        FROM pg_index AS i
        LEFT JOIN pg_constraint AS c ON c.conindid = i.indexrelid AND c.contype = 'u'
        WHERE i.indrelid = 'images'::regclass
            AND i.indisunique
            AND NOT i.indisprimary
            AND i.indpred IS NULL
            AND (
                SELECT array_agg(a.attname::text ORDER BY a.attname)
                FROM pg_attribute AS a
                WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
            ) = ARRAY['name', 'tenant_id']
    LOOP
        IF its.conname IS NULL THEN
            EXECUTE format('DROP INDEX %s', its.index_name);
        ELSE
            EXECUTE format('ALTER TABLE images DROP CONSTRAINT %I', its.conname);
        END IF;
    END LOOP;
END
$$;

ALTER TABLE images
    ADD COLUMN version INTEGER NOT NULL DEFAULT 1,
    ADD COLUMN sha256 TEXT,
    ADD COLUMN size_bytes BIGINT,
    ADD COLUMN is_current BOOLEAN NOT NULL DEFAULT TRUE,
    ADD COLUMN deleted_at TIMESTAMPTZ,
    ADD COLUMN upload_id TEXT,
    ADD COLUMN problem TEXT;

ALTER TABLE instance_images ADD COLUMN IF NOT EXISTS env JSONB;

CREATE TABLE image_chunks (
    upload_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (upload_id, position)
);

-- Compressing code costs more than storing it.
ALTER TABLE image_chunks ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE UNIQUE INDEX idx_images_current ON images (tenant_id, name) WHERE is_current;
CREATE INDEX idx_images_newest ON images (created_at DESC, image_id COLLATE "C");
CREATE INDEX idx_images_upload ON images (upload_id) WHERE upload_id IS NOT NULL;
CREATE INDEX idx_instance_images_used ON instance_images (image_id);
