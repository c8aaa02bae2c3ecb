-- The folder that the path of an upload begins in, 0 for the top: who was given
-- a folder deep in the tree may not know the names above it.
ALTER TABLE uploads ADD COLUMN base INTEGER NOT NULL DEFAULT 0;
