-- Ann has deleted a folder with a file, and has a version of a.txt.
INSERT INTO objects (id, state, size, type, created_at, finished_at, state_at) VALUES
	(X'0000000000000000000000000000000c', 'stored', 3, '', 1, 2, 2), (X'0000000000000000000000000000000d', 'stored', 2, '', 1, 2, 2);
INSERT INTO chunks (object_id, start, size, number, part, ext, sealed_size, salt, header, crc32, channel_id, message_id, attachment_id, path) VALUES
	(X'0000000000000000000000000000000c', 0, 3, 0, 0, 0, 163, X'0000000000000000000000000000000000000000000000000000000000000000', X'00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000', 1, '1', '6', '7', ''),
	(X'0000000000000000000000000000000d', 0, 2, 0, 0, 0, 162, X'0000000000000000000000000000000000000000000000000000000000000000', X'00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000', 1, '1', '8', '9', '');
INSERT INTO entries (id, parent_id, name, name_key, kind, owner_id, public, object_id, size, created_at, updated_at, modified_at, trash_id) VALUES
	(5, -1, '5', '5', 'folder', 1, TRUE, NULL, 0, 1, 1, 1, 5), (6, 5, 'c', 'c', 'file', 1, TRUE, X'0000000000000000000000000000000c', 3, 1, 1, 1, 5);
INSERT INTO trash (entry_id, user_id, parent_id, folder, name, files, folders, size, deleted_at) VALUES (5, 1, 0, '', 'gone', 1, 1, 3, 4);
INSERT INTO versions (id, entry_id, object_id, size, type, modified_at, user_id, replaced_at) VALUES (1, 3, X'0000000000000000000000000000000d', 2, '', 1, 1, 2);
UPDATE space SET used_bytes = used_bytes + 5, used_files = used_files + 1 WHERE user_id IN (0, 1);
