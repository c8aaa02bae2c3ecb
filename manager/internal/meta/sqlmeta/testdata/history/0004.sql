-- What version 4 counts and keeps beside.
UPDATE shares SET owner_id = 1 WHERE entry_id = 1;
INSERT INTO space (user_id, used_bytes, used_files) VALUES (1, 5, 1), (2, 7, 1);
UPDATE space SET used_bytes = 12, used_files = 2 WHERE user_id = 0;
