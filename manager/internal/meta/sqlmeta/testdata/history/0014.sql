-- What version 14 counts.
INSERT INTO totals (folder_id, seen_by, type, files, folders, bytes, files_here, folders_here) VALUES
	(0, 1, '', 0, 2, 0, 0, 1), (0, 1, 'text/plain', 1, 0, 5, 0, 0), (0, 2, '', 1, 0, 7, 1, 0),
	(1, 0, '', 0, 1, 0, 0, 1), (1, 0, 'text/plain', 1, 0, 5, 0, 0), (2, 0, 'text/plain', 1, 0, 5, 1, 0), (5, 0, '', 1, 0, 3, 1, 0);
