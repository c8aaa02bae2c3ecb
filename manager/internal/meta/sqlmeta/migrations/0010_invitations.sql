-- What lets somebody make an account who has its text. sum is the SHA-256 of the
-- text. The account gets the bounds and the groups; most_uses is 0 for no bound.
CREATE TABLE invitations (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	sum        BLOB    NOT NULL,
	name       TEXT    NOT NULL,
	address    TEXT    NOT NULL,
	made_by    TEXT    NOT NULL,
	most_bytes INTEGER NOT NULL DEFAULT 0,
	most_files INTEGER NOT NULL DEFAULT 0,
	uses       INTEGER NOT NULL DEFAULT 0,
	most_uses  INTEGER NOT NULL DEFAULT 0,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	CONSTRAINT invitations_sum UNIQUE (sum),
	CONSTRAINT invitations_uses CHECK (uses >= 0 AND most_uses >= 0)
);
CREATE INDEX invitations_by_expiry ON invitations (expires_at);

CREATE TABLE invitation_groups (
	invitation_id INTEGER NOT NULL REFERENCES invitations (id) ON DELETE CASCADE,
	group_id      INTEGER NOT NULL REFERENCES user_groups (id) ON DELETE CASCADE,
	PRIMARY KEY (invitation_id, group_id)
) WITHOUT ROWID;
CREATE INDEX invitation_groups_by_group ON invitation_groups (group_id);

-- Where a user gets mail, once the address has been shown to be his.
CREATE TABLE addresses (
	user_id     INTEGER NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
	address     TEXT    NOT NULL,
	address_key TEXT    NOT NULL,
	CONSTRAINT addresses_key UNIQUE (address_key)
);

-- What may be done once by who has the text: set a new password, or confirm an
-- address. sum is the SHA-256 of the text.
CREATE TABLE single_links (
	sum        BLOB    NOT NULL PRIMARY KEY,
	user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	purpose    TEXT    NOT NULL,
	address    TEXT    NOT NULL,
	expires_at INTEGER NOT NULL,
	CONSTRAINT single_links_purpose CHECK (purpose IN ('password', 'address'))
) WITHOUT ROWID;
CREATE INDEX single_links_by_user ON single_links (user_id, purpose);
CREATE INDEX single_links_by_expiry ON single_links (expires_at);

-- Who a user is to another provider of sign-ins: subject is its unchanging name
-- of him, name what a person knows it by.
CREATE TABLE identities (
	issuer     TEXT    NOT NULL,
	subject    TEXT    NOT NULL,
	user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	name       TEXT    NOT NULL,
	created_at INTEGER NOT NULL,
	PRIMARY KEY (issuer, subject)
) WITHOUT ROWID;
CREATE INDEX identities_by_user ON identities (user_id);
