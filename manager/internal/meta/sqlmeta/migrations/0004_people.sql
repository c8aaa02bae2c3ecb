-- owner_id is the entry's owner, who gave the share: it spares a look at the
-- entries. NULL for an entry that nobody owns.
CREATE TEMPORARY TABLE shares_before AS SELECT entry_id, user_id, can_write, shared_at FROM shares;
DROP TABLE shares;
CREATE TABLE shares (
	entry_id  INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
	user_id   INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	can_write BOOLEAN NOT NULL DEFAULT FALSE,
	shared_at INTEGER NOT NULL,
	owner_id  INTEGER REFERENCES users (id),
	PRIMARY KEY (entry_id, user_id)
) WITHOUT ROWID;
CREATE INDEX shares_by_user ON shares (user_id);
CREATE INDEX shares_by_owner ON shares (owner_id);
INSERT INTO shares (entry_id, user_id, can_write, shared_at, owner_id)
SELECT s.entry_id, s.user_id, s.can_write, s.shared_at, e.owner_id FROM shares_before s JOIN entries e ON e.id = s.entry_id;
DROP TABLE shares_before;

CREATE TABLE user_groups (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	name       TEXT    NOT NULL,
	name_key   TEXT    NOT NULL,
	created_at INTEGER NOT NULL,
	CONSTRAINT user_groups_name UNIQUE (name_key)
);

CREATE TABLE group_members (
	group_id INTEGER NOT NULL REFERENCES user_groups (id) ON DELETE CASCADE,
	user_id  INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	PRIMARY KEY (group_id, user_id)
) WITHOUT ROWID;
CREATE INDEX group_members_by_user ON group_members (user_id, group_id);

CREATE TABLE group_shares (
	entry_id  INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
	group_id  INTEGER NOT NULL REFERENCES user_groups (id) ON DELETE CASCADE,
	can_write BOOLEAN NOT NULL DEFAULT FALSE,
	shared_at INTEGER NOT NULL,
	owner_id  INTEGER REFERENCES users (id),
	PRIMARY KEY (entry_id, group_id)
) WITHOUT ROWID;
CREATE INDEX group_shares_by_group ON group_shares (group_id);
CREATE INDEX group_shares_by_owner ON group_shares (owner_id);

-- The folders that not everybody sees: where a search must not look.
CREATE INDEX entries_restricted ON entries (owner_id) WHERE kind = 'folder' AND NOT public;

-- What users have, and may have at most (0: no bound). User 0 stands for all
-- together, with what nobody owns.
CREATE TABLE space (
	user_id    INTEGER NOT NULL PRIMARY KEY,
	used_bytes INTEGER NOT NULL DEFAULT 0,
	used_files INTEGER NOT NULL DEFAULT 0,
	most_bytes INTEGER NOT NULL DEFAULT 0,
	most_files INTEGER NOT NULL DEFAULT 0
);
INSERT INTO space (user_id, used_bytes, used_files)
SELECT 0, COALESCE(SUM(size), 0), COUNT(*) FROM entries WHERE kind = 'file';
INSERT INTO space (user_id, used_bytes, used_files)
SELECT owner_id, SUM(size), COUNT(*) FROM entries WHERE kind = 'file' AND owner_id IS NOT NULL GROUP BY owner_id;

-- What was done, by whom. Rows are added and never changed; sum is the SHA-256
-- over the row and the sum of the row before it, and audit_head has the last.
CREATE TABLE audit (
	number    INTEGER NOT NULL PRIMARY KEY,
	at        INTEGER NOT NULL,
	action    TEXT    NOT NULL,
	done      BOOLEAN NOT NULL,
	user_id   INTEGER NOT NULL,
	user_name TEXT    NOT NULL,
	address   TEXT    NOT NULL,
	entry_id  INTEGER,
	about     TEXT    NOT NULL,
	detail    TEXT    NOT NULL,
	sum       BLOB    NOT NULL,
	CONSTRAINT audit_sum CHECK (length(sum) = 32)
);
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_user ON audit (user_id, number);
CREATE INDEX audit_by_action ON audit (action, number);
CREATE INDEX audit_by_entry ON audit (entry_id, number) WHERE entry_id IS NOT NULL;

CREATE TABLE audit_head (
	id     INTEGER NOT NULL PRIMARY KEY,
	number INTEGER NOT NULL,
	sum    BLOB    NOT NULL,
	CONSTRAINT audit_head_one CHECK (id = 1)
);

-- What changed in which folder. The entry may have gone: the row has what it was
-- and who could see it.
CREATE TABLE activity (
	id        INTEGER PRIMARY KEY AUTOINCREMENT,
	at        INTEGER NOT NULL,
	user_id   INTEGER NOT NULL,
	action    TEXT    NOT NULL,
	parent_id INTEGER NOT NULL,
	entry_id  INTEGER NOT NULL,
	kind      TEXT    NOT NULL,
	name      TEXT    NOT NULL,
	old_name  TEXT    NOT NULL DEFAULT '',
	owner_id  INTEGER,
	public    BOOLEAN NOT NULL
);
CREATE INDEX activity_by_parent ON activity (parent_id, id);
CREATE INDEX activity_by_time ON activity (at);
