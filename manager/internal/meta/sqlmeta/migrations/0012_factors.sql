-- What somebody shows besides the password. sealed is the secret of the one-time
-- codes (RFC 6238), under a key that is not in the database; step is that of the
-- last code that was taken.
CREATE TABLE totps (
	user_id    INTEGER NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
	sealed     BLOB    NOT NULL,
	step       INTEGER NOT NULL,
	created_at INTEGER NOT NULL
);

-- credential is the id that the authenticator gave, handle is what it knows the
-- user by, rp is the name of the server that it is for, record is the public key
-- and what else belongs to it, as JSON.
CREATE TABLE passkeys (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	credential BLOB    NOT NULL,
	handle     BLOB    NOT NULL,
	rp         TEXT    NOT NULL,
	name       TEXT    NOT NULL,
	record     BLOB    NOT NULL,
	sign_count INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	used_at    INTEGER,
	CONSTRAINT passkeys_credential UNIQUE (credential)
);
CREATE INDEX passkeys_by_user ON passkeys (user_id, id);

CREATE TABLE recovery_codes (
	user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	sum     BLOB    NOT NULL,
	PRIMARY KEY (user_id, sum)
);

-- Challenges that were answered: none is taken twice while it runs.
CREATE TABLE spent_challenges (
	sum        BLOB    NOT NULL PRIMARY KEY,
	expires_at INTEGER NOT NULL
);
CREATE INDEX spent_challenges_by_expiry ON spent_challenges (expires_at);
