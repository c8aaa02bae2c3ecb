-- What was deleted hangs below entry -1, which hangs on itself, until it is
-- restored or really deleted. trash_id is the top of what was deleted together,
-- and NULL of everything that people see.
ALTER TABLE entries ADD COLUMN trash_id INTEGER;
INSERT INTO entries (id, parent_id, name, name_key, kind, created_at, updated_at, modified_at, trash_id)
VALUES (-1, -1, '', '', 'folder', 0, 0, 0, -1);
CREATE INDEX entries_by_trash ON entries (trash_id, owner_id, size) WHERE trash_id IS NOT NULL;

-- folder is the path that the entry was in, its names joined by "/", "" for the
-- root; parent_id may be gone. size is of all that went with it.
CREATE TABLE trash (
	entry_id   INTEGER NOT NULL PRIMARY KEY REFERENCES entries (id) ON DELETE CASCADE,
	user_id    INTEGER REFERENCES users (id) ON DELETE SET NULL,
	parent_id  INTEGER NOT NULL,
	folder     TEXT    NOT NULL,
	name       TEXT    NOT NULL,
	files      INTEGER NOT NULL,
	folders    INTEGER NOT NULL,
	size       INTEGER NOT NULL,
	deleted_at INTEGER NOT NULL
);
CREATE INDEX trash_by_user ON trash (user_id, deleted_at);
CREATE INDEX trash_by_age ON trash (deleted_at);

-- The contents that files had before. user_id is who replaced one, at
-- replaced_at.
CREATE TABLE versions (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	entry_id    INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
	object_id   BLOB    NOT NULL REFERENCES objects (id),
	size        INTEGER NOT NULL,
	type        TEXT    NOT NULL,
	modified_at INTEGER NOT NULL,
	user_id     INTEGER REFERENCES users (id) ON DELETE SET NULL,
	replaced_at INTEGER NOT NULL
);
CREATE INDEX versions_by_entry ON versions (entry_id, replaced_at);
CREATE INDEX versions_by_object ON versions (object_id);
CREATE INDEX versions_by_age ON versions (replaced_at);

-- Messages that nothing refers to any more, and what became of them. A row of
-- the state 'due' is the promise that no other row will name the message again.
CREATE TABLE deletions (
	message_id  TEXT    NOT NULL PRIMARY KEY,
	channel_id  TEXT    NOT NULL,
	state       TEXT    NOT NULL,
	reason      TEXT    NOT NULL DEFAULT '',
	orphan      BOOLEAN NOT NULL DEFAULT FALSE,
	attachments INTEGER NOT NULL,
	size        INTEGER NOT NULL,
	tries       INTEGER NOT NULL DEFAULT 0,
	due_at      INTEGER NOT NULL,
	ended_at    INTEGER,
	CONSTRAINT deletions_state CHECK (state IN ('due', 'deleted', 'missing', 'skipped'))
) WITHOUT ROWID;
CREATE INDEX deletions_by_state ON deletions (state, due_at);
CREATE INDEX deletions_by_end ON deletions (ended_at);

-- Messages of ours that no row named when a sweep came by.
CREATE TABLE orphans (
	message_id  TEXT    NOT NULL PRIMARY KEY,
	channel_id  TEXT    NOT NULL,
	attachments INTEGER NOT NULL,
	size        INTEGER NOT NULL,
	found_at    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX orphans_by_age ON orphans (found_at);

-- Work in the background: whether it may go on, and how far it is.
CREATE TABLE jobs (
	name       TEXT    NOT NULL PRIMARY KEY,
	paused     BOOLEAN NOT NULL DEFAULT FALSE,
	state      TEXT    NOT NULL DEFAULT '',
	updated_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX chunks_by_message ON chunks (message_id);
CREATE INDEX thumbnails_by_message ON thumbnails (message_id);
