-- What lies below a folder, in all levels: kept with each change, so that a
-- folder's size is some rows to read, however much there is. seen_by is who comes
-- to see it from that folder without a share: everybody (0), only the user who
-- owns what is not public on the way, or nobody (-1). Folders have the type ''.
-- What is here is in the folder itself.
CREATE TABLE totals (
	folder_id INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
	seen_by   INTEGER NOT NULL,
	type      TEXT    NOT NULL,
	files     INTEGER NOT NULL,
	folders   INTEGER NOT NULL,
	bytes     INTEGER NOT NULL,
	files_here   INTEGER NOT NULL,
	folders_here INTEGER NOT NULL,
	PRIMARY KEY (folder_id, seen_by, type)
) WITHOUT ROWID;

INSERT INTO totals (folder_id, seen_by, type, files, folders, bytes, files_here, folders_here)
WITH RECURSIVE below (folder_id, seen_by, type, files, folders, bytes, files_here, folders_here) AS (
	SELECT d.folder_id, d.seen_by, d.type, SUM(d.files), SUM(d.folders), SUM(d.bytes), SUM(d.files), SUM(d.folders) FROM (
		SELECT e.parent_id AS folder_id, CASE WHEN e.public OR e.owner_id IS NULL THEN 0 ELSE e.owner_id END AS seen_by,
			CASE e.kind WHEN 'file' THEN e.type ELSE '' END AS type,
			CASE e.kind WHEN 'file' THEN 1 ELSE 0 END AS files, CASE e.kind WHEN 'file' THEN 0 ELSE 1 END AS folders, e.size AS bytes
		FROM entries e WHERE e.id > 0) d
	GROUP BY d.folder_id, d.seen_by, d.type
	UNION ALL
	SELECT p.parent_id, CASE
			WHEN p.public OR p.owner_id IS NULL OR p.owner_id = b.seen_by THEN b.seen_by
			WHEN b.seen_by = 0 THEN p.owner_id
			ELSE -1 END,
		b.type, b.files, b.folders, b.bytes, 0, 0
	FROM below b JOIN entries p ON p.id = b.folder_id WHERE p.id > 0)
SELECT b.folder_id, b.seen_by, b.type, SUM(b.files), SUM(b.folders), SUM(b.bytes), SUM(b.files_here), SUM(b.folders_here)
FROM below b WHERE b.folder_id >= 0 GROUP BY b.folder_id, b.seen_by, b.type;
