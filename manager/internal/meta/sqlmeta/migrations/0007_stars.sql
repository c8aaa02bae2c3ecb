-- Entries that a user has marked to find them again.
CREATE TABLE stars (
	user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	entry_id   INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
	starred_at INTEGER NOT NULL,
	PRIMARY KEY (user_id, entry_id)
) WITHOUT ROWID;
CREATE INDEX stars_by_entry ON stars (entry_id);
-- For what has changed last, wherever it lies.
CREATE INDEX entries_by_change ON entries (updated_at, id);
