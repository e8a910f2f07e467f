-- What a workflow reports of its own progress, the last one.

ALTER TABLE instances ADD COLUMN progress BLOB;
