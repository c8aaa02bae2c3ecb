-- Times are microseconds since 1970 UTC. Sums are raw bytes, NULL if not known.

CREATE TABLE users (
	id            INTEGER PRIMARY KEY AUTOINCREMENT,
	name          TEXT    NOT NULL,
	name_key      TEXT    NOT NULL,
	password      TEXT    NOT NULL,
	administrator BOOLEAN NOT NULL DEFAULT 0,
	disabled      BOOLEAN NOT NULL DEFAULT 0,
	created_at    INTEGER NOT NULL,
	CONSTRAINT users_name UNIQUE (name_key)
);

CREATE TABLE sessions (
	id         TEXT    NOT NULL PRIMARY KEY,
	user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	created_at INTEGER NOT NULL,
	used_at    INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	agent      TEXT    NOT NULL DEFAULT '',
	address    TEXT    NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- An object is readable from finished_at on, also as garbage: until its chunks
-- are collected.
CREATE TABLE objects (
	id          BLOB    NOT NULL PRIMARY KEY,
	state       TEXT    NOT NULL,
	size        INTEGER NOT NULL,
	type        TEXT    NOT NULL DEFAULT '',
	hash        BLOB,
	sha256      BLOB,
	crc32       INTEGER NOT NULL DEFAULT 0,
	created_at  INTEGER NOT NULL,
	finished_at INTEGER,
	state_at    INTEGER NOT NULL,
	CONSTRAINT objects_id CHECK (length(id) = 16),
	CONSTRAINT objects_state CHECK (state IN ('uploading', 'stored', 'garbage')),
	CONSTRAINT objects_finished CHECK (state <> 'stored' OR finished_at IS NOT NULL),
	CONSTRAINT objects_size CHECK (size >= 0)
) WITHOUT ROWID;
CREATE INDEX objects_by_state ON objects (state, state_at);

-- Files and folders. Entry 0 is the root, the only one without a parent.
CREATE TABLE entries (
	id            INTEGER PRIMARY KEY AUTOINCREMENT,
	parent_id     INTEGER REFERENCES entries (id),
	name          TEXT    NOT NULL,
	name_key      TEXT    NOT NULL,
	kind          TEXT    NOT NULL,
	owner_id      INTEGER REFERENCES users (id),
	public        BOOLEAN NOT NULL DEFAULT 0,
	object_id     BLOB    REFERENCES objects (id),
	size          INTEGER NOT NULL DEFAULT 0,
	type          TEXT    NOT NULL DEFAULT '',
	has_thumbnail BOOLEAN NOT NULL DEFAULT 0,
	created_at    INTEGER NOT NULL,
	updated_at    INTEGER NOT NULL,
	modified_at   INTEGER NOT NULL,
	CONSTRAINT entries_name UNIQUE (parent_id, name),
	CONSTRAINT entries_root CHECK ((id = 0) = (parent_id IS NULL)),
	CONSTRAINT entries_kind CHECK (kind IN ('file', 'folder')),
	CONSTRAINT entries_content CHECK ((kind = 'file') = (object_id IS NOT NULL)),
	CONSTRAINT entries_size CHECK (size >= 0)
);
CREATE INDEX entries_by_name ON entries (parent_id, kind, name_key, name);
CREATE INDEX entries_by_size ON entries (parent_id, kind, size, id);
CREATE INDEX entries_by_updated ON entries (parent_id, kind, updated_at, id);
-- Holds all that sums over a tree look at, so that they never read a row.
CREATE INDEX entries_by_type ON entries (parent_id, kind, type, id, size, public, owner_id);
CREATE INDEX entries_by_object ON entries (object_id) WHERE object_id IS NOT NULL;

INSERT INTO entries (id, name, name_key, kind, public, created_at, updated_at, modified_at)
VALUES (0, '', '', 'folder', TRUE, 0, 0, 0);

CREATE TABLE shares (
	entry_id  INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
	user_id   INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	can_write BOOLEAN NOT NULL DEFAULT 0,
	shared_at INTEGER NOT NULL,
	PRIMARY KEY (entry_id, user_id)
) WITHOUT ROWID;
CREATE INDEX shares_by_user ON shares (user_id);

-- Kept in order of place, so that reading an object on is reading a table on.
-- leaves holds the leaf sums of an unfinished object's chunk, one after another.
CREATE TABLE chunks (
	object_id     BLOB    NOT NULL REFERENCES objects (id) ON DELETE CASCADE,
	start         INTEGER NOT NULL,
	size          INTEGER NOT NULL,
	number        INTEGER NOT NULL,
	part          INTEGER NOT NULL,
	ext           INTEGER NOT NULL,
	sealed_size   INTEGER NOT NULL,
	salt          BLOB    NOT NULL,
	header        BLOB    NOT NULL,
	crc32         INTEGER NOT NULL,
	channel_id    TEXT    NOT NULL,
	message_id    TEXT    NOT NULL,
	attachment_id TEXT    NOT NULL,
	path          TEXT    NOT NULL,
	leaves        BLOB,
	PRIMARY KEY (object_id, start),
	CONSTRAINT chunks_place CHECK (start >= 0 AND size >= 0),
	CONSTRAINT chunks_salt CHECK (length(salt) = 32),
	CONSTRAINT chunks_header CHECK (length(header) = 64)
) WITHOUT ROWID;

-- folder is the path of the folder, its names joined by "/", "" for the root.
CREATE TABLE uploads (
	id          TEXT    NOT NULL PRIMARY KEY,
	user_id     INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	object_id   BLOB    REFERENCES objects (id) ON DELETE SET NULL,
	folder      TEXT    NOT NULL,
	name        TEXT    NOT NULL,
	size        INTEGER NOT NULL,
	part_size   INTEGER NOT NULL,
	public      BOOLEAN NOT NULL,
	on_conflict TEXT    NOT NULL,
	type        TEXT    NOT NULL,
	modified_at INTEGER,
	state       TEXT    NOT NULL,
	reason      TEXT    NOT NULL DEFAULT '',
	entry_id    INTEGER REFERENCES entries (id) ON DELETE SET NULL,
	replaced    BOOLEAN NOT NULL DEFAULT 0,
	renamed     BOOLEAN NOT NULL DEFAULT 0,
	created_at  INTEGER NOT NULL,
	touched_at  INTEGER NOT NULL,
	ended_at    INTEGER,
	CONSTRAINT uploads_object UNIQUE (object_id),
	CONSTRAINT uploads_state CHECK (state IN ('running', 'waiting', 'done', 'failed', 'aborted')),
	CONSTRAINT uploads_size CHECK (size >= 0 AND part_size > 0)
) WITHOUT ROWID;
CREATE INDEX uploads_by_user ON uploads (user_id, created_at);
CREATE INDEX uploads_by_state ON uploads (state, touched_at);
CREATE INDEX uploads_by_entry ON uploads (entry_id) WHERE entry_id IS NOT NULL;

CREATE TABLE keys (
	number   INTEGER PRIMARY KEY AUTOINCREMENT,
	id       TEXT    NOT NULL,
	added_at INTEGER NOT NULL,
	CONSTRAINT keys_id UNIQUE (id)
);
