-- Managers that share the database. beat goes up while one lives; keys is the
-- SHA-256 over the secrets that all of them have to have.
CREATE TABLE managers (
	id        TEXT    NOT NULL PRIMARY KEY,
	beat      INTEGER NOT NULL,
	keys      TEXT    NOT NULL,
	joined_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Who does what only one may do. epoch goes up with each new holder, and stays
-- when manager is '', nobody.
CREATE TABLE leases (
	name    TEXT    NOT NULL PRIMARY KEY,
	manager TEXT    NOT NULL,
	epoch   INTEGER NOT NULL
) WITHOUT ROWID;

-- What managers tell each other. Numbers have no gaps and become visible in
-- their order: whoever writes one holds the row of news_head until it is.
CREATE TABLE news_head (
	id   INTEGER NOT NULL PRIMARY KEY,
	last INTEGER NOT NULL,
	CONSTRAINT news_head_one CHECK (id = 1)
);
CREATE TABLE news (
	id      INTEGER NOT NULL PRIMARY KEY,
	manager TEXT    NOT NULL,
	payload TEXT    NOT NULL,
	at      INTEGER NOT NULL
);
CREATE INDEX news_by_at ON news (at);

-- Guesses, by the SHA-256 of what they are counted for. After ends_at a row
-- counts no more.
CREATE TABLE attempts (
	name     TEXT    NOT NULL PRIMARY KEY,
	tries    INTEGER NOT NULL,
	until_at INTEGER NOT NULL,
	ends_at  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX attempts_by_end ON attempts (ends_at);

-- Tickets of managers that share the database, by the SHA-256 of their text.
CREATE TABLE tickets (
	sum        BLOB    NOT NULL PRIMARY KEY,
	purpose    TEXT    NOT NULL,
	user_id    INTEGER NOT NULL,
	session    TEXT    NOT NULL,
	entry_id   INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	used       BOOLEAN NOT NULL
) WITHOUT ROWID;
CREATE INDEX tickets_by_session ON tickets (session, used, expires_at);
CREATE INDEX tickets_by_expiry ON tickets (expires_at);

-- The manager that works on an upload, '' for none.
ALTER TABLE uploads ADD COLUMN manager TEXT NOT NULL DEFAULT '';
