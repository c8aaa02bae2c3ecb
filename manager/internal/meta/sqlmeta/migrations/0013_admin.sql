-- own tells that a user has bounds of his own; others have those of user -1.
ALTER TABLE space ADD COLUMN own BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE space SET own = TRUE WHERE user_id = 0 OR most_bytes > 0 OR most_files > 0;

-- Services that administrators do not let work as they would.
CREATE TABLE service_standings (
	type     TEXT    NOT NULL,
	name     TEXT    NOT NULL,
	standing TEXT    NOT NULL,
	user_id  INTEGER NOT NULL,
	set_at   INTEGER NOT NULL,
	PRIMARY KEY (type, name),
	CONSTRAINT service_standings_known CHECK (standing IN ('draining', 'revoked'))
);
