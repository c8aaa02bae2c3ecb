-- What anybody may open who has the text of a link. sum is the SHA-256 of the
-- text; sealed is the text for its owner to copy again, under a key that is not
-- in the database. password is a PHC string, '' for none; most_uses is 0 for no
-- bound.
CREATE TABLE links (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	sum        BLOB    NOT NULL,
	sealed     BLOB    NOT NULL,
	user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	entry_id   INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
	mode       TEXT    NOT NULL,
	name       TEXT    NOT NULL DEFAULT '',
	password   TEXT    NOT NULL DEFAULT '',
	uses       INTEGER NOT NULL DEFAULT 0,
	most_uses  INTEGER NOT NULL DEFAULT 0,
	created_at INTEGER NOT NULL,
	expires_at INTEGER,
	used_at    INTEGER,
	CONSTRAINT links_sum UNIQUE (sum),
	CONSTRAINT links_mode CHECK (mode IN ('view', 'download', 'upload')),
	CONSTRAINT links_uses CHECK (uses >= 0 AND most_uses >= 0)
);
CREATE INDEX links_by_user ON links (user_id, id);
CREATE INDEX links_by_entry ON links (entry_id);

CREATE TABLE link_uses (
	id       INTEGER PRIMARY KEY AUTOINCREMENT,
	link_id  INTEGER NOT NULL REFERENCES links (id) ON DELETE CASCADE,
	at       INTEGER NOT NULL,
	action   TEXT    NOT NULL,
	entry_id INTEGER,
	name     TEXT    NOT NULL,
	address  TEXT    NOT NULL,
	agent    TEXT    NOT NULL
);
CREATE INDEX link_uses_by_link ON link_uses (link_id, id);
