-- sum is the SHA-256 of the password's text.
CREATE TABLE app_passwords (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	sum        BLOB    NOT NULL,
	name       TEXT    NOT NULL,
	read_only  BOOLEAN NOT NULL,
	entry_id   INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
	created_at INTEGER NOT NULL,
	used_at    INTEGER,
	CONSTRAINT app_passwords_sum UNIQUE (sum)
);
CREATE INDEX app_passwords_by_user ON app_passwords (user_id);
CREATE INDEX app_passwords_by_entry ON app_passwords (entry_id);

-- What WebDAV calls dead properties. value is the element, whole.
CREATE TABLE properties (
	entry_id INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
	space    TEXT    NOT NULL,
	name     TEXT    NOT NULL,
	value    BLOB    NOT NULL,
	PRIMARY KEY (entry_id, space, name)
) WITHOUT ROWID;

-- timeout is in microseconds, as what it is added to.
CREATE TABLE locks (
	token      TEXT    NOT NULL PRIMARY KEY,
	entry_id   INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
	user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	shared     BOOLEAN NOT NULL,
	deep       BOOLEAN NOT NULL,
	owner      BLOB    NOT NULL,
	timeout    INTEGER NOT NULL,
	expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX locks_by_entry ON locks (entry_id);
CREATE INDEX locks_by_user ON locks (user_id);
CREATE INDEX locks_by_expiry ON locks (expires_at);
