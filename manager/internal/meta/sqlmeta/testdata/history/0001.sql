-- Ann has a folder that is hers and bob's, with a file deep in it; bob has a file
-- of his own at the top.
INSERT INTO users (id, name, name_key, password, administrator, created_at) VALUES (1, 'Ann', 'ann', 'x', TRUE, 1), (2, 'bob', 'bob', 'x', FALSE, 2);
INSERT INTO sessions (id, user_id, created_at, used_at, expires_at) VALUES ('s', 1, 1, 1, 2);
INSERT INTO objects (id, state, size, type, created_at, finished_at, state_at) VALUES
	(X'0000000000000000000000000000000a', 'stored', 5, 'text/plain', 1, 2, 2), (X'0000000000000000000000000000000b', 'stored', 7, '', 1, 2, 2);
INSERT INTO entries (id, parent_id, name, name_key, kind, owner_id, public, object_id, size, type, created_at, updated_at, modified_at) VALUES
	(1, 0, 'Photos', 'photos', 'folder', 1, FALSE, NULL, 0, '', 1, 1, 1),
	(2, 1, '2026', '2026', 'folder', 2, TRUE, NULL, 0, '', 1, 1, 1),
	(3, 2, 'a.txt', 'a.txt', 'file', 1, TRUE, X'0000000000000000000000000000000a', 5, 'text/plain', 1, 1, 1),
	(4, 0, 'b.bin', 'b.bin', 'file', 2, FALSE, X'0000000000000000000000000000000b', 7, '', 1, 1, 1);
INSERT INTO shares (entry_id, user_id, can_write, shared_at) VALUES (1, 2, TRUE, 3);
INSERT INTO chunks (object_id, start, size, number, part, ext, sealed_size, salt, header, crc32, channel_id, message_id, attachment_id, path) VALUES
	(X'0000000000000000000000000000000a', 0, 5, 0, 0, 0, 165, X'0000000000000000000000000000000000000000000000000000000000000000', X'00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000', 1, '1', '2', '3', ''),
	(X'0000000000000000000000000000000b', 0, 7, 0, 0, 0, 167, X'0000000000000000000000000000000000000000000000000000000000000000', X'00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000', 1, '1', '4', '5', '');
INSERT INTO uploads (id, user_id, object_id, folder, name, size, part_size, public, on_conflict, type, state, entry_id, created_at, touched_at, ended_at) VALUES
	('u', 1, X'0000000000000000000000000000000a', 'Photos/2026', 'a.txt', 5, 5, TRUE, 'fail', 'text/plain', 'done', 3, 1, 1, 2);
INSERT INTO keys (number, id, added_at) VALUES (1, 'k', 1);
